//! `archtrace scan`: what it finds, by which exit code, and how it is printed.

mod hostile;
mod image;
mod output;
mod paths;

use std::path::Path;

use serde_json::Value;

use super::support::archtrace;

/// The lines of JSON that a scan of `path` prints, with its exit code.
fn lines(path: &Path, args: &[&str], code: i32) -> Vec<Value> {
    let path = path.to_str().expect("text");
    let all = [&["scan", path, "-o", "json"], args].concat();
    let assert = archtrace(&all).assert();
    let output = assert.get_output();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{all:?}: {told}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Findings as `finding platform file`, in their order; the code must fit.
fn check(path: &Path, args: &[&str], expected: &[&str]) {
    let code = if expected.is_empty() { 0 } else { 2 };
    let lines = lines(path, args, code);
    let word = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let found: Vec<_> = lines
        .iter()
        .filter(|line| line["kind"] == "finding")
        .map(|line| {
            let words = [
                word(line, "finding"),
                word(line, "platform"),
                word(line, "file"),
            ];
            words.join(" ").trim().to_owned()
        })
        .collect();
    assert_eq!(found, expected, "{} {args:?}", path.display());
}

/// A scan that ends with an error: code 1, nothing printed, and these words.
fn check_error(path: &Path, args: &[&str], words: &[&str]) {
    let text = path.to_str().expect("text");
    let all = [&["scan", text], args].concat();
    let assert = archtrace(&all).assert().code(1);
    let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert_eq!(told.lines().count(), 1, "{told}");
    for word in words {
        assert!(told.contains(word), "{word}: {told}");
    }
}
