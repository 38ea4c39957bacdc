//! Options of what makes shells complete.

use clap::ValueEnum;

const EXAMPLES: &str = "\
Examples:
  source <(archtrace completions bash)
  archtrace completions zsh > \"${fpath[1]}/_archtrace\"
  archtrace completions fish > ~/.config/fish/completions/archtrace.fish
  archtrace completions kubectl > ~/bin/kubectl_complete-archtrace && chmod +x ~/bin/kubectl_complete-archtrace
      For kubectl archtrace: kubectl runs it, if it is in your PATH";

#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// For which shell, or for kubectl
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Who completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Kubectl,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CompleteArgs {
    /// What stands behind `kubectl archtrace`; the last word is to be completed
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}
