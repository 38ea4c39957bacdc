//! Commands that cannot be run here are held against what they would be run by.

use archtrace_docs::page::{Page, root};
use archtrace_docs::shell;
use clap::CommandFactory as _;
use clap::error::ErrorKind;

/// The programs' own parsers; `None` for programs of others.
fn parser(words: &[String]) -> Option<(clap::Command, &[String])> {
    let (first, rest) = words.split_first()?;
    match first.as_str() {
        "kubectl-archtrace" | "archtrace" => Some((archtrace_cli::command(), rest)),
        "archtrace-agent" => Some((archtrace_agent::config::Cli::command(), rest)),
        "archtrace-collector" => Some((archtrace_collector::args::Args::command(), rest)),
        "archtrace-sim" => Some((archtrace_sim::args::Args::command(), rest)),
        _ => None,
    }
}

/// Whether the program takes it; what is of others passes.
pub(crate) fn check(command: &str) -> Result<(), String> {
    let words = shell::words(command);
    if words.first().is_some_and(|program| program == "cargo") {
        return example(&words);
    }
    taken(&words).map_err(|error| error.to_string())
}

fn taken(words: &[String]) -> Result<(), clap::Error> {
    let Some((parser, args)) = parser(words) else {
        return Ok(());
    };
    match parser.no_binary_name(true).try_get_matches_from(args) {
        Err(error) if error.use_stderr() => Err(error),
        _ => Ok(()),
    }
}

/// That there is an example of this name, where one is run.
fn example(words: &[String]) -> Result<(), String> {
    let behind = |option: &str| {
        let at = words.iter().position(|word| word == option)?;
        words.get(at + 1)
    };
    let (Some(package), Some(example)) = (behind("-p"), behind("--example")) else {
        return Ok(());
    };
    let dir = package.trim_start_matches("archtrace-");
    let file = root()
        .join(dir)
        .join("examples")
        .join(format!("{example}.rs"));
    if file.is_file() {
        Ok(())
    } else {
        Err(format!("there is no {}", file.display()))
    }
}

/// What stands for something in running text, and something that it may stand for.
const PLACES: [(&str, &str); 3] = [
    ("ADDR", "127.0.0.1:50080"),
    ("ARCH", "arm64"),
    ("COMMAND", "facts"),
];

/// What clap says of an option without its value.
const NO_VALUE: &str = "but none was supplied";

/// What begins with a program's name and is no command.
const MESSAGE: &str = "archtrace needs a kernel";

/// Commands in running text are run by nobody, and yet have to be right as far as they go: that something is
/// left out is no mistake where a command or an option is only named.
#[test]
fn commands_in_running_text_are_taken() {
    let left_out = [
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
    ];
    let mut wrong = Vec::new();
    for page in Page::all() {
        for (line, code) in page.codes() {
            let mut words = shell::words(&code.replace("kubectl archtrace", "kubectl-archtrace"));
            for word in &mut words {
                let place = PLACES.iter().find(|(place, _)| place == word);
                place
                    .iter()
                    .for_each(|(_, with)| *word = (*with).to_owned());
            }
            let error = taken(&words).err();
            let error = error.filter(|error| !left_out.contains(&error.kind()));
            let error = error.filter(|error| !error.to_string().contains(NO_VALUE));
            if let Some(error) = error.filter(|_| !code.starts_with(MESSAGE)) {
                wrong.push(format!("{}:{line}: {code}: {error}", page.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
