//! `cargo xtask docs`: the documents, as a book and held against the programs.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{paths, progress, setup};

/// Has pages written anew; the tests that make them have the same name.
const WRITE: &str = "ARCHTRACE_WRITE_DOCS";

/// Tests that make a page, as cargo is told which: of the packages that know what the pages tell.
const WRITERS: [[&str; 4]; 3] = [
    ["--package", "archtrace-facts", "--lib", "the_page"],
    ["--package", "archtrace-collector", "--lib", "the_schema"],
    ["--package", "archtrace-docs", "--test=it", "written"],
];

/// Programs that commands of the documents run.
const PROGRAMS: [&str; 2] = ["archtrace-cli", "archtrace-collector"];

const EXAMPLES: &str = "\
Examples:
  cargo xtask docs           build the book, and run the commands of all documents
  cargo xtask docs --write   write docs/options.md, docs/api-reference.md, docs/findings.md and
                             docs/policy.schema.json anew, and build the book";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write the pages that are made from the programs, rather than compare
    #[arg(long)]
    write: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    if args.write {
        for tests in WRITERS {
            let mut cargo = cargo(["test", "--locked"]);
            let title = format!("write what {} tells", tests[1]);
            progress::command(&title, cargo.args(tests).env(WRITE, "1"))?;
        }
    } else {
        let programs = PROGRAMS.iter().flat_map(|package| ["--package", package]);
        let mut build = cargo(["build", "--locked"]);
        progress::command("build programs for the documents", build.args(programs))?;
        let mut test = cargo(["test", "--package", "archtrace-docs", "--locked"]);
        progress::command("test the documents", &mut test)?;
    }
    book()
}

/// Builds the book. What mdBook warns of is wrong, too.
///
/// # Errors
/// If it cannot be built as it should.
pub(crate) fn book() -> Result<()> {
    let mdbook = setup::install_mdbook()?;
    let to = paths::target().join("book");
    let output = progress::during("build the book", || {
        let mut command = Command::new(mdbook);
        command.arg("build").arg("docs").arg("--dest-dir").arg(&to);
        Ok(command.current_dir(paths::root()).output()?)
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || ["WARN", "ERROR"].iter().any(|word| said.contains(word)) {
        bail!("mdbook build docs:\n{said}");
    }
    eprintln!("the book is {}", to.join("index.html").display());
    Ok(())
}

fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(paths::root());
    cargo
}

#[cfg(test)]
mod tests {
    use archtrace_docs::{Page, shell};
    use clap::Parser as _;

    /// Tasks take minutes, or a machine of their own: that they are taken is what can be tried.
    #[test]
    fn tasks_in_documents_are_taken() {
        let mut found = 0;
        for page in Page::all() {
            let blocks = page.blocks();
            let blocks = blocks.iter().filter(|block| block.language == "sh");
            let lines = blocks.flat_map(|block| shell::commands(&block.text).unwrap_or_default());
            let codes = page.codes().into_iter().map(|(_, code)| code);
            for command in lines.chain(codes) {
                let words = shell::words(&command);
                let [first, second, ..] = &words[..] else {
                    continue;
                };
                if [&**first, &**second] != ["cargo", "xtask"] {
                    continue;
                }
                found += 1;
                if let Err(error) = crate::Cli::try_parse_from(&words[1..])
                    && error.use_stderr()
                    && words.len() > 2
                {
                    panic!("{}: {command}: {error}", page.path);
                }
            }
        }
        assert!(found > 20, "{found} of them");
    }
}
