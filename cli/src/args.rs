//! Commands and options.

mod ask;
mod completions;
mod conditions;
mod connection;
mod cost;
mod gate;
mod kubernetes;
mod matrix;
mod scan;
mod verify;

pub(crate) use ask::{
    CoverageArgs, EmulatedArgs, EventsArgs, FactsArgs, FindingsArgs, ImagesArgs, NodesArgs,
    Question, SummaryArgs, TopArgs,
};
pub(crate) use completions::{CompleteArgs, CompletionsArgs, Shell};
pub(crate) use conditions::Conditions;
pub(crate) use connection::Connection;
pub(crate) use cost::CostArgs;
pub(crate) use gate::is_gate;
pub(crate) use kubernetes::Kubernetes;
pub(crate) use matrix::MatrixArgs;
pub(crate) use scan::ScanArgs;
pub(crate) use verify::VerifyArgs;

use clap::builder::styling::Styles;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "\
Examples:
  archtrace emulated                     what ran emulated in the last 24 h, on all nodes
  archtrace emulated --running           only what does so now
  archtrace top                          the same live, by what it costs
  archtrace summary --by workload,arch   how many of what, and on how many nodes
  archtrace cost --since 7d              what CPU time emulation used, by workload
  archtrace findings --severity high     what somebody should act on
  archtrace events --follow              what happens from now on
  archtrace facts --mode emulated,failed --arch arm64 -o json | jq .binary
  archtrace facts --not --namespace kube-system --filter 'count >= 10'
  archtrace coverage                     does every mandated agent run, native and certified?
  archtrace images -o wide               which images hold files of another architecture
  archtrace nodes                        which nodes report, and how well they can watch
  archtrace emulated --socket /run/archtrace/agent.sock   on this node; no collector needed
  archtrace doctor                       which hooks work on this machine, no collector needed
  archtrace matrix 'Deployment/*'        may these move to arm64, and what holds them back?
  archtrace verify -n pay --arch arm64   are all its pods native? for a canary
  archtrace scan app.tar                 may this image run on arm64? no collector needed
  kubectl archtrace emulated             the same of the cluster's collector, by a port-forward of its own
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
  coverage also has: 5 an agent is not as it has to be, 6 nobody can tell of some node
  Gates have their own, and 1 for a bad option:
  scan    0 clean, 2 findings
  verify  0 native, 2 something is not, 3 it cannot be known
  matrix  0 every row is PASS or WAIVED, 2 a row is FIX, 3 a row is GATE and none FIX";

/// Tells which processes run emulated, fail to start for their architecture, and where.
#[derive(Debug, Parser)]
#[command(name = "archtrace", version, after_help = AFTER_HELP, styles = Styles::plain(), max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) kubernetes: Kubernetes,

    /// How to print: for people, for people with every column, one JSON object a line, as SARIF (scan
    /// only), or as a table in Markdown or CSV (matrix only)
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

impl Args {
    /// As they were given; `as_plugin` if kubectl started us.
    pub(crate) fn read(as_plugin: bool) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        if as_plugin {
            command = command.bin_name("kubectl archtrace");
        }
        let matches = command.clone().try_get_matches()?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// What people may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Wide,
    Json,
    Sarif,
    Markdown,
    Csv,
}

/// What every command can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Table,
    Wide,
    Json,
}

impl Format {
    /// `None` for what only `scan` or `matrix` print.
    pub(crate) fn output(self) -> Option<Output> {
        match self {
            Self::Table => Some(Output::Table),
            Self::Wide => Some(Output::Wide),
            Self::Json => Some(Output::Json),
            Self::Sarif | Self::Markdown | Self::Csv => None,
        }
    }

    /// As it was asked for.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Wide => "wide",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Ask(Box<Question>),
    /// What an agent could watch on this machine, and why not better; needs root
    Doctor,
    /// Whether pods run natively, for as long as it watches: before a benchmark, or as a step of a canary
    Verify(VerifyArgs),
    /// May a workload move to another architecture? What was seen of it, row by row: PASS, FIX, GATE or
    /// WAIVED
    Matrix(MatrixArgs),
    /// Which files of an image or a directory are for another architecture; for CI, and without a
    /// collector
    Scan(ScanArgs),
    /// What makes shells complete commands and options
    Completions(CompletionsArgs),
    /// What kubectl asks when somebody presses TAB
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArgs),
}

impl Command {
    /// Whether it asks a collector.
    pub(crate) fn asks(&self) -> bool {
        match self {
            Self::Ask(_) | Self::Verify(_) | Self::Matrix(_) => true,
            Self::Doctor | Self::Scan(_) | Self::Completions(_) | Self::Complete(_) => false,
        }
    }
}
