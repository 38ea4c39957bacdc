//! Options of `archtrace-sim`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

const AFTER_HELP: &str = "\
Examples:
  archtrace-sim --nodes 1000 --updates-per-second 200 --duration 60s
      A thousand nodes report to http://127.0.0.1:50061 for a minute; then what the collector has is
      compared with what they produced.
  archtrace-sim --collector http://127.0.0.1:50061 --collector http://127.0.0.1:50062 --moves-per-second 5
      Two replicas over one store, and agents that move between them.
  archtrace-sim --storm-every 10s --restarts-per-second 1 --state-dir /tmp/spools
      Everybody reconnects at once, again and again; agents end like kill -9.

Exit codes:
  0  everything is told and right
  1  something is not; it is said what
  2  a bad option";

/// Reports to collectors like many archtrace agents, and checks what becomes of it.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Args {
    /// Collectors; agents are spread over them
    #[arg(
        long = "collector",
        value_name = "URL",
        default_value = "http://127.0.0.1:50061"
    )]
    pub collectors: Vec<String>,

    /// How many agents
    #[arg(long, default_value_t = 100)]
    pub nodes: usize,

    /// Facts of each node; 16000 at most
    #[arg(long, default_value_t = 30, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=16_000))]
    pub facts: usize,

    /// What everything follows from, but the time it takes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Name of the cluster
    #[arg(long, default_value = "sim")]
    pub cluster: String,

    /// What names of nodes start with
    #[arg(long, default_value = "sim-")]
    pub prefix: String,

    /// How long things happen
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub duration: Duration,

    /// How long it may take then until everything is told
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub settle: Duration,

    /// Where agents keep events: a directory for each in this one; in memory only without it
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "what it holds is documented")]
    pub rates: Rates,

    #[command(flatten)]
    #[expect(missing_docs, reason = "what it holds is documented")]
    pub odd: Odd,

    #[command(flatten)]
    #[expect(missing_docs, reason = "what it holds is documented")]
    pub tls: Tls,

    /// What to log, such as warn or archtrace_sink=debug
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "error")]
    pub log: String,
}

/// How often things happen, in all of the fleet.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "What happens, in all of the fleet")]
pub struct Rates {
    /// Facts that get new numbers
    #[arg(long, value_name = "RATE", default_value_t = 100.0)]
    pub updates_per_second: f64,
    /// Events
    #[arg(long, value_name = "RATE", default_value_t = 10.0)]
    pub events_per_second: f64,
    /// Losses in the kernel's buffer
    #[arg(long, value_name = "RATE", default_value_t = 0.1)]
    pub losses_per_second: f64,
    /// Pods that are replaced
    #[arg(long, value_name = "RATE", default_value_t = 1.0)]
    pub pods_per_second: f64,
    /// Streams that are cut
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    pub cuts_per_second: f64,
    /// Agents that move to the next collector
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    pub moves_per_second: f64,
    /// Agents that end like kill -9, and start again
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    pub restarts_per_second: f64,
    /// Clocks that jump by up to an hour
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    pub jumps_per_second: f64,
    /// Everybody reconnects at once, so often
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub storm_every: Option<Duration>,
}

/// Agents beside the others that do what they should not.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Agents that are odd, beside the others")]
pub struct Odd {
    /// Agents that send each batch of events twice
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub duplicates: usize,
    /// Nodes where the agent of an older epoch comes back again and again
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub old_epochs: usize,
    /// Agents that do not read answers
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub slow_readers: usize,
    /// Agents that measure how long acknowledgements take
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub probes: usize,
}

/// How to speak to collectors whose URL begins with https.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct Tls {
    /// Certificates of the authority that the collector's is from (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Where each node's certificate and key are: node-NODE.crt and node-NODE.key
    #[arg(long, value_name = "DIR", requires = "tls_ca")]
    pub tls_nodes: Option<PathBuf>,
    /// Certificate of a reader, who compares (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_reader_key")]
    pub tls_reader_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_reader_cert")]
    pub tls_reader_key: Option<PathBuf>,
    /// Name in the collector's certificate, if it is not that of the URL
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
}

/// Such as 90s or 2m.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => match text.strip_suffix('m') {
            Some(number) => (number, 60.0),
            None => (text.strip_suffix('s').unwrap_or(text), 1.0),
        },
    };
    let seconds: f64 = number
        .parse()
        .map_err(|_| "it has to be such as 500ms, 90s or 2m")?;
    Duration::try_from_secs_f64(seconds * unit).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, ms) in [
            ("500ms", Some(500)),
            ("90s", Some(90_000)),
            ("2m", Some(120_000)),
            ("x", None),
            ("-1s", None),
        ] {
            assert_eq!(duration(text).ok(), ms.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn options_are_sound() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }
}
