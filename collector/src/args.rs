//! Options, and which exit code says what.

mod auth;
mod export;
mod kubernetes;
mod metrics;
mod nodes;
mod registry;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::Styles;
use clap::{Parser, Subcommand};

use crate::serve::Settings;
use crate::store::Keep;
pub use auth::{AuthArgs, JwksAt};
pub use export::ExportArgs;
pub use kubernetes::KubernetesArgs;
pub use metrics::MetricsArgs;
pub use nodes::NodesArgs;
pub use registry::RegistryArgs;
use store::StoreParser;
pub use store::StoreUrl;

const AFTER_HELP: &str = "\
Examples:
  archtrace-collector
      For this machine only: listens on loopback, keeps archtrace.db in the current directory.
  archtrace-collector dev-certs --out certs --node node-1
      Certificates for trying out, and how to use them.
  archtrace-collector --listen 0.0.0.0:50061 --store sqlite:/var/lib/archtrace/archtrace.db \\
      --tls-cert server.crt --tls-key server.key --client-ca ca.crt
      For a fleet: agents and readers show certificates.
  archtrace-collector --listen 0.0.0.0:50061 --tls-cert server.crt --tls-key server.key \\
      --token-jwks https://kubernetes.default.svc/openid/v1/jwks --token-audience archtrace \\
      --token-jwks-ca /var/run/secrets/kubernetes.io/serviceaccount/ca.crt \\
      --token-jwks-bearer /var/run/secrets/kubernetes.io/serviceaccount/token
      For a fleet: agents show the token of their service account.
  archtrace-collector --store 'postgres://archtrace@db.example/archtrace' \\
      --store-password-file /run/secrets/db …
      For a fleet beyond one machine: several collectors over one database.
  archtrace-collector check-policy policy.yaml && archtrace-collector --policy policy.yaml …
      For archtrace coverage: which agents have to run, where, and in which versions.
  archtrace-collector --registry-check --registry-config /run/secrets/config.json …
      For archtrace registry: which deployed tags have no image for an architecture.
  archtrace-collector --export-otlp http://otel-collector:4317 --export-ocsf /var/log/archtrace.json \\
      --export-state /var/lib/archtrace …
      Events go to an OpenTelemetry collector as logs, and to a file as findings in OCSF.
  archtrace-collector … --kubernetes-pods --kubernetes-events
      Within the cluster, with the rights of deploy/rbac: names of workloads from the Kubernetes API, and
      what happens in pods in kubectl describe pod.
  archtrace-collector … --metrics-listen 0.0.0.0:9465
      Tells Prometheus at /metrics, and probes at /healthz and /readyz.
  archtrace-collector --web-listen 127.0.0.1:50080
      The page, too: http://localhost:50080/
  archtrace-collector --listen 0.0.0.0:50061 --insecure-plaintext
      For other machines, without encryption: only in a network that you trust.

Signals:
  SIGINT and SIGTERM end it after agents were told to leave (--drain) and everything that was taken
  in is stored. A second one ends it at once: what was not acknowledged comes again.

Exit codes:
  0  ended because it was asked to
  1  something failed while it ran, or it was ended at once
  2  a bad option
  3  it cannot listen on an address
  4  it cannot open the store
  5  certificates or keys of tokens cannot be used
  6  the list of nodes cannot be read, or there is no way to the Kubernetes API
  7  the policy cannot be read, or says what no policy may say
  8  an export cannot begin
  9  credentials or the CA of registries cannot be used";

