//! The catalogue as a page.

use std::fmt::Write as _;

use super::{CATALOGUE, Entry};

/// What is said of the commands on the page to the test that runs them (`tests/docs`): what stands for the
/// words in brackets, and what is not run.
const RUN: &str = "\
<!-- run on this page: <node> is node-7; <namespace> is pay; <pod> is api-7c9; <path> is app.tar;
  <arch> is arm64; <expected> is arm64; '<image>' is acme/hsm:4.2; archtrace scan ends with 2;
  archtrace registry ends with 3; archtrace doctor needs root; kubectl needs a cluster;
  docker needs another program; crane needs another program; skopeo needs another program;
  readelf needs another program; objdump needs another program; strace needs another program;
  unzip needs another program; file needs another program; od needs another program; head needs another program;
  lscpu needs a node; grep needs a node; ls needs a node -->
";

/// The catalogue as Markdown: `docs/findings.md`.
#[must_use]
pub fn markdown() -> String {
    let mut page = format!(
        "# Findings\n\n\
         What archtrace finds that somebody should act on. This page is made from the catalogue in\n\
         `facts/src/finding/catalogue.rs`.\n\n{RUN}\n\
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
                 `cargo xtask docs --write`"
            );
        }
    }
}
