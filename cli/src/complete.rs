//! What shells complete: scripts for them, and answers to kubectl.
//!
//! kubectl runs `kubectl_complete-archtrace WORDS` and reads candidates, one a line with a description
//! behind a tab, and then a line with a colon and what cobra calls a directive (cobra, `completions.go`).

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::aot;

use crate::args::{Args, Shell};

/// `ShellCompDirectiveNoFileComp`: nothing else fits.
const NO_FILES: &str = ":4";
/// `ShellCompDirectiveDefault`: files may fit.
const FILES: &str = ":0";

/// The words `__complete` are not the shell's: what is given is not to be completed by us again.
const KUBECTL: &str = "\
#!/bin/sh
# Completions of kubectl archtrace: put this into your PATH as kubectl_complete-archtrace.
exec kubectl-archtrace __complete -- \"$@\"
";

/// What makes a shell complete.
pub(crate) fn script(shell: Shell) -> String {
    let generate = |shell: aot::Shell| {
        let mut script = Vec::new();
        aot::generate(shell, &mut Args::command(), "archtrace", &mut script);
        String::from_utf8_lossy(&script).into_owned()
    };
    match shell {
        Shell::Bash => generate(aot::Shell::Bash),
        Shell::Zsh => generate(aot::Shell::Zsh),
        Shell::Fish => generate(aot::Shell::Fish),
        Shell::Kubectl => KUBECTL.to_owned(),
    }
}

/// What kubectl is told of these words, the last of which is to be completed.
pub(crate) fn answer(words: &[String]) -> String {
    let mut command = Args::command();
    // Options of all commands are then those of each.
    command.build();
    let found = candidates(&command, words);
    let lines = found
        .iter()
        .map(|(word, about)| format!("{word}\t{about}\n"));
    let lines: String = lines.collect();
    let directive = if found.is_empty() { FILES } else { NO_FILES };
    format!("{lines}{directive}\n")
}

/// Words that the last one may become, and what they are.
fn candidates(root: &Command, words: &[String]) -> Vec<(String, String)> {
    let Some((last, before)) = words.split_last() else {
        return Vec::new();
    };
    let mut command = root;
    let mut waiting = None;
    for word in before {
        // What an option waits for is no command.
        if waiting.take().is_some() {
            continue;
        }
        if word.starts_with('-') {
            waiting = option(command, word).filter(|arg| arg.get_action().takes_values());
        } else if let Some(inner) = command.find_subcommand(word) {
            command = inner;
        }
    }
    if let Some(arg) = waiting {
        return values(arg, last);
    }
    if !last.starts_with('-') {
        let inner = command
            .get_subcommands()
            .filter(|inner| !inner.is_hide_set());
        let inner = inner.map(|inner| (inner.get_name().to_owned(), inner.get_about()));
        let inner = inner.filter(|(name, _)| name.starts_with(last.as_str()));
        let inner = inner.map(|(name, about)| (name, first_line(about)));
        let positional = command.get_positionals().flat_map(|arg| values(arg, last));
        return inner.chain(positional).collect();
    }
    let longs = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let longs = longs.filter_map(|arg| Some((format!("--{}", arg.get_long()?), arg)));
    let longs = longs.filter(|(long, _)| long.starts_with(last.as_str()));
    longs
        .map(|(long, arg)| (long, first_line(arg.get_help())))
        .collect()
}

/// The option that a word is; none if its value is in the word too.
fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| {
        let is_long = arg
            .get_long()
            .is_some_and(|long| word.strip_prefix("--") == Some(long));
        let short = word.strip_prefix('-').map(str::chars);
        let short =
            short.and_then(|mut letters| letters.next().filter(|_| letters.next().is_none()));
        is_long || (short.is_some() && arg.get_short() == short)
    })
}

fn values(arg: &Arg, begin: &str) -> Vec<(String, String)> {
    let values = arg.get_possible_values().into_iter();
    let values = values.filter(|value| !value.is_hide_set() && value.get_name().starts_with(begin));
    let values = values.map(|value| (value.get_name().to_owned(), first_line(value.get_help())));
    values.collect()
}

fn first_line(about: Option<&clap::builder::StyledStr>) -> String {
    let text = about.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed() {
        for (words, expected, directive) in [
            (&["emu"][..], &["emulated"][..], NO_FILES),
            (&["co"], &["cost", "coverage", "completions"], NO_FILES),
            (&["__"], &[], FILES),
            (&["emulated", "--runn"], &["--running"], NO_FILES),
            // An option of all commands, and one of another command.
            (
                &["emulated", "--tls-c"],
                &["--tls-ca", "--tls-cert"],
                NO_FILES,
            ),
            (&["emulated", "--from-kubernetes"], &[], FILES),
            (&["-o", "j"], &["json"], NO_FILES),
            (&["nodes", "--output", "w"], &["wide"], NO_FILES),
            // The value of an option is no command, and a file is not ours to know.
            (&["--tls-ca", "nodes", "emu"], &["emulated"], NO_FILES),
            (&["--tls-ca", "/e"], &[], FILES),
            (&["completions", "k"], &["kubectl"], NO_FILES),
            (&[], &[], FILES),
        ] {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            let answer = answer(&words);
            let mut lines: Vec<_> = answer.lines().collect();
            assert_eq!(lines.pop(), Some(directive), "{words:?}");
            let mut found: Vec<_> = lines
                .iter()
                .filter_map(|line| line.split('\t').next())
                .collect();
            found.sort_unstable();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(found, expected, "{words:?}");
        }
    }
}
