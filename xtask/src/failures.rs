//! What failed, read from what cargo printed.
//!
//! `cargo test --no-fail-fast` goes on after a failure, so that the end of its output speaks of tests that pass.

use std::collections::HashMap;

/// So many failures are told with what they say.
const FAILURES: usize = 12;

/// So many more are named.
const NAMES: usize = 30;

/// So many lines of what one says are told: a panic, both sides of a comparison, a few lines of a cause.
const LINES: usize = 6;

/// Lines are cut here.
const CHARS: usize = 240;

/// The lines of a test binary before it was killed that are told.
const LAST_LINES: usize = 4;

/// A test that failed, a test binary that was killed, or what does not compile.
struct Failure {
    name: String,
    says: Vec<String>,
}

/// What failed by `output`, a line each, with the first lines of what it says beneath. Nothing where `output` is not
/// of cargo, or nothing failed.
pub(crate) fn told(output: &str) -> Vec<String> {
    let lines: Vec<&str> = output.lines().collect();
    let mut failures = of_compiler(&lines);
    failures.extend(of_tests(&lines));
    let mut told = Vec::new();
    for (nth, failure) in failures.iter().take(FAILURES + NAMES).enumerate() {
        told.push(cut(&failure.name));
        if nth < FAILURES {
            told.extend(failure.says.iter().map(|line| format!("    {}", cut(line))));
        }
    }
    if let Some(more @ 1..) = failures.len().checked_sub(FAILURES + NAMES) {
        told.push(format!("and {more} more"));
    }
    told
}

/// What does not compile, or is against a lint.
fn of_compiler(lines: &[&str]) -> Vec<Failure> {
    let failure = |name: &str, says: Vec<String>| Failure {
        name: name.to_owned(),
        says,
    };
    let errors = lines.windows(2).filter_map(|pair| {
        let [line, next] = [pair[0], pair[1].trim_start()];
        let place = next.strip_prefix("--> ");
        // A linker has no place: the compiler frames what it says.
        let is_error = line.starts_with("error[")
            || line.starts_with("error: ") && (place.is_some() || next.starts_with('|'));
        is_error.then(|| failure(line, place.map(str::to_owned).into_iter().collect()))
    });
    let errors: Vec<_> = errors.collect();
    if !errors.is_empty() {
        return errors;
    }
    // Killed for want of memory, say.
    let given_up = lines
        .iter()
        .filter(|line| line.starts_with("error: could not compile"));
    given_up.map(|line| failure(line, Vec::new())).collect()
}

/// The tests that failed, of all test binaries.
fn of_tests(lines: &[&str]) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut start = 0;
    for (at, line) in lines.iter().enumerate() {
        let title = line.trim_start();
        if title.starts_with("Running ") && title.ends_with(')') || title.starts_with("Doc-tests ")
        {
            start = at + 1;
        }
        if let Some(target) = failed_target(line) {
            let (output, cause) = (&lines[start..at], &lines[at + 1..]);
            failures.extend(of_target(target, output, cause));
            start = at + 1;
        }
    }
    failures
}

/// What cargo takes to run the test binary again that failed by `line`.
fn failed_target(line: &str) -> Option<&str> {
    let kind = line.strip_prefix("error: ")?;
    let rest = kind
        .strip_prefix("test failed")
        .or_else(|| kind.strip_prefix("doctest failed"))?;
    rest.strip_prefix(", to rerun pass `")?.strip_suffix('`')
}

/// What failed of one test binary that printed `output`; `cause` is what cargo says of it then.
fn of_target(target: &str, output: &[&str], cause: &[&str]) -> Vec<Failure> {
    let says = said(output);
    let names = names(output);
    if names.is_empty() {
        return vec![killed(target, output, cause)];
    }
    let failure = |name: &&str| Failure {
        name: format!("{target}: {name}"),
        says: says.get(name).cloned().unwrap_or_default(),
    };
    names.iter().map(failure).collect()
}

/// The names at the end of what a test binary prints.
fn names<'a>(output: &[&'a str]) -> Vec<&'a str> {
    let Some(at) = output.iter().rposition(|line| *line == "failures:") else {
        return Vec::new();
    };
    let names = output[at + 1..].iter();
    names.map_while(|line| line.strip_prefix("    ")).collect()
}

/// What each test said that failed, by its name.
fn said<'a>(output: &[&'a str]) -> HashMap<&'a str, Vec<String>> {
    let mut said = HashMap::new();
    for (at, line) in output.iter().enumerate() {
        if let Some(name) = title(line) {
            let block = &output[at + 1..];
            let is_next = |line: &&str| title(line).is_some() || *line == "failures:";
            let end = block.iter().position(is_next).unwrap_or(block.len());
            said.insert(name, excerpt(&block[..end]));
        }
    }
    said
}

/// The name of the test that `line` is the title of.
fn title(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// The first panic of what a test said and what is told with it, or how it began where there was none.
fn excerpt(block: &[&str]) -> Vec<String> {
    let panic = |line: &&str| line.starts_with("thread '") && line.contains("panicked at ");
    let start = block.iter().position(panic).unwrap_or(0);
    block[start..]
        .iter()
        .take_while(|line| **line != "stack backtrace:")
        .filter(|line| {
            !line.trim().is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE")
        })
        .take(LINES)
        .map(|&line| line.to_owned())
        .collect()
}

/// A test binary that ended before it could say which tests fail.
fn killed(target: &str, output: &[&str], cause: &[&str]) -> Failure {
    let ended = cause
        .iter()
        .take_while(|line| line.is_empty() || line.starts_with(' ') || **line == "Caused by:")
        .find_map(|line| line.split_once("process didn't exit successfully: "))
        .and_then(|(_, how)| how.rsplit_once("` "))
        .map_or("no test is named", |(_, how)| how);
    let is_news = |line: &&&str| {
        let goes_well = line.starts_with("running ") || line.ends_with(" ... ok");
        !line.trim().is_empty() && !goes_well
    };
    let news: Vec<_> = output.iter().filter(is_news).collect();
    Failure {
        name: format!("{target}: {ended}"),
        says: news[news.len().saturating_sub(LAST_LINES)..]
            .iter()
            .map(|&&line| line.to_owned())
            .collect(),
    }
}

/// `line`, not longer than a summary can bear.
fn cut(line: &str) -> String {
    line.chars().take(CHARS).collect()
}

#[cfg(test)]
mod tests;
