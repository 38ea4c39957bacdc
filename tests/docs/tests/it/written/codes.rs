//! `docs/exit-codes.md` has every exit code that a program tells of.

use std::collections::BTreeSet;

use archtrace_docs::Page;
use clap::{Command, CommandFactory as _};

/// The part of a page below a heading.
fn section<'a>(page: &'a Page, heading: &str) -> &'a str {
    let (_, rest) = page
        .text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("{heading}"));
    rest.split_once("\n## ")
        .map_or(rest, |(section, _)| section)
}

/// What `--help` says: lines of a number and a text behind `EXIT CODES`.
fn told(command: &Command) -> BTreeSet<String> {
    let help = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let lower = help.to_lowercase();
    let at = lower.find("exit codes:").expect("it tells them");
    let lines = help[at..].lines().map(str::trim);
    let codes = lines.filter_map(|line| line.split_once("  ").map(|(code, _)| code.to_owned()));
    codes.filter(|code| code.parse::<u8>().is_ok()).collect()
}

/// First cells of a table that are numbers.
fn written(section: &str) -> BTreeSet<String> {
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    cells
        .map(|(cell, _)| cell.to_owned())
        .filter(|cell| cell.parse::<u8>().is_ok())
        .collect()
}

#[test]
fn exit_codes_are_told() {
    let page = Page::read("docs/exit-codes.md");
    for command in [
        archtrace_agent::config::Cli::command(),
        archtrace_collector::args::Args::command(),
    ] {
        let name = command.get_name();
        assert_eq!(
            written(section(&page, &format!("`{name}`"))),
            told(&command),
            "{name}"
        );
    }
    let (command, own) = (archtrace_cli::command(), section(&page, "`archtrace`"));
    let header = own
        .lines()
        .find(|line| line.starts_with("| command |"))
        .expect("a table");
    for code in told(&command) {
        assert!(
            header.contains(&format!("| {code} |")),
            "{code} has no column"
        );
    }
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        let name = format!("`{}`", inner.get_name());
        assert!(
            own.contains(&name),
            "{name} is neither in the table nor a question"
        );
    }
}
