//! Commands whose exit code others decide by.

use std::ffi::OsString;

use clap::CommandFactory as _;

use super::Args;

/// Of these, 2 says that something is not as it should be: a bad option must not look like that.
const GATES: [&str; 4] = ["matrix", "registry", "scan", "verify"];

/// Whether arguments, even those that could not be parsed, are for one of them: the first one that is no
/// option, and no value of an option that all commands have.
pub(crate) fn is_gate(args: impl IntoIterator<Item = OsString>) -> bool {
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let arg = arg.to_string_lossy();
        match &*arg {
            "-o" => drop(args.next()),
            option if takes_value(option) => drop(args.next()),
            option if option.starts_with('-') => {}
            command => return GATES.contains(&command),
        }
    }
    false
}

/// Whether the word behind it is the value of this option, which all commands have.
fn takes_value(option: &str) -> bool {
    let Some(name) = option.strip_prefix("--") else {
        return false;
    };
    let command = Args::command();
    let mut options = command.get_arguments();
    options.any(|known| known.get_long() == Some(name) && known.get_action().takes_values())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_told_from_values() {
        for (args, gate) in [
            (&["scan", "--nonsense"][..], true),
            (&["verify"], true),
            (&["registry", "--nonsense"], true),
            (&["-o", "json", "scan"], true),
            (&["-ojson", "--server=x", "matrix"], true),
            (&["--socket", "facts", "scan"], true),
            (&["--tls-ca", "scan", "facts"], false),
            (&["facts", "--node", "scan"], false),
            (&["-o", "scan"], false),
            (&["-o"], false),
            (&[], false),
        ] {
            assert_eq!(is_gate(args.iter().map(OsString::from)), gate, "{args:?}");
        }
    }
}
