//! Options: command line, then environment, then file, then defaults.

mod units;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

pub use units::{Bytes, Span};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "archtrace-agent",
    version,
    about = "Watches which instruction set the processes of this node really execute",
    after_help = "EXAMPLES:\n  archtrace-agent --collector http://127.0.0.1:50061\n  \
        archtrace-agent --config /etc/archtrace/agent.toml\n  archtrace-agent preflight\n\n\
        Every option can also be set as ARCHTRACE_* in the environment (ARCHTRACE_COLLECTOR, \
        ARCHTRACE_NODE_NAME, ...)\nor in a TOML file (collector = \"...\"). The command line wins, \
        then the environment, then the file.\n\n\
        EXIT CODES:\n  0  ended by a signal, or preflight passed\n  1  something failed\n  \
        2  bad option\n  3  a privilege is missing\n  4  this kernel cannot be watched"
)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    /// What to do instead of watching.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of watching.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Says which hooks work on this machine, and what is missing; then ends
    Preflight {
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
}

/// How to print a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// One JSON object
    Json,
}

#[derive(Args, Clone, Debug, Serialize)]
struct Options {
    /// Where the collector listens [default: http://127.0.0.1:50061]
    #[arg(long, value_name = "URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    collector: Option<String>,
    /// Name of this node, unique in its cluster [default: the host name]
    #[arg(long, value_name = "NAME", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    node_name: Option<String>,
    /// Name of the cluster
    #[arg(long, value_name = "NAME", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    /// What to log: error, warn, info, debug, trace, or a filter such as archtrace_agent=debug [default: info]
    #[arg(long, value_name = "FILTER", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Try no better hooks than these: 1 fentry, 2 kprobe, 3 tracepoints only [default: 1]
    #[arg(long, value_name = "TIER", value_parser = clap::value_parser!(u32).range(1..=3), global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    best_tier: Option<u32>,
    /// Where the node's procfs is mounted [default: /proc]
    #[arg(long, value_name = "DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    proc: Option<PathBuf>,
    /// The container runtime's socket (CRI): a path, auto for containerd's or CRI-O's, or off [default: auto]
    #[arg(long, value_name = "PATH", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cri_socket: Option<String>,
    /// Where the kubelet's logs are, whose names tell pods' names without a socket [default: /var/log]
    #[arg(long, value_name = "DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_dir: Option<PathBuf>,
    /// Whether images of containers are looked through for files of another architecture [default: true]
    #[arg(long, value_name = "BOOL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    image_audit: Option<bool>,
    /// Where events are kept until the collector has them: a directory, or off for in memory only [default: /var/lib/archtrace]
    #[arg(long, value_name = "DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    state_dir: Option<PathBuf>,
    /// How much of the disk they may take, such as 64MiB; beyond, the oldest are told as lost [default: 64MiB]
    #[arg(long, value_name = "SIZE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    spool_max_bytes: Option<Bytes>,
    /// How old they may become, such as 24h [default: 24h]
    #[arg(long, value_name = "SPAN", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    spool_max_age: Option<Span>,
    /// Certificates (PEM) of the CA that signed the collector's, for https:// URLs
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_ca: Option<PathBuf>,
    /// This node's certificate (PEM), with its chain; read again for each connection, as are all such files
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<PathBuf>,
    /// The key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,
    /// The name in the collector's certificate, where it is not the URL's
    #[arg(long, value_name = "NAME", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_server_name: Option<String>,
    /// A service account token that shows which node this is, as a projected volume has it
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    /// Where to answer questions about this node (archtrace --socket PATH), or off [default: /run/archtrace/agent.sock]
    #[arg(long, value_name = "PATH", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<PathBuf>,
    /// Address and port for Prometheus and for probes (HTTP): /metrics, /healthz, /readyz, such as
    /// 0.0.0.0:9464 in a DaemonSet. Whoever reaches it may read names of namespaces and workloads [default: none]
    #[arg(long, value_name = "ADDR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_listen: Option<SocketAddr>,
    /// Most series that are named after workloads; what comes beyond is summed up as "other" [default: 1000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(100..=100_000), global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_max_series: Option<u32>,
    /// Log what the programs in the kernel say of themselves
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    kernel_log: bool,
    /// A TOML file with options
    #[arg(long, value_name = "FILE", env = "ARCHTRACE_CONFIG", global = true)]
    #[serde(skip)]
    config: Option<PathBuf>,
}

/// The options as they are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the collector listens.
    pub collector: String,
    /// Name of this node.
    pub node_name: String,
    /// Name of the cluster; may be empty.
    pub cluster: String,
    /// What to log.
    pub log: String,
    /// Best tier of hooks to try: 1, 2 or 3.
    pub best_tier: u32,
    /// Where the node's procfs is mounted.
    pub proc: PathBuf,
    /// The container runtime's socket: a path, `auto` or `off`.
    pub cri_socket: String,
    /// Where the kubelet's directories `pods` and `containers` of logs are.
    pub log_dir: PathBuf,
    /// Whether images of containers are looked through.
    pub image_audit: bool,
    /// Where events are kept; `off` for in memory only.
    pub state_dir: PathBuf,
    /// Bytes of the disk that they may take.
    pub spool_max_bytes: Bytes,
    /// How old they may become.
    pub spool_max_age: Span,
    /// The CA of the collector's certificate.
    pub tls_ca: Option<PathBuf>,
    /// This node's certificate.
    pub tls_cert: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// The name in the collector's certificate, where it is not the URL's.
    pub tls_server_name: Option<String>,
    /// A service account token.
    pub token_file: Option<PathBuf>,
    /// Where to answer questions about this node: a path, or `off`.
    pub socket: PathBuf,
    /// Where Prometheus and probes come; nowhere if `None`.
    pub metrics_listen: Option<SocketAddr>,
    /// Most series that are named after workloads.
    pub metrics_max_series: u32,
    /// Whether the programs' own diagnostics are logged.
    pub kernel_log: bool,
}

