//! `docs/options.md`, made from what the programs say of their options.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use super::{cell, check};

const HEAD: &str = "\
# Options

Every option of every program, as `--help` tells them. This page is written by `cargo xtask docs --write`.

Where there is an environment variable, the option wins. Options of a program are also those of its commands, but for
the collector's. `--help` has examples, and [exit codes](exit-codes.md) have a page of their own.
";

/// The agent reads each of its options from three places.
const AGENT: &str = "
Each is also read from the environment (`ARCHTRACE_NODE_NAME` for `--node-name`), and from the TOML file of `--config`
(`node_name = \"...\"`). The command line wins, then the environment, then the file.
";

#[test]
fn options_are_told() {
    let mut text = HEAD.to_owned();
    program(&mut text, &archtrace_cli::command(), "");
    program(&mut text, &archtrace_agent::config::Cli::command(), AGENT);
    program(&mut text, &archtrace_collector::args::Args::command(), "");
    check("docs/options.md", &text);
}

fn program(text: &mut String, command: &Command, more: &str) {
    let _ = write!(
        text,
        "\n## {}\n\n{}.\n{more}",
        command.get_name(),
        about(command)
    );
    table(text, command);
    inner(text, command, command.get_name());
}

/// Its subcommands, and theirs.
fn inner(text: &mut String, command: &Command, before: &str) {
    for command in command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let name = format!("{before} {}", command.get_name());
        let _ = write!(text, "\n### {name}\n\n{}.\n", about(command));
        table(text, command);
        inner(text, command, &name);
    }
}

/// Without what all programs have.
fn table(text: &mut String, command: &Command) {
    let is_told =
        |arg: &&Arg| !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version");
    let args: Vec<_> = command.get_arguments().filter(is_told).collect();
    if args.is_empty() {
        return;
    }
    text.push_str("\n| option | environment | default | what it is |\n|---|---|---|---|\n");
    for arg in args {
        let environment = arg
            .get_env()
            .map(|name| format!("`{}`", name.to_string_lossy()));
        let help = arg.get_long_help().or(arg.get_help());
        let help = help.map(ToString::to_string).unwrap_or_default();
        // What clap does not know is said in words.
        let (help, said) = match help.trim_end_matches(']').rsplit_once(" [default: ") {
            Some((help, default)) => (help, Some(default)),
            None => (help.as_str(), None),
        };
        let default = given(arg).or(said.map(cell)).unwrap_or_default();
        let environment = environment.unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {environment} | {default} | {}{} |",
            name(arg),
            cell(help),
            values(arg)
        );
    }
}

/// What it is if nobody says. A switch is off, and that is said by its being one.
fn given(arg: &Arg) -> Option<String> {
    let values = arg.get_default_values().iter();
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    let is_told = !values.is_empty() && arg.get_action().takes_values();
    is_told.then(|| format!("`{}`", values.join(",")))
}

/// `-n`, `--namespace NAMES`; or, where it is no option, `PATHS...`.
fn name(arg: &Arg) -> String {
    let value = arg.get_value_names().unwrap_or_default().join(" ");
    let many = arg
        .get_num_args()
        .is_some_and(|count| count.max_values() > 1);
    let value = if many || (arg.is_positional() && matches!(arg.get_action(), ArgAction::Append)) {
        format!("{value}...")
    } else {
        value
    };
    let value = if arg.get_action().takes_values() {
        value
    } else {
        String::new()
    };
    let long = arg
        .get_long()
        .map(|long| format!("--{long} {value}").trim_end().to_owned());
    let short = arg.get_short().map(|short| format!("-{short}"));
    let names: Vec<_> = match (short, long) {
        (None, None) => vec![value],
        (short, long) => short.into_iter().chain(long).collect(),
    };
    let names = names
        .iter()
        .map(|name| format!("`{}`", name.replace('|', "\\|")));
    names.collect::<Vec<_>>().join(", ")
}

fn values(arg: &Arg) -> String {
    let values = arg
        .get_possible_values()
        .into_iter()
        .filter(|value| !value.is_hide_set());
    let values: Vec<_> = values
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if values.is_empty() || !arg.get_action().takes_values() {
        return String::new();
    }
    format!(": {}", values.join(", "))
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    cell(about.trim_end_matches('.'))
}
