//! Files of the workspace, and which names they speak of.

use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::root;

/// A file of Rust.
#[derive(Debug)]
pub struct Source {
    /// From the root of the workspace on, such as `facts/src/lib.rs`.
    pub path: String,
    /// As it stands there.
    pub text: String,
}

/// All files of Rust in `directories`, from the root of the workspace on.
///
/// # Panics
/// If a directory cannot be read, or holds no file of Rust: then it was moved, and whoever asks looks at nothing.
#[must_use]
pub fn files(directories: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    for directory in directories {
        let before = files.len();
        walk(&root().join(directory), &mut files);
        assert!(files.len() > before, "no Rust below {directory}");
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn walk(path: &Path, files: &mut Vec<Source>) {
    if path.is_file() {
        if path.extension().is_some_and(|it| it == "rs") {
            let below = path.strip_prefix(root()).expect("below the root");
            files.push(Source {
                path: below.to_string_lossy().into_owned(),
                text: fs::read_to_string(path).expect("source can be read"),
            });
        }
        return;
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for entry in entries {
        let path = entry.expect("a directory can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name != "target" && !name.starts_with('.') {
            walk(&path, files);
        }
    }
}

impl Source {
    /// Whether it is a test itself, by where it is.
    #[must_use]
    pub fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| part == "tests" || part == "tests.rs")
    }

    /// What it speaks of when it is no test.
    ///
    /// # Panics
    /// If it is not Rust.
    #[must_use]
    pub fn words(&self) -> Words {
        let tokens = self.text.parse::<TokenStream>();
        let tokens = tokens.unwrap_or_else(|error| panic!("{}: {error}", self.path));
        let mut words = Words::default();
        words.read(&tokens.into_iter().collect::<Vec<_>>(), &[]);
        words
    }
}

/// What a file speaks of.
#[derive(Debug, Default)]
pub struct Words {
    /// Paths, such as `std::fs::File`, those in braces of a `use` in full; single names too, and macros with their `!`.
    pub paths: Vec<String>,
    /// Texts in quotes, as they are written.
    pub texts: Vec<String>,
}

impl Words {
    /// Whether there is a path that is `path`, or goes on behind it.
    #[must_use]
    pub fn speak_of(&self, path: &str) -> bool {
        let is = |it: &String| {
            let rest = it.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        self.paths.iter().any(is)
    }

    /// Whether there is a path that ends with `path`, such as `Instant::now`, however it was brought in.
    #[must_use]
    pub fn call(&self, path: &str) -> bool {
        let is = |it: &String| {
            let rest = it.strip_suffix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with("::"))
        };
        self.paths.iter().any(is)
    }

    fn read(&mut self, tokens: &[TokenTree], prefix: &[String]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => self.attribute(&tokens[at..]),
                TokenTree::Ident(_) => self.path(&tokens[at..], prefix),
                TokenTree::Group(group) => {
                    self.group(group);
                    1
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    if text.ends_with(['"', '#']) {
                        self.texts.push(text);
                    }
                    1
                }
                TokenTree::Punct(_) => 1,
            };
        }
    }

    fn group(&mut self, group: &Group) {
        self.read(&group.stream().into_iter().collect::<Vec<_>>(), &[]);
    }

    /// Reads an attribute, and says how many tokens to go on by: a documentation is nothing that is spoken of, and
    /// behind `#[cfg(test)]` its item is none.
    fn attribute(&mut self, tokens: &[TokenTree]) -> usize {
        let place = tokens.iter().take(3).position(|token| {
            matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
        });
        let Some((place, TokenTree::Group(group))) =
            place.and_then(|at| Some((at, tokens.get(at)?)))
        else {
            return 1;
        };
        let text: String = group.stream().to_string().split_whitespace().collect();
        if text == "cfg(test)" {
            let is_end = |token: &TokenTree| match token {
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                TokenTree::Punct(punct) => punct.as_char() == ';',
                _ => false,
            };
            let item = &tokens[place + 1..];
            let end = item.iter().position(is_end);
            return place + 1 + end.map_or(item.len(), |end| end + 1);
        }
        if !text.starts_with("doc=") {
            self.group(group);
        }
        place + 1
    }

    /// Reads a path, and says how many tokens it has.
    fn path(&mut self, tokens: &[TokenTree], prefix: &[String]) -> usize {
        let mut names = prefix.to_vec();
        let mut at = 0;
        while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
            names.push(ident.to_string());
            at += 1;
            if !is_separator(tokens.get(at..at + 2)) {
                break;
            }
            at += 2;
        }
        match tokens.get(at) {
            // use a::{b, c::d};
            Some(TokenTree::Group(group))
                if group.delimiter() == Delimiter::Brace
                    && is_separator(tokens.get(at.saturating_sub(2)..at)) =>
            {
                self.read(&group.stream().into_iter().collect::<Vec<_>>(), &names);
                at + 1
            }
            _ => {
                let mark = if is_call(tokens.get(at..at + 2)) {
                    "!"
                } else {
                    ""
                };
                self.paths.push(names.join("::") + mark);
                at
            }
        }
    }
}

/// Whether a macro is called, rather than something compared or negated.
fn is_call(tokens: Option<&[TokenTree]>) -> bool {
    matches!(tokens, Some([TokenTree::Punct(mark), TokenTree::Group(_)]) if mark.as_char() == '!')
}

fn is_separator(tokens: Option<&[TokenTree]>) -> bool {
    let is_colon =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    tokens.is_some_and(|tokens| tokens.len() == 2 && tokens.iter().all(is_colon))
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn names_are_found_however_they_are_brought_in() {
        let text = r##"
            //! std::process in a comment
            use std::{fs, time::{Duration, Instant as I}};
            /// Like std::net.
            #[derive(serde::Deserialize)]
            struct A { at: std::io::Error }
            fn f<T: Into<u32>>() -> ! { vec!["/proc/self/environ"]; x != (y); r#"a "b""#; x.pin(y); I::now(); a::<b::C>::d() }
            #[cfg(test)]
            mod tests { use std::thread; fn g() { unsafe {} } }
            #[cfg(test)]
            mod more;
            const Z: u8 = b'"';
        "##;
        let source = Source {
            path: "a/src/b.rs".to_owned(),
            text: text.to_owned(),
        };
        let words = source.words();
        for path in [
            "std::fs",
            "std::time::Instant",
            "std::io",
            "serde",
            "vec!",
            "x",
            "pin",
            "b::C",
            "Z",
        ] {
            assert!(words.speak_of(path), "{path} in {words:?}");
        }
        for path in [
            "std::process",
            "std::net",
            "std::thread",
            "unsafe",
            "more",
            "std::f",
            "x!",
        ] {
            assert!(!words.speak_of(path), "{path} in {words:?}");
        }
        assert!(
            words.call("now") && words.call("I::now") && !words.call("ow"),
            "{words:?}"
        );
        assert_eq!(
            words.texts,
            [r#""/proc/self/environ""#, r###"r#"a "b""#"###]
        );
    }

    #[test]
    fn tests_are_told_by_where_they_are() {
        let is_test = |path: &str| {
            let (path, text) = (path.to_owned(), String::new());
            Source { path, text }.is_test()
        };
        for path in [
            "tests/sim/src/lib.rs",
            "cli/tests/it/main.rs",
            "facts/src/gate/tests.rs",
        ] {
            assert!(is_test(path), "{path}");
        }
        assert!(!is_test("facts/src/attests.rs"));
    }
}
