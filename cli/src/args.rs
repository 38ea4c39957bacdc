//! Commands and options.

mod ask;
mod conditions;
mod connection;
mod scan;

pub(crate) use ask::{
    EmulatedArgs, EventsArgs, FactsArgs, FindingsArgs, ImagesArgs, NodesArgs, Question,
    SummaryArgs, TopArgs,
};
pub(crate) use conditions::Conditions;
pub(crate) use connection::Connection;
pub(crate) use scan::{ScanArgs, is_scan};

use clap::builder::styling::Styles;
use clap::{Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "\
Examples:
  archtrace emulated                     what ran emulated in the last 24 h, on all nodes
  archtrace emulated --running           only what does so now
  archtrace top                          the same live, by what it costs
  archtrace summary --by workload,arch   how many of what, and on how many nodes
  archtrace findings --severity high     what somebody should act on
  archtrace events --follow              what happens from now on
  archtrace facts --mode emulated,failed --arch arm64 -o json | jq .binary
  archtrace facts --not --namespace kube-system --filter 'count >= 10'
  archtrace images -o wide               which images hold files of another architecture
  archtrace nodes                        which nodes report, and how well they can watch
  archtrace emulated --socket /run/archtrace/agent.sock   on this node; no collector needed
  archtrace doctor                       which hooks work on this machine, no collector needed
  archtrace scan app.tar                 may this image run on arm64? no collector needed
  archtrace COMMAND --help               more of them

Filters:
  All of them have to match. Values with commas between them are alternatives, and * stands for any
  characters. --not turns the filter behind it round. --filter takes a condition over more fields,
  with AND, OR, NOT and parentheses.

Output:
  -o json prints one object a line: times are RFC 3339 in UTC, cpu_seconds is a number, names that
  are not known are \"\", and emulator, via, cause, errno, instruction and handler are null where
  there can be none. count is how many like it there were so far, message what tables show as WHY.
  Nodes that an answer cannot speak for, because they are stale or never reported, are named on
  stderr, and counted in the field coverage.
  Colour is used on a terminal only, and not at all if NO_COLOR is set.

Environment:
  ARCHTRACE_SERVER, ARCHTRACE_TIMEOUT, ARCHTRACE_TLS_CA, ARCHTRACE_TLS_CERT, ARCHTRACE_TLS_KEY,
  ARCHTRACE_TLS_SERVER_NAME and ARCHTRACE_TOKEN_FILE stand for the options of these names.

Exit codes:
  0  the question was answered, be it with nothing
  1  something failed
  2  a bad option
  3  whoever is asked cannot be reached, or did not answer in time
  4  whoever is asked does not let you ask
  scan has its own: 0 clean, 2 findings, 1 failed or a bad option";

/// Tells which processes run emulated, fail to start for their architecture, and where.
#[derive(Debug, Parser)]
#[command(name = "archtrace", version, after_help = AFTER_HELP, styles = Styles::plain(), max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: Connection,

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
    Ask(Box<Question>),
    /// What an agent could watch on this machine, and why not better; needs root
    Doctor,
    /// Which files of an image or a directory are for another architecture; for CI, and without a
    /// collector
    Scan(ScanArgs),
}
