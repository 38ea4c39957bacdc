//! What a document says of its own commands, in a comment that its readers do not see.
//!
//! ```text
//! <!-- run: kubectl needs a cluster; archtrace matrix ends with 2; --for 5m is --for 2s -->
//! ```
//!
//! A comment that begins with `run:` is about the block behind it, one with `run on this page:` about all
//! blocks of its page.

use crate::page::{Block, Page};

/// One thing that is said. Commands are named by what they begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// `COMMAND needs WHAT`: it is not run.
    Needs {
        /// What it begins with.
        command: String,
        /// One of [`NEEDS`].
        what: String,
    },
    /// `COMMAND ends with CODE`, where that is not 0.
    Ends {
        /// What it begins with.
        command: String,
        /// Its exit code.
        code: i32,
    },
    /// `COMMAND goes on after TEXT`: it prints that, and then is ended as by Ctrl-C.
    GoesOn {
        /// What it begins with.
        command: String,
        /// What it prints.
        after: String,
    },
    /// `TEXT is OTHER`: what stands in the document for something else.
    Is {
        /// In the document.
        text: String,
        /// When it is run.
        other: String,
    },
}

/// Why a command is not run.
pub const NEEDS: [&str; 7] = [
    "a cluster",
    "a network",
    "a node",
    "a terminal",
    "another program",
    "minutes",
    "root",
];

/// What is said of the commands of a block.
#[derive(Clone, Debug, Default)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// Of a block; what its page says of all is known by [`Notes::of_page`].
    ///
    /// # Errors
    /// If it cannot be understood.
    pub fn of_block(block: &Block) -> Result<Self, String> {
        match block.comment.strip_prefix("run:") {
            Some(text) => parse(text),
            None => Ok(Self::default()),
        }
    }

    /// Of all blocks of a page.
    ///
    /// # Errors
    /// If it cannot be understood.
    pub fn of_page(page: &Page) -> Result<Self, String> {
        let mut notes = Vec::new();
        for comment in page.comments() {
            if let Some(text) = comment.strip_prefix("run on this page:") {
                notes.extend(parse(text)?.0);
            }
        }
        Ok(Self(notes))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Note> {
        self.0.iter()
    }
}

impl Note {
    /// Whether it says something of this command.
    #[must_use]
    pub fn is_about(&self, line: &str) -> bool {
        match self {
            Self::Needs { command, .. }
            | Self::Ends { command, .. }
            | Self::GoesOn { command, .. } => {
                let rest = line.strip_prefix(command.as_str());
                rest.is_some_and(|rest| {
                    !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-')
                })
            }
            Self::Is { text, .. } => line.contains(text),
        }
    }
}

fn parse(text: &str) -> Result<Notes, String> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let notes = words.split("; ").map(note).collect::<Result<_, _>>()?;
    Ok(Notes(notes))
}

fn note(said: &str) -> Result<Note, String> {
    let owned = str::to_owned;
    if let Some((command, what)) = said.split_once(" needs ") {
        if !NEEDS.contains(&what) {
            return Err(format!(
                "\"{what}\" in \"{said}\" is none of {}",
                NEEDS.join(", ")
            ));
        }
        let (command, what) = (owned(command), owned(what));
        return Ok(Note::Needs { command, what });
    }
    if let Some((command, code)) = said.split_once(" ends with ") {
        let code = code
            .parse::<i32>()
            .map_err(|error| format!("{said}: {error}"))?;
        return Ok(Note::Ends {
            command: owned(command),
            code,
        });
    }
    if let Some((command, after)) = said.split_once(" goes on after ") {
        let (command, after) = (owned(command), owned(after));
        return Ok(Note::GoesOn { command, after });
    }
    match said.split_once(" is ") {
        Some((text, other)) => Ok(Note::Is {
            text: owned(text),
            other: owned(other),
        }),
        None => Err(format!(
            "\"{said}\" says nothing that archtrace_docs::notes knows"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read() {
        let text = " kubectl needs a cluster; a b ends with 2;\n  a --watch goes on after NODE; --for 5m is --for 2s";
        let told = parse(text).expect("notes");
        let [needs, ends, goes_on, is] = &told.0[..] else {
            panic!("four: {told:?}")
        };
        assert!(
            needs.is_about("kubectl get")
                && !needs.is_about("kubectl-x")
                && !needs.is_about("x kubectl")
        );
        assert!(matches!(ends, Note::Ends { code: 2, .. }));
        assert!(matches!(goes_on, Note::GoesOn { after, .. } if after == "NODE"));
        assert!(is.is_about("verify --for 5m"));
        for wrong in ["kubectl", "kubectl needs luck", "a ends with x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
