//! Pages that are written from what they tell of.

mod api;
mod codes;
mod names;
mod options;

use archtrace_docs::page::{Page, root};

/// Set by `cargo xtask docs --write`: pages are written anew, rather than compared.
const WRITE: &str = "ARCHTRACE_WRITE_DOCS";

fn check(path: &str, text: &str) {
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(root().join(path), text).unwrap_or_else(|error| panic!("{path}: {error}"));
    } else {
        let page = Page::read(path);
        assert!(
            page.text == text,
            "{path} is not what there is: cargo xtask docs --write"
        );
    }
}

/// A text in a cell of a table. Outside of code, what looks like a tag would be one, and stars disappear.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = line.replace('|', "\\|");
    let parts = parts.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => part.replace('<', "&lt;").replace('*', "\\*"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}
