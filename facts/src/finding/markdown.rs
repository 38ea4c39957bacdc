//! The catalogue as a page.

use std::fmt::Write as _;

use super::{CATALOGUE, Entry};

/// The catalogue as Markdown: `docs/findings.md`.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Findings\n\n\
         What archtrace finds that somebody should act on. This page is made from the catalogue in\n\
         `facts/src/finding/catalogue.rs`.\n\n\
         | finding | severity | |\n|---|---|---|\n",
    );
    // Writing to a String cannot fail.
    for entry in CATALOGUE {
        let Entry {
            id,
            severity,
            title,
            ..
        } = entry;
        let _ = writeln!(page, "| [`{id}`](#{id}) | {severity} | {title} |");
    }
    for entry in CATALOGUE {
        let Entry {
            id,
            severity,
            title,
            meaning,
            evidence,
            confirm,
            fix,
        } = entry;
        let evidence: Vec<_> = evidence.iter().map(|field| format!("`{field}`")).collect();
        let evidence = evidence.join(", ");
        let confirm = confirm.join("\n");
        let _ = write!(
            page,
            "\n## {id}\n\n{title}. Severity: {severity}.\n\n{meaning}\n\n\
             **Evidence:** {evidence}\n\n**To confirm:**\n\n```sh\n{confirm}\n```\n\n**To fix:**\n\n"
        );
        for line in *fix {
            let _ = writeln!(page, "- {line}");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::markdown;

    const PAGE: &str = include_str!("../../../docs/findings.md");

    #[test]
    fn the_page_is_the_catalogue() {
        if std::env::var_os("ARCHTRACE_WRITE_DOCS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/findings.md");
            std::fs::write(path, markdown()).expect("the page is written");
        } else {
            assert!(
                PAGE == markdown(),
                "docs/findings.md is not what the catalogue says; write it anew with \
                 `ARCHTRACE_WRITE_DOCS=1 cargo test -p archtrace-facts the_page`"
            );
        }
    }
}
