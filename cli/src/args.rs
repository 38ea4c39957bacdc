//! Commands and options.

mod scan;

pub(crate) use scan::{ScanArgs, is_scan};

use std::time::Duration;

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Mode;
use archtrace_facts::report::Record;
use clap::builder::styling::Styles;
use clap::{Parser, Subcommand, ValueEnum};

use crate::since::Since;

const AFTER_HELP: &str = "\
Examples:
  archtrace emulated                     what ran emulated in the last 24 h, on all nodes
  archtrace emulated --running           only what does so now
  archtrace events --since 1h --kind failed_exec -o wide
  archtrace events --kind illegal_instruction  what died of SIGILL, and of which instruction
  archtrace facts --mode emulated,failed --arch arm64 -o json | jq .binary
  archtrace images -o wide               which images hold files of another architecture
  archtrace nodes                        which nodes report, and how well they can watch
  archtrace doctor                       which hooks work on this machine, no collector needed
  archtrace scan app.tar                 may this image run on arm64? no collector needed

Output:
  -o json prints one object a line: times are RFC 3339 in UTC, cpu_seconds is a number, names that
  are not known are \"\", and emulator, via, cause, errno, instruction and handler are null where
  there can be none. count is how many like it there were so far, message what tables show as WHY.
  Colour is used on a terminal only, and not at all if NO_COLOR is set.

Exit codes:
  0  the question was answered, be it with nothing
  1  something failed
  2  a bad option
  3  the collector cannot be reached
  scan has its own: 0 clean, 2 findings, 1 failed or a bad option";

/// Tells which processes run emulated, fail to start for their architecture, and where.
#[derive(Debug, Parser)]
#[command(name = "archtrace", version, after_help = AFTER_HELP, styles = Styles::plain(), max_term_width = 100)]
pub(crate) struct Args {
    /// The collector to ask
    #[arg(
        long,
        global = true,
        env = "ARCHTRACE_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:50061",
        value_parser = server
    )]
    pub(crate) server: String,

    /// How to print: for people, for people with every column, one JSON object a line, or (scan only)
    /// as SARIF
    #[arg(
        short = 'o',
        long = "output",
        global = true,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) format: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What people may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Wide,
    Json,
    Sarif,
}

/// What every command can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Table,
    Wide,
    Json,
}

impl Format {
    /// `None` for what only `scan` prints.
    pub(crate) fn output(self) -> Option<Output> {
        match self {
            Self::Table => Some(Output::Table),
            Self::Wide => Some(Output::Wide),
            Self::Json => Some(Output::Json),
            Self::Sarif => None,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Ask(Question),
    /// What an agent could watch on this machine, and why not better; needs root
    Doctor,
    /// Which files of an image or a directory are for another architecture; for CI, and without a
    /// collector
    Scan(ScanArgs),
}

/// What a collector is asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    /// What runs, or ran, emulated
    Emulated(EmulatedArgs),
    /// Everything that is known of every binary
    Facts(FactsArgs),
    /// What happened: emulated and failed execs, illegal instructions, new and lost handlers of
    /// binfmt_misc, and what could not be told
    Events(EventsArgs),
    /// Images of containers: what they claim to be for, and what their files are
    Images(ImagesArgs),
    /// Which nodes report, and how well their agents can watch
    Nodes(NodesArgs),
    /// How the collector is, and what it has stored
    Status,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EmulatedArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) arch: ArchArgs,
    /// From when on: a span such as 24h or 7d, a time such as 2026-01-31T12:00:00Z, or all
    #[arg(long, value_name = "WHEN", default_value = "24h", value_parser = Since::parse)]
    pub(crate) since: Since,
    /// Only what has processes alive
    #[arg(long)]
    pub(crate) running: bool,
    /// Ask again every so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = interval)]
    pub(crate) watch: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FactsArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) arch: ArchArgs,
    /// How it ran: native, compat, emulated, failed
    #[arg(long = "mode", value_name = "MODE", value_delimiter = ',')]
    pub(crate) modes: Vec<Mode>,
    /// From when on: a span such as 24h or 7d, a time such as 2026-01-31T12:00:00Z, or all
    #[arg(long, value_name = "WHEN", default_value = "all", value_parser = Since::parse)]
    pub(crate) since: Since,
    /// Only what has processes alive
    #[arg(long)]
    pub(crate) running: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) arch: ArchArgs,
    /// How it ran: emulated, failed
    #[arg(long = "mode", value_name = "MODE", value_delimiter = ',')]
    pub(crate) modes: Vec<Mode>,
    /// What happened: emulated_exec, failed_exec, illegal_instruction, handler_added,
    /// handler_removed, loss
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    pub(crate) kinds: Vec<String>,
    /// From when on: a span such as 24h or 7d, a time such as 2026-01-31T12:00:00Z, or all
    #[arg(long, value_name = "WHEN", default_value = "all", value_parser = Since::parse)]
    pub(crate) since: Since,
    /// Only the newest so many
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImagesArgs {
    /// Only those of containers on these nodes
    #[arg(long = "node", value_name = "NAME", value_delimiter = ',')]
    pub(crate) nodes: Vec<String>,
    /// Only those whose name contains one of these
    #[arg(value_name = "IMAGE")]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NodesArgs {
    /// Only these nodes
    #[arg(long = "node", value_name = "NAME", value_delimiter = ',')]
    pub(crate) nodes: Vec<String>,
}

/// Every option can be given several times, or with commas.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Only on these nodes
    #[arg(long = "node", value_name = "NAME", value_delimiter = ',')]
    pub(crate) nodes: Vec<String>,
    /// Only in these namespaces
    #[arg(short, long = "namespace", value_name = "NAME", value_delimiter = ',')]
    pub(crate) namespaces: Vec<String>,
    /// Only in these pods
    #[arg(long = "pod", value_name = "NAME", value_delimiter = ',')]
    pub(crate) pods: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ArchArgs {
    /// Only binaries of these architectures: amd64, arm64, arm, 386, riscv64, ...
    #[arg(long = "arch", value_name = "ARCH", value_delimiter = ',')]
    pub(crate) archs: Vec<Arch>,
}

fn server(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some(("http", rest)) if !rest.is_empty() => Ok(text.to_owned()),
        None if !text.is_empty() => Ok(format!("http://{text}")),
        Some(("https", _)) => Err("only plaintext (http://) is known so far".to_owned()),
        _ => Err("a URL looks like http://127.0.0.1:50061".to_owned()),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        // Faster than people can see, and than a collector should be asked.
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("it is a number of seconds from 0.1 to 3600".to_owned()),
    }
}

fn kind(text: &str) -> Result<String, String> {
    if Record::kinds().all(|known| known != text) {
        let known = Record::kinds().collect::<Vec<_>>().join(", ");
        return Err(format!("the known ones are {known}"));
    }
    Ok(text.to_owned())
}
