//! Options that say what Prometheus is told, and where.

use std::net::SocketAddr;

use clap::Args;

/// What Prometheus is told.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub struct MetricsArgs {
    /// Address and port for Prometheus and for probes (HTTP): /metrics, /healthz, /readyz. Everybody
    /// who reaches it may read names of namespaces and workloads, and nothing is encrypted [default: none]
    #[arg(long, env = "ARCHTRACE_METRICS_LISTEN", value_name = "ADDR")]
    pub metrics_listen: Option<SocketAddr>,

    /// Most series that are named after workloads; what comes beyond is summed up as "other"
    #[arg(
        long,
        env = "ARCHTRACE_METRICS_MAX_SERIES",
        value_name = "COUNT",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(100..=1_000_000)
    )]
    pub metrics_max_series: u32,
}