/// Takes what archtrace agents report, keeps it, and answers questions about all nodes.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = AFTER_HELP,
    styles = Styles::plain(),
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    /// Something else than running.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Address and port for agents and for questions (gRPC)
    #[arg(
        long,
        env = "ARCHTRACE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:50061"
    )]
    pub listen: SocketAddr,

    /// Address and port for the page: what the fleet runs, read-only, for a browser. With the TLS, and for
    /// the readers, of --listen; there is none without this option
    #[arg(long, env = "ARCHTRACE_WEB_LISTEN", value_name = "ADDR")]
    pub web_listen: Option<SocketAddr>,

    /// Where to keep what is reported: sqlite:PATH, a file that is created if it is not there, for
    /// one collector; or a PostgreSQL database for any number of them,
    /// postgres://USER@HOST:PORT/DATABASE?sslmode=MODE&sslrootcert=FILE. MODE is verify-full if it is
    /// not said and the host is not this one; FILE holds roots to know the server by, else the
    /// system's are used
    #[arg(
        long,
        env = "ARCHTRACE_STORE",
        hide_env_values = true,
        value_name = "STORE",
        default_value = "sqlite:archtrace.db",
        value_parser = StoreParser
    )]
    pub store: StoreUrl,

    /// File whose first line is the password of the database; read again for each connection. Else
    /// that of the URL, of PGPASSWORD, or of ~/.pgpass
    #[arg(long, env = "ARCHTRACE_STORE_PASSWORD_FILE", value_name = "FILE")]
    pub store_password_file: Option<PathBuf>,

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

    /// Connections at once; fewer if the process may open fewer files
    #[arg(
        long,
        env = "ARCHTRACE_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 20_000,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Limits"
    )]
    pub max_connections: u32,

    /// How old an agent's stream may become, 10 % more or less, before it is told to connect again, so
    /// that replicas share the agents; 0s for no limit
    #[arg(
        long,
        env = "ARCHTRACE_MAX_CONNECTION_AGE",
        value_name = "DURATION",
        default_value = "30m",
        value_parser = duration,
        help_heading = "Limits"
    )]
    pub max_connection_age: Duration,

    /// Over what time agents are told to leave when it ends
    #[arg(
        long,
        env = "ARCHTRACE_DRAIN",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration,
        help_heading = "Limits"
    )]
    pub drain: Duration,

    /// How long events, losses and changes of handlers are kept
    #[arg(
        long,
        env = "ARCHTRACE_KEEP_EVENTS",
        value_name = "DURATION",
        default_value = "30d",
        value_parser = keep,
        help_heading = "Limits"
    )]
    pub keep_events: Duration,

    /// How long facts are kept that no agent keeps any more
    #[arg(
        long,
        env = "ARCHTRACE_KEEP_HISTORY",
        value_name = "DURATION",
        default_value = "90d",
        value_parser = keep,
        help_heading = "Limits"
    )]
    pub keep_history: Duration,

    /// How long a node is kept that is silent and not on the list of nodes that should report: then it is
    /// forgotten, and its facts are history. Without a list its silence alone decides; 0s to keep all
    #[arg(
        long,
        env = "ARCHTRACE_KEEP_NODES",
        value_name = "DURATION",
        default_value = "7d",
        value_parser = keep_nodes,
        help_heading = "Limits"
    )]
    pub keep_nodes: Duration,

    /// Which nodes should report.
    #[command(flatten)]
    pub nodes: NodesArgs,

    /// Which agents have to run, where, and in which versions: a file in YAML, as in
    /// docs/policy.example.yaml; archtrace coverage tells how it is. Read again when it changes; one that is
    /// wrong then leaves the one before it in force
    #[arg(long, env = "ARCHTRACE_POLICY", value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// Who peers are.
    #[command(flatten)]
    pub auth: AuthArgs,

    /// Where events are passed on to.
    #[command(flatten)]
    pub exports: ExportArgs,

    /// What the Kubernetes API is used for.
    #[command(flatten)]
    pub kubernetes: KubernetesArgs,

    /// What Prometheus is told.
    #[command(flatten)]
    pub metrics: MetricsArgs,

    /// Whether registries are asked.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Something else than running.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Say whether a file is a policy, and if not, which line is wrong
    CheckPolicy {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Make certificates for trying out: a CA, and one for the server, each node and one reader
    DevCerts {
        /// Directory to write them to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,

        /// Name of a node, as its agent tells it. Can be repeated
        #[arg(long, value_name = "NAME")]
        node: Vec<String>,

        /// Cluster of these nodes, as their agents tell it: their certificates then hold for no other
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,

        /// Name or address that the collector is reached by, besides localhost. Can be repeated
        #[arg(long, value_name = "NAME")]
        server: Vec<String>,
    },
}

impl Args {
    /// Refuses what does not belong together, and plaintext beyond loopback unless it was asked for.
    ///
    /// # Errors
    /// What to do about it.
    pub fn check(&self) -> Result<(), String> {
        self.auth.check()?;
        if self.insecure_plaintext || self.auth.tls_cert.is_some() {
            return Ok(());
        }
        let web = self.web_listen.map(|web| ("--web-listen", web));
        let mut addresses = [("--listen", self.listen)].into_iter().chain(web);
        let beyond = addresses.find(|(_, address)| !is_loopback(*address));
        let Some((option, address)) = beyond else {
            return Ok(());
        };
        Err(format!(
            "{option} {address} is not a loopback address, and every peer could report and read without \
             encryption; add --tls-cert and --client-ca (archtrace-collector dev-certs makes a set for \
             trying out), or --insecure-plaintext if the network is trusted, or listen on 127.0.0.1"
        ))
    }

    /// What they say of how to serve.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            store_name: self.store.to_string(),
            heartbeat_interval: self.heartbeat_interval,
            max_connections: usize::try_from(self.max_connections).unwrap_or(usize::MAX),
            max_connection_age: Some(self.max_connection_age).filter(|age| !age.is_zero()),
            drain: self.drain,
            keep: Keep {
                events: self.keep_events,
                history: self.keep_history,
            },
            keep_nodes: Some(self.keep_nodes).filter(|kept| !kept.is_zero()),
            auth: self.auth.options(),
            nodes: self.nodes.nodes(),
            policy: self.policy.clone(),
            exports: self.exports.options(),
            kubernetes: self.kubernetes.options(self.exports.export_state.clone()),
            metrics: None,
            registry: self.registry.options(),
        }
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// From a second to an hour, so that neither agents are a load nor silence goes unnoticed for days.
fn heartbeat_interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        duration if (1..=3600).contains(&duration.as_secs()) => Ok(duration),
        _ => Err("it has to be between 1s and 1h".to_owned()),
    }
}

/// From an hour on: whoever asks shall find what happened just now.
fn keep(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        duration if duration.as_secs() >= 3600 => Ok(duration),
        _ => Err("it has to be 1h at least".to_owned()),
    }
}

/// The same, or for ever.
fn keep_nodes(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        duration if duration.is_zero() => Ok(duration),
        _ => keep(text).map_err(|what| format!("{what}, or 0s to keep all")),
    }
}

/// Days are 24 hours.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text.parse().map_err(|error| format!("{error}"))?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
    let duration = duration.map_err(|error| format!("{error}"))?;
    // A hundred years are enough for everybody, and can be added to any time.
    match Duration::try_from(duration) {
        Ok(duration) if duration <= Duration::from_secs(100 * 365 * 86_400) => Ok(duration),
        _ => Err("it has to be between 0s and 36500d".to_owned()),
    }
}

#[cfg(test)]
mod tests;
