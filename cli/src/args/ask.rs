//! What a collector, or an agent, is asked.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::Status;
use archtrace_facts::finding::{self, Severity};
use archtrace_facts::fleet::Dimension;
use archtrace_facts::report::Record;
use clap::Subcommand;

use super::{Conditions, CostArgs, OfNodes};
use crate::since::Since;

/// What is asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    /// What runs, or ran, emulated
    Emulated(EmulatedArgs),
    /// What runs emulated now, the most expensive first: on a terminal, live
    Top(TopArgs),
    /// Everything that is known of every binary
    Facts(FactsArgs),
    /// Sums over what is there now, by workload, architecture and more
    Summary(SummaryArgs),
    /// What emulation costs: CPU time over time, by workload and more, and in money
    Cost(CostArgs),
    /// What somebody should act on, the worst first
    Findings(FindingsArgs),
    /// Whether mandated agents run on every node, natively and in a certified version; with exit codes for
    /// scripts
    Coverage(CoverageArgs),
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
#[command(after_help = "\
Examples:
  archtrace emulated                               in the last 24 h, on all nodes
  archtrace emulated --running --watch             what does so now, again each second
  archtrace emulated --not --namespace kube-system --node-arch arm64
  archtrace emulated --filter 'cpu > 60s' -o wide  what has cost more than a minute of CPU time
  archtrace emulated --socket /run/archtrace/agent.sock   on this node, with no collector")]
pub(crate) struct EmulatedArgs {
    #[command(flatten)]
    pub(crate) conditions: Conditions<false>,
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
#[command(after_help = "\
Examples:
  archtrace top                                    the whole fleet, every two seconds
  archtrace top --socket /run/archtrace/agent.sock this node, with no collector
  archtrace top --namespace pay --interval 0.5

CPU% is of one CPU, since the last refresh. Keys are shown at the bottom; q quits.
For programs there is archtrace facts --watch --mode emulated -o json.")]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) conditions: Conditions<false>,
    /// Seconds between refreshes
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = interval)]
    pub(crate) interval: Duration,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archtrace facts --mode emulated,failed --arch arm64 -o json | jq .binary
  archtrace facts --workload 'Deployment/*' --not --mode native
  archtrace facts --history --pod api-7c9          of pods that are gone, too
  archtrace facts --watch --mode failed            live: what is there, then what changes
  archtrace facts --filter 'count >= 1000 AND image:\"nginx\"'")]
pub(crate) struct FactsArgs {
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// From when on: a span such as 24h or 7d, a time such as 2026-01-31T12:00:00Z, or all; other than
    /// all it asks for history too
    #[arg(long, value_name = "WHEN", default_value = "all", value_parser = Since::parse)]
    pub(crate) since: Since,
    /// Also what no agent keeps any more, such as facts of pods that are gone
    #[arg(long)]
    pub(crate) history: bool,
    /// Only what has processes alive
    #[arg(long)]
    pub(crate) running: bool,
    /// What is there now, then every change as it comes, until interrupted
    #[arg(long, conflicts_with = "history")]
    pub(crate) watch: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archtrace summary                                by architecture and mode
  archtrace summary --by workload,arch --mode emulated
  archtrace summary --by node --limit 20 --not --mode native
  archtrace summary --by \"\"                        one row for all

It counts what agents keep now. Below the table, and in the field coverage of JSON, is told how many
nodes report, how many are stale (counted as they last were), and how many are unknown (not counted).")]
pub(crate) struct SummaryArgs {
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// What by: cluster, node, namespace, workload, image, arch, mode
    #[arg(long, value_name = "DIMENSION", default_value = "arch,mode", value_parser = dimensions)]
    pub(crate) by: Dimensions,
    /// At most so many rows, those with most facts
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) limit: Option<u16>,
}

/// What sums are taken by.
#[derive(Clone, Debug)]
pub(crate) struct Dimensions(pub(crate) Vec<Dimension>);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archtrace findings --severity high               what is broken, or costs a multiple
  archtrace findings --finding exec-format-error,missing-emulator -n pay
  archtrace findings -o json | jq -r '[.severity, .finding, .subject] | @tsv'

docs/findings.md explains each finding, how to confirm it and how to fix it.")]
pub(crate) struct FindingsArgs {
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// Only what matters at least that much: info, low, medium, high, critical
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<Severity>,
    /// Only these findings, such as exec-format-error
    #[arg(
        long = "finding",
        value_name = "ID",
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub(crate) findings: Vec<finding::Id>,
}

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archtrace coverage                               what is not NATIVE, and how many are what
  archtrace coverage --arch arm64 --agent falcon   on arm64 nodes, and on unknown ones
  archtrace coverage --status missing,unknown -o json | jq -r .node
  archtrace coverage --node ip-10-0-1-7 -o wide --history   with what it was before

