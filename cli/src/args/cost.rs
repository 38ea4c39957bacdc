//! `archtrace cost`.

use std::path::PathBuf;

use archtrace_facts::cost::{CostDimension, Slowdown};

use super::{OfNodes, OfPods};
use crate::since::Since;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archtrace cost                                   by workload, over the last 7 days
  archtrace cost --since 30d --by day,namespace
  archtrace cost --prices prices.toml --slowdown 3  in money, and what native execution would save
  archtrace cost --since 2026-10-01T00:00:00Z --until 2026-11-01T00:00:00Z --by instance-type
  archtrace cost -n pay -o json | jq -s 'map(.cpu_seconds) | add'

What is counted:
  CPU time of emulated processes, as it was used: by the hour, and from the third day on by the day
  (UTC). The answer says what time it is about. Workloads are Deployment/api and the like; Pod/NAME of
  a pod without one; outside of pods the unit of systemd.

What a price table is, in TOML:
  currency = \"USD\"
  [machines.\"m7g.large\"]
  per_hour = 0.0816
  cpus = 2

  A CPU second costs the price of the machine's hour, divided by its CPUs and by 3,600. What machines
  nodes are comes from the collector's list of nodes (Kubernetes' label
  node.kubernetes.io/instance-type, or type= in --nodes-file). CPU time of machines that are not known,
  or have no price, is told apart, and is not part of the cost.")]
pub(crate) struct CostArgs {
    /// From when on: a span such as 24h or 7d, a time such as 2026-01-31T12:00:00Z, or all
    #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = Since::parse)]
    pub(crate) since: Since,
    /// Up to when, in the same words [default: now]
    #[arg(long, value_name = "WHEN", value_parser = Since::parse)]
    pub(crate) until: Option<Since>,
    /// What by: cluster, node, namespace, workload, instance-type, zone, day
    #[arg(long, value_name = "DIMENSION", default_value = "namespace,workload", value_parser = dimensions)]
    pub(crate) by: CostDimensions,
    /// At most so many rows, those that used most
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) limit: Option<u16>,
    /// What machines cost: a file in TOML, see below
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// How many times longer emulation takes than native execution, such as 3: tells what the latter
    /// would have saved. It is an assumption, for it depends on the program
    #[arg(long, value_name = "FACTOR", value_parser = slowdown)]
    pub(crate) slowdown: Option<Slowdown>,
    #[command(flatten)]
    pub(crate) of_nodes: OfNodes,
    #[command(flatten)]
    pub(crate) of_pods: OfPods,
}

/// What sums are taken by.
#[derive(Clone, Debug)]
pub(crate) struct CostDimensions(pub(crate) Vec<CostDimension>);

fn dimensions(text: &str) -> Result<CostDimensions, String> {
    super::ask::distinct(text).map(CostDimensions)
}

fn slowdown(text: &str) -> Result<Slowdown, String> {
    let factor = text.parse::<f64>().unwrap_or(f64::NAN);
    Slowdown::new(factor).map_err(|error| error.to_string())
}
