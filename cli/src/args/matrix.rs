//! `archtrace matrix`.

use archtrace_facts::arch::Arch;
use archtrace_facts::matrix::Status;

use crate::client::Workloads;

const AFTER_HELP: &str = "\
Examples:
  archtrace matrix                                 every workload, row by row
  archtrace matrix Deployment/api -n pay -o wide   one, with all evidence and what to do next
  archtrace matrix --status FIX                    what would not work on arm64
  archtrace matrix 'api-*' -o markdown > matrix.md for the change request
  archtrace matrix -o json | jq -r 'select(.status == \"PASS\") | .workload'

Rows:
  runtime              how its processes ran
  image                which platforms its images were seen for, and whether they are that
  native_dependencies  files of these images: shared libraries, jars, wheels, node_modules
  sidecars             all of this, for the other containers of its pods
  agents               what policy mandates on each node

  PASS    it was seen to work there, on a node that reports
  FIX     something would not work there, or does not even here; the evidence names it
  GATE    nobody saw whether it works: the action says how to find out
  WAIVED  it does not work, and the policy has a waiver for it

What is seen is what runs now: an image that no node of the architecture has pulled is GATE, not PASS
('archtrace scan' looks at it before). Nobody tells which container of a pod is the main one: usual
names of sidecars decide, and the name of the workload.

Exit codes:
  0    every row is PASS or WAIVED, every node reports, and no fact is of a pod without a name
  1    something failed, or a bad option
  2    a row is FIX
  3    no row is FIX, but one is GATE; or it cannot be known: a node does not report, or facts are of pods
       whose names nobody knows (yet), and more may run there; or nothing is known of such workloads, or
       the collector is away
  4    the collector does not let you ask
  They are about all rows, whether --status shows them or not.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct MatrixArgs {
    /// Only these, such as Deployment/api, or api for any kind; * stands for any characters
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<String>,
    /// Only in these namespaces
    #[arg(short, long = "namespace", value_name = "NAME", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Only in these clusters
    #[arg(long = "cluster", value_name = "NAME", value_delimiter = ',')]
    clusters: Vec<String>,
    /// Where to: amd64, arm64, ...
    #[arg(long, value_name = "ARCH", default_value = "arm64")]
    arch: Arch,
    /// Only rows that are these: PASS, FIX, GATE, WAIVED
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',')]
    pub(crate) statuses: Vec<Status>,
}

impl MatrixArgs {
    /// What is asked for.
    pub(crate) fn workloads(&self) -> Workloads {
        let Self {
            workloads,
            namespaces,
            clusters,
            arch,
            statuses: _,
        } = self;
        let of_any_kind = |name: &String| {
            if name.contains('/') {
                name.clone()
            } else {
                format!("*/{name}")
            }
        };
        Workloads {
            clusters: clusters.clone(),
            namespaces: namespaces.clone(),
            workloads: workloads.iter().map(of_any_kind).collect(),
            arch: *arch,
        }
    }
}
