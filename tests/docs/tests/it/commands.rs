//! Commands of the documents are run, and end as it is said of them; what cannot be run here is at least taken
//! by the program's own parser. `archtrace_docs::notes` says how a document tells the two apart.

mod app;
mod fleet;
mod parse;
mod run;
mod world;

use archtrace_docs::shell;
use archtrace_docs::{Block, Note, Notes, Page};
use run::Ended;
use world::{Place, World};

/// How a shell ends where there is no such program.
const NOT_FOUND: i32 = 127;
const HINT: &str = " (what cannot be run here says so, in a comment: tests/docs/src/notes.rs)";

/// What one command should do.
struct Case<'a> {
    /// Where it stands, and as what.
    at: String,
    command: &'a str,
    /// What is said of it.
    notes: Vec<&'a Note>,
}

impl Case<'_> {
    /// The command as it is run here.
    fn text(&self) -> String {
        // As kubectl runs it.
        let command = self
            .command
            .replace("kubectl archtrace", "kubectl-archtrace");
        self.notes.iter().fold(command, |command, note| match note {
            Note::Is { text, other } => command.replace(text, other),
            _ => command,
        })
    }

    fn is_needy(&self) -> bool {
        self.notes
            .iter()
            .any(|note| matches!(note, Note::Needs { .. }))
    }

    fn code(&self) -> i32 {
        let mut codes = self.notes.iter().filter_map(|note| match note {
            Note::Ends { code, .. } => Some(*code),
            _ => None,
        });
        codes.next_back().unwrap_or(0)
    }

    fn goes_on_after(&self) -> Option<&str> {
        self.notes.iter().find_map(|note| match note {
            Note::GoesOn { after, .. } => Some(after.as_str()),
            _ => None,
        })
    }

    /// Runs it; `None` if it cannot be run here.
    fn run(&self, place: &Place, before: &[String]) -> Result<Option<Ended>, String> {
        let text = self.text();
        if self.is_needy() {
            return parse::check(&text)
                .map(|()| None)
                .map_err(|error| format!("{}: {error}", self.at));
        }
        let ended = place.run(before, &text, self.goes_on_after());
        let ended = ended.map_err(|error| format!("{}: {error}", self.at))?;
        if ended.code != self.code() {
            let (at, code, told) = (&self.at, self.code(), ended.told());
            let hint = if ended.code == NOT_FOUND { HINT } else { "" };
            return Err(format!(
                "{at}: ended with {}, not {code}{hint}:\n{told}",
                ended.code
            ));
        }
        Ok(Some(ended))
    }
}

/// Commands of a block with the lines that they print, where the block shows any.
fn commands(block: &Block) -> Result<Vec<(String, Vec<String>)>, String> {
    if block.language == "sh" {
        let commands = shell::commands(&block.text)?;
        return Ok(commands
            .into_iter()
            .map(|command| (command, Vec::new()))
            .collect());
    }
    let mut shown: Vec<(String, Vec<String>)> = Vec::new();
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), shown.last_mut()) {
            (Some(command), _) => shown.push((command.to_owned(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    Ok(shown)
}

fn check(world: &World, page: &Page) -> Vec<String> {
    let mut wrong = Vec::new();
    let of_page = Notes::of_page(page).unwrap_or_else(|error| panic!("{}: {error}", page.path));
    let mut unused: Vec<&Note> = of_page.iter().collect();
    let place = world.place();
    for block in page.blocks() {
        let at = format!("{}:{}", page.path, block.line);
        let notes = Notes::of_block(&block).unwrap_or_else(|error| panic!("{at}: {error}"));
        let commands = commands(&block).unwrap_or_else(|error| panic!("{at}: {error}"));
        // What a page says of all its commands holds where a block says nothing else.
        let all: Vec<&Note> = of_page.iter().chain(notes.iter()).collect();
        let mut stale: Vec<&Note> = notes.iter().collect();
        let mut before = Vec::new();
        for (command, lines) in &commands {
            let notes: Vec<_> = all
                .iter()
                .copied()
                .filter(|note| note.is_about(command))
                .collect();
            stale.retain(|note| !notes.contains(note));
            unused.retain(|note| !notes.contains(note));
            let case = Case {
                at: format!("{at}: {command}"),
                command,
                notes,
            };
            if shell::sets(command) && !case.is_needy() {
                before.push(case.text());
                continue;
            }
            match case.run(&place, &before) {
                Err(error) => wrong.push(error),
                Ok(Some(ended)) => {
                    let missing = ended.missing(lines);
                    let told = || {
                        format!(
                            "{at}: {command} does not print\n{}\nbut\n{}",
                            missing.join("\n"),
                            ended.told()
                        )
                    };
                    wrong.extend((!missing.is_empty()).then(told));
                }
                Ok(None) => {}
            }
        }
        wrong.extend(
            stale
                .iter()
                .map(|note| format!("{at}: {note:?} is about none of its commands")),
        );
    }
    wrong.extend(
        unused
            .iter()
            .map(|note| format!("{}: {note:?} is about none of its commands", page.path)),
    );
    wrong
}

#[test]
fn commands_do_what_is_said_of_them() {
    let world = World::new();
    let only = std::env::var("ARCHTRACE_DOCS_PAGE").ok();
    let pages = Page::all()
        .into_iter()
        .filter(|page| only.as_ref().is_none_or(|only| page.path == *only));
    let wrong: Vec<_> = pages.flat_map(|page| check(&world, &page)).collect();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}
