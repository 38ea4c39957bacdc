//! Options, and which exit code says what.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use clap::builder::styling::Styles;

const AFTER_HELP: &str = "\
Examples:
  archtrace-collector
      For this machine only: listens on loopback, keeps archtrace.db in the current directory.
  archtrace-collector --store sqlite:/var/lib/archtrace/archtrace.db
  archtrace-collector --listen 0.0.0.0:50061 --insecure-plaintext
      For other machines, without encryption: only in a network that you trust.

Signals:
  SIGINT and SIGTERM end it after everything that was taken in is stored.

Exit codes:
  0  ended because it was asked to
  1  something failed while it ran
  2  a bad option
  3  it cannot listen on the address
  4  it cannot open the store";

/// Takes what archtrace agents report, keeps it, and answers questions about all nodes.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP, styles = Styles::plain(), max_term_width = 100)]
pub struct Args {
    /// Address and port for agents and for questions (gRPC)
    #[arg(
        long,
        env = "ARCHTRACE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:50061"
    )]
    pub listen: SocketAddr,

    /// Where to keep what is reported: sqlite:PATH, a file that is created if it is not there
    #[arg(
        long,
        env = "ARCHTRACE_STORE",
        value_name = "STORE",
        default_value = "sqlite:archtrace.db"
    )]
    pub store: StoreUrl,

    /// Allow an address beyond loopback although nothing is encrypted and nobody is authenticated
    #[arg(long, env = "ARCHTRACE_INSECURE_PLAINTEXT")]
    pub insecure_plaintext: bool,

    /// How often agents shall report at least; a node is stale after three times this
    #[arg(
        long,
        env = "ARCHTRACE_HEARTBEAT_INTERVAL",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = heartbeat_interval
    )]
    pub heartbeat_interval: Duration,

    /// What to log: error, warn, info, debug, trace, or a filter such as archtrace_collector=debug
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

impl Args {
    /// Refuses plaintext beyond loopback, unless it was asked for.
    ///
    /// # Errors
    /// What to do about it.
    pub fn check(&self) -> Result<(), String> {
        if self.listen.ip().to_canonical().is_loopback() || self.insecure_plaintext {
            return Ok(());
        }
        Err(format!(
            "--listen {} is not a loopback address, and every peer could report and read without \
             encryption; add --insecure-plaintext if the network is trusted, or listen on 127.0.0.1",
            self.listen
        ))
    }
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// One file.
    Sqlite(PathBuf),
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(
                "a store is sqlite:PATH, such as sqlite:/var/lib/archtrace/archtrace.db".to_owned(),
            ),
        }
    }
}

/// From a second to an hour, so that neither agents are a load nor silence goes unnoticed for days.
fn heartbeat_interval(text: &str) -> Result<Duration, String> {
    let duration: jiff::SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    match Duration::try_from(duration) {
        Ok(duration) if (1..=3600).contains(&duration.as_secs()) => Ok(duration),
        _ => Err("it has to be between 1s and 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], expected: Result<(), &str>) {
        let parsed = Args::try_parse_from([&["archtrace-collector"], args].concat());
        let outcome = parsed
            .map_err(|error| error.to_string())
            .and_then(|args| args.check());
        match (outcome, expected) {
            (Ok(()), Ok(())) => {}
            (Err(told), Err(part)) if told.contains(part) => {}
            (outcome, _) => panic!("{args:?}: {outcome:?}, not {expected:?}"),
        }
    }

    #[test]
    fn options_are_checked() {
        check(&[], Ok(()));
        check(&["--listen", "[::1]:0"], Ok(()));
        check(&["--listen", "[::ffff:127.0.0.1]:0"], Ok(()));
        check(&["--listen", "0.0.0.0:1"], Err("--insecure-plaintext"));
        check(&["--listen", "0.0.0.0:1", "--insecure-plaintext"], Ok(()));
        check(&["--listen", "localhost"], Err("invalid socket address"));
        check(&["--store", "/tmp/x"], Err("sqlite:PATH"));
        check(&["--store", "sqlite:"], Err("sqlite:PATH"));
        check(&["--heartbeat-interval", "500ms"], Err("between 1s and 1h"));
        check(&["--heartbeat-interval", "2h"], Err("between 1s and 1h"));
        check(&["--heartbeat-interval=-5s"], Err("between 1s and 1h"));
        check(&["--heartbeat-interval", "soon"], Err("soon"));
        check(&["--heartbeat-interval", "2s"], Ok(()));
    }
}
