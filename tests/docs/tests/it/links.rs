//! Links within the repository lead to something.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use archtrace_docs::page::{Link, Page, root};

/// `a/b/../c` without what goes back and forth.
fn plain(path: &Path) -> String {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts.display().to_string()
}

#[test]
fn links_lead_somewhere() {
    let pages = Page::all();
    let anchors: BTreeMap<_, _> = pages
        .iter()
        .map(|page| (page.path.as_str(), page.anchors()))
        .collect();
    let mut broken = Vec::new();
    for page in &pages {
        for Link { line, target } in page.links() {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target
                .split_once('#')
                .map_or((&*target, None), |(file, anchor)| (file, Some(anchor)));
            let path = match file {
                "" => page.path.clone(),
                file => plain(&Path::new(&page.path).with_file_name(file)),
            };
            let leads = match anchor {
                Some(anchor) => anchors
                    .get(path.as_str())
                    .is_some_and(|names| names.contains(anchor)),
                None => root().join(&path).exists(),
            };
            if !leads {
                broken.push(format!("{}:{line}: {target}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "lead nowhere:\n{}", broken.join("\n"));
}

/// A page that the summary leaves out is in no book, and the book has no pages but its own to link to.
#[test]
fn the_book_has_all_its_pages() {
    let summary = Page::read("docs/SUMMARY.md");
    let listed: Vec<_> = summary
        .links()
        .into_iter()
        .map(|link| format!("docs/{}", link.target))
        .collect();
    let pages = Page::all()
        .into_iter()
        .filter(|page| page.path.starts_with("docs/") && page.path != summary.path);
    for page in pages {
        assert!(
            listed.contains(&page.path),
            "{} is not in docs/SUMMARY.md",
            page.path
        );
        for Link { line, target } in page.links() {
            assert!(
                !target.starts_with("../"),
                "{}:{line}: {target} is not in the book",
                page.path
            );
        }
    }
}
