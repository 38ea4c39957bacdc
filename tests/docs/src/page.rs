//! Pages of Markdown, and what is in them.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A document of the repository.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path, from the root of the repository.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// A block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it begins in its page; lines count from 1.
    pub line: usize,
    /// What stands behind the opening fence: `sh`, `text`.
    pub language: String,
    /// What is in it.
    pub text: String,
    /// The HTML comment right before it, without its marks; empty if there is none.
    pub comment: String,
}

/// A link, or a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub line: usize,
    /// Where it leads.
    pub target: String,
}

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Page {
    /// Reads a page.
    ///
    /// # Panics
    /// If it cannot be read.
    #[must_use]
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path));
        Self {
            path: path.to_owned(),
            text: text.unwrap_or_else(|error| panic!("{path}: {error}")),
        }
    }

    /// All that people read: those at the root, those of the book, and the chart's.
    ///
    /// # Panics
    /// If they cannot be read.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let names = |dir: &str| -> BTreeSet<String> {
            let entries =
                fs::read_dir(root().join(dir)).unwrap_or_else(|error| panic!("{dir}: {error}"));
            let names = entries.map(|entry| entry.expect("readable").file_name());
            let names = names.filter_map(|name| name.into_string().ok());
            names.filter(|name| name.ends_with(".md")).collect()
        };
        let pages = [
            ("", "."),
            ("docs/", "docs"),
            ("deploy/chart/", "deploy/chart"),
        ];
        let paths = pages.iter().flat_map(|(prefix, dir)| {
            let names = names(dir).into_iter();
            names.map(move |name| format!("{prefix}{name}"))
        });
        paths.map(|path| Self::read(&path)).collect()
    }

    /// Blocks of code, in their order.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let (mut comment, mut inside) = (String::new(), false);
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    inside = true;
                    blocks.push(Block {
                        line: self.line(&range),
                        language: language.into_string(),
                        text: String::new(),
                        comment: std::mem::take(&mut comment),
                    });
                }
                Event::End(TagEnd::CodeBlock) => inside = false,
                Event::Text(text) if inside => {
                    if let Some(block) = blocks.last_mut() {
                        block.text.push_str(&text);
                    }
                }
                Event::Html(text) => comment.push_str(&text),
                Event::Start(Tag::HtmlBlock) => comment.clear(),
                Event::End(TagEnd::HtmlBlock) => comment = without_marks(&comment),
                _ => comment.clear(),
            }
        }
        blocks
    }

    /// HTML comments, without their marks.
    pub fn comments(&self) -> impl Iterator<Item = String> {
        let mut comment = String::new();
        self.events().filter_map(move |(event, _)| match event {
            Event::Start(Tag::HtmlBlock) => {
                comment.clear();
                None
            }
            Event::Html(text) => {
                comment.push_str(&text);
                None
            }
            Event::End(TagEnd::HtmlBlock) => Some(without_marks(&comment)),
            _ => None,
        })
    }

    /// Code in running text, with its line.
    #[must_use]
    pub fn codes(&self) -> Vec<(usize, String)> {
        let codes = self.events().filter_map(|(event, range)| match event {
            Event::Code(code) => Some((self.line(&range), code.into_string())),
            _ => None,
        });
        codes.collect()
    }

    /// Where its links lead.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        let links = self.events().filter_map(|(event, range)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(Link {
                line: self.line(&range),
                target: dest_url.into_string(),
            }),
            _ => None,
        });
        links.collect()
    }

    /// What links to its headings end with, as GitHub and mdBook make it of their texts.
    #[must_use]
    pub fn anchors(&self) -> BTreeSet<String> {
        let (mut anchors, mut heading) = (BTreeSet::<String>::new(), None::<String>);
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    // The second of a name has a number.
                    let numbered = (1..).map(|number| format!("{anchor}-{number}"));
                    let mut names = std::iter::once(anchor.clone()).chain(numbered);
                    let free = names.find(|name| !anchors.contains(name));
                    anchors.extend(free);
                }
                _ => {}
            }
        }
        anchors
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
        Parser::new_ext(&self.text, options).into_offset_iter()
    }

    fn line(&self, range: &Range<usize>) -> usize {
        let before = self.text.get(..range.start).unwrap_or(&self.text);
        before.matches('\n').count() + 1
    }
}

fn anchor(heading: &str) -> String {
    let chars = heading.trim().chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ => letter.is_alphanumeric().then_some(letter),
    });
    chars.flat_map(char::to_lowercase).collect()
}

fn without_marks(comment: &str) -> String {
    let text = comment.trim();
    let inner = text
        .strip_prefix("<!--")
        .and_then(|text| text.strip_suffix("-->"));
    inner.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# One `two`: three-four\n\n## Again\n\n## Again\n\n\
        [a](b.md#c) and `[no](link)` ![p](q.svg)\n\n\
        <!-- run: x needs\n  y -->\n\n```sh\nfirst\nsecond\n```\n\nText.\n\n- In a list:\n\n  ```text\n  $ third\n  ```\n";

    fn page() -> Page {
        Page {
            path: "x.md".to_owned(),
            text: TEXT.to_owned(),
        }
    }

    #[test]
    fn blocks_have_their_comments() {
        let [first, second] = &page().blocks()[..] else {
            panic!("two blocks")
        };
        assert_eq!((first.line, &*first.language), (12, "sh"));
        assert_eq!(first.text, "first\nsecond\n");
        assert_eq!(first.comment, "run: x needs\n  y");
        assert_eq!((&*second.text, &*second.comment), ("$ third\n", ""));
    }

    #[test]
    fn links_and_anchors_are_found() {
        let links: Vec<_> = page().links().into_iter().map(|link| link.target).collect();
        assert_eq!(links, ["b.md#c", "q.svg"]);
        let anchors = page().anchors();
        assert!(anchors.contains("one-two-three-four"), "{anchors:?}");
        assert!(anchors.contains("again") && anchors.contains("again-1"));
    }
}
