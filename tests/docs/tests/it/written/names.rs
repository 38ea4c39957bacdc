//! Words that programs print, and tables that say what each means.

use std::collections::BTreeSet;

use archtrace_collector::refusals::Reason;
use archtrace_docs::Page;
use archtrace_facts::audit::Skip;
use archtrace_facts::coverage::Status;
use archtrace_facts::fact::{Cause, Mode, Stage};
use archtrace_facts::finding::CATALOGUE;
use archtrace_facts::gate::DoubtKind;
use archtrace_facts::registry::Trouble;
use archtrace_facts::report::Record;

/// Code in the first cells of the tables of a page.
fn cells(page: &Page) -> BTreeSet<&str> {
    let rows = page
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    // `a`, `b`: the first mark is cut off.
    rows.flat_map(|(cell, _)| cell.split('`').step_by(2))
        .collect()
}

/// That a page has a row for each word.
fn check<T: Copy>(path: &str, words: &[T], as_str: fn(T) -> &'static str) {
    let page = Page::read(path);
    let cells = cells(&page);
    for word in words.iter().copied().map(as_str) {
        assert!(cells.contains(word), "{path} has no row for `{word}`");
    }
}

#[test]
fn words_are_explained() {
    check("docs/concepts.md", Mode::ALL, Mode::as_str);
    check("docs/concepts.md", Status::ALL, Status::as_str);
    check("docs/events.md", Cause::ALL, Cause::as_str);
    let troubles = "docs/troubleshooting.md";
    check(troubles, Stage::ALL, Stage::as_str);
    check(troubles, DoubtKind::ALL, DoubtKind::as_str);
    check(troubles, Trouble::ALL, Trouble::as_str);
    check(troubles, Skip::ALL, Skip::as_str);
    check(troubles, &Reason::ALL, Reason::as_str);
}

/// Each kind of event has a part of its own, with why, how to be sure, and what to do.
#[test]
fn events_are_explained() {
    let page = Page::read("docs/events.md");
    let anchors = page.anchors();
    for kind in Record::kinds() {
        assert!(
            anchors.contains(kind),
            "docs/events.md says nothing of {kind}"
        );
        let (_, rest) = page
            .text
            .split_once(&format!("\n## {kind}\n"))
            .expect("a heading");
        let part = rest.split_once("\n## ").map_or(rest, |(part, _)| part);
        for words in ["**Why:**", "**To confirm:**", "**To fix:**"] {
            assert!(part.contains(words), "{kind} lacks {words}");
        }
    }
}

/// The playbook leads to every finding.
#[test]
fn findings_are_in_the_playbook() {
    let links: BTreeSet<_> = Page::read("docs/playbook.md")
        .links()
        .into_iter()
        .map(|link| link.target)
        .collect();
    for entry in CATALOGUE {
        let link = format!("findings.md#{}", entry.id);
        assert!(
            links.contains(&link),
            "docs/playbook.md says nothing of {}",
            entry.id
        );
    }
}