const NAMES: [&str; 21] = [
    "collector",
    "node_name",
    "cluster",
    "log",
    "best_tier",
    "proc",
    "cri_socket",
    "log_dir",
    "image_audit",
    "state_dir",
    "spool_max_bytes",
    "spool_max_age",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "tls_server_name",
    "token_file",
    "socket",
    "metrics_listen",
    "metrics_max_series",
    "kernel_log",
];

impl Default for Config {
    fn default() -> Self {
        let host = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok());
        Self {
            collector: "http://127.0.0.1:50061".to_owned(),
            node_name: host.unwrap_or_else(|| "localhost".to_owned()),
            cluster: String::new(),
            log: "info".to_owned(),
            best_tier: 1,
            proc: PathBuf::from("/proc"),
            cri_socket: "auto".to_owned(),
            log_dir: PathBuf::from("/var/log"),
            image_audit: true,
            state_dir: PathBuf::from("/var/lib/archtrace"),
            // A day of some hundred events a minute.
            spool_max_bytes: Bytes(64 << 20),
            spool_max_age: Span(Duration::from_secs(24 * 3600)),
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            tls_server_name: None,
            token_file: None,
            socket: PathBuf::from("/run/archtrace/agent.sock"),
            metrics_listen: None,
            // Half of them facts, half processes: 250 pods and more have room.
            metrics_max_series: 1000,
            kernel_log: false,
        }
    }
}

impl Config {
    /// Where events are kept; `None` for in memory only.
    #[must_use]
    pub fn spool_dir(&self) -> Option<&Path> {
        let dir = self.state_dir.as_path();
        (!dir.as_os_str().is_empty() && dir != Path::new("off")).then_some(dir)
    }
}

/// An option that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}; see archtrace-agent --help")]
pub struct ConfigError(String);

impl Cli {
    /// Puts all sources together.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown option in it, or a value of the wrong type, with
    /// where it came from.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if let Some(path) = &self.options.config {
            if let Err(error) = std::fs::File::open(path) {
                return Err(ConfigError(format!("--config {}: {error}", path.display())));
            }
            figment = figment.merge(Toml::file(path));
        }
        let config: Config = figment
            .merge(Env::prefixed("ARCHTRACE_").only(&NAMES))
            .merge(Serialized::defaults(&self.options))
            .extract()
            .map_err(|error| ConfigError(error.to_string()))?;
        if !(1..=3).contains(&config.best_tier) {
            return Err(ConfigError(format!(
                "best_tier is {}, not 1, 2 or 3",
                config.best_tier
            )));
        }
        if config.node_name.is_empty() {
            return Err(ConfigError("node_name is empty".to_owned()));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Result<Config, String> {
        let all = ["archtrace-agent"].iter().chain(arguments);
        let cli = Cli::try_parse_from(all).map_err(|error| error.to_string())?;
        cli.config().map_err(|error| error.to_string())
    }

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), content).expect("written");
        file
    }

    #[test]
    fn the_command_line_outweighs_the_file() {
        let file = file("collector = \"http://a:1\"\nnode_name = \"file\"\nbest_tier = 2\n");
        let path = file.path().to_str().expect("UTF-8");
        let config = config(&["--config", path, "--node-name", "line"]).expect("fine");
        assert_eq!(
            (&*config.collector, &*config.node_name, config.best_tier),
            ("http://a:1", "line", 2)
        );
    }

    #[test]
    fn events_need_no_disk() {
        for (arguments, dir) in [
            (vec![], Some("/var/lib/archtrace")),
            (vec!["--state-dir", "/a"], Some("/a")),
            (vec!["--state-dir", "off"], None),
        ] {
            let config = config(&arguments).expect("fine");
            assert_eq!(config.spool_dir(), dir.map(Path::new), "{arguments:?}");
        }
    }

    #[test]
    fn bad_options_are_named() {
        let unknown = file("colector = \"http://a:1\"\n");
        let wrong = file("best_tier = \"two\"\n");
        for (arguments, said) in [
            (
                vec!["--config", unknown.path().to_str().expect("UTF-8")],
                "colector",
            ),
            (
                vec!["--config", wrong.path().to_str().expect("UTF-8")],
                "best_tier",
            ),
            (vec!["--config", "/no/such/file"], "/no/such/file"),
            (vec!["--best-tier", "4"], "4"),
            (vec!["--spool-max-bytes", "64MB"], "64MiB"),
            (vec!["--spool-max-age", "soon"], "24h"),
            (vec!["--node-name", ""], "node_name"),
            (vec!["--metrics-listen", "9464"], "9464"),
            (vec!["--metrics-max-series", "7"], "100"),
            (vec!["--no-such-option"], "--no-such-option"),
        ] {
            let error = config(&arguments).expect_err("refused");
            assert!(error.contains(said), "{arguments:?}: {error}");
        }
    }
}