The collector has to be started with --policy FILE, which names the agents. The table leaves NATIVE
out unless --status asks for it; wide and JSON do not. Each agent on each node is one of:
  NATIVE       it runs by the CPU, in a certified version
  WAIVED       it is not as it has to be, and a waiver that has not expired lets it pass
  UNCERTIFIED  it runs by the CPU, in another version
  MISSING      nothing of it is on the node
  EMULATED     an emulator runs it
  FAILING      it cannot be executed, died of SIGILL, or restarts again and again: in the last ten
               minutes, or after it last ran
  STALE        the node does not report any more
  UNKNOWN      the node should report and never did (its architecture is not known, so that --arch
               does not leave it out). Or nothing of the agent is seen, and one of the node's pods
               that may be it runs in a sandbox of its own (gVisor, Kata); or it seems to be NATIVE,
               where archtrace's own agent sees too little to tell

Exit codes:
  0  all that was asked for is NATIVE or WAIVED, whatever --status leaves out
  5  something is UNCERTIFIED, MISSING, EMULATED or FAILING
  6  nothing of that, but something is STALE or UNKNOWN, or there is nothing to tell of; or of the nodes
     that the policy has for an agent none is known (a wrong name of a cluster, or none has come yet)
  1 to 4 as in archtrace --help; 1 also if the collector has no policy")]
pub(crate) struct CoverageArgs {
    /// Only these agents, by their names in the policy
    #[arg(long = "agent", value_name = "NAME", value_delimiter = ',')]
    pub(crate) agents: Vec<String>,
    /// Only nodes of these architectures, such as arm64
    #[arg(
        long = "arch",
        visible_alias = "node-arch",
        value_name = "ARCH",
        value_delimiter = ','
    )]
    pub(crate) archs: Vec<Arch>,
    #[command(flatten)]
    pub(crate) of_nodes: OfNodes,
    /// Only rows like this, such as missing
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',', value_parser = coverage_status)]
    pub(crate) statuses: Vec<Status>,
    /// Also what it was before
    #[arg(long)]
    pub(crate) history: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archtrace events --since 1h --kind failed_exec -o wide
  archtrace events --kind illegal_instruction      what died of SIGILL, and of which instruction
  archtrace events --follow                        what happens from now on
  archtrace events --follow --since 10m -o json | jq -r .message

With --follow the oldest comes first. A connection that breaks is made again, and what was shown
already is left out; that this happened is told on stderr.")]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// What happened: emulated_exec, failed_exec, illegal_instruction, handler_added,
    /// handler_removed, loss
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    pub(crate) kinds: Vec<String>,
    /// From when on: a span such as 24h or 7d, a time such as 2026-01-31T12:00:00Z, or all [default: all;
    /// with --follow, from now on]
    #[arg(long, value_name = "WHEN", value_parser = Since::parse)]
    pub(crate) since: Option<Since>,
    /// Only the newest so many
    #[arg(long, value_name = "NUMBER", conflicts_with = "follow")]
    pub(crate) limit: Option<usize>,
    /// Go on with what happens, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archtrace images                                 every image, and the architectures of its files
  archtrace images nginx -o wide                   which of its files are foreign
  archtrace images --lacks arm64 -o wide           of which registries have no image for arm64 any more
  archtrace images --node node-7 -o json | jq 'select(.findings != [])'")]
pub(crate) struct ImagesArgs {
    /// Only those of containers on these nodes
    #[arg(long = "node", value_name = "NAME", value_delimiter = ',')]
    pub(crate) nodes: Vec<String>,
    /// Only those whose name contains one of these
    #[arg(value_name = "IMAGE")]
    pub(crate) names: Vec<String>,
    /// Only those whose registry has no image for this architecture under a name that pods ask for: what
    /// archtrace registry tells, by image
    #[arg(long, value_name = "ARCH")]
    pub(crate) lacks: Option<Arch>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archtrace nodes                                  who reports, through which hooks
  archtrace nodes --node node-7 -o wide            what is missing there, and why
  archtrace nodes --handlers                       which emulators are registered, and since when")]
pub(crate) struct NodesArgs {
    /// Only these nodes
    #[arg(long = "node", value_name = "NAME", value_delimiter = ',')]
    pub(crate) nodes: Vec<String>,
    /// The handlers of binfmt_misc, one a row: what each node is able to emulate
    #[arg(long)]
    pub(crate) handlers: bool,
}

fn coverage_status(text: &str) -> Result<Status, String> {
    let status = text.to_ascii_uppercase().parse::<Status>();
    status.map_err(|error| error.to_string())
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

fn dimensions(text: &str) -> Result<Dimensions, String> {
    distinct(text).map(Dimensions)
}

/// Words with commas between them, each once.
pub(super) fn distinct<T>(text: &str) -> Result<Vec<T>, String>
where
    T: FromStr<Err: Display> + PartialEq,
{
    let words = text.split(',').filter(|word| !word.is_empty());
    let mut values = Vec::new();
    for word in words {
        let value = word.parse::<T>().map_err(|error| error.to_string())?;
        if values.contains(&value) {
            return Err(format!("{word} is named twice"));
        }
        values.push(value);
    }
    Ok(values)
}
