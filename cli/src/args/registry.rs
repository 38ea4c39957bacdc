//! `archtrace registry`.

use archtrace_facts::arch::Arch;
use archtrace_facts::registry::Verdict;

use crate::client::Tags;

const AFTER_HELP: &str = "\
Examples:
  archtrace registry                               every deployed tag: has its registry an image for arm64?
  archtrace registry --status LACKS -o wide        what has none, and who runs it where
  archtrace registry -n pay --arch amd64           for another architecture, of one namespace
  archtrace registry 'docker.io/*'                 of one registry
  archtrace registry -o json | jq -r 'select(.verdict == \"LACKS\") | .reference'

What it says of each tag:
  HAS      the registry has an image for the architecture under this name
  LACKS    it has none: an index without it, or one image for something else. A node of that architecture
           could not pull it, or would get what it cannot run
  UNKNOWN  nobody could tell; WHY begins with the reason:
             not_asked     its turn comes within minutes, or it is not to be asked
             no_reference  pods name it by an id, which no registry knows
             gone          the registry does not have it any more
             denied        the collector's credentials (--registry-config) do not let it ask
             busy, unavailable, unreachable, invalid   the registry, or the way there, failed
             no_image      it is a chart, a signature or the like

Tags are those that pods ask for now. The collector asks registries (archtrace-collector
--registry-check), this command does not: CHECKED says when it did. That a registry has an image for an
architecture does not say that it works there: archtrace matrix, archtrace scan.

Exit codes:
  0    every tag is HAS, and every node reports
  1    something failed, registries are not asked, or a bad option
  2    a tag is LACKS
  3    none is LACKS, but one is UNKNOWN; or a node does not report; or nothing is known of such tags; or the
       collector is away
  4    the collector does not let you ask
  They are about all tags that are asked for, whether --status shows them or not.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RegistryArgs {
    /// Only these, as pods ask for them or whole; * stands for any characters
    #[arg(value_name = "IMAGE")]
    references: Vec<String>,
    /// Only what runs in these namespaces
    #[arg(short, long = "namespace", value_name = "NAME", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Only what runs in these clusters
    #[arg(long = "cluster", value_name = "NAME", value_delimiter = ',')]
    clusters: Vec<String>,
    /// Only what these workloads run, such as Deployment/api
    #[arg(long = "workload", value_name = "NAME", value_delimiter = ',')]
    workloads: Vec<String>,
    /// Which architecture: amd64, arm64, ...
    #[arg(long, value_name = "ARCH", default_value = "arm64")]
    arch: Arch,
    /// Only tags that are these: HAS, LACKS, UNKNOWN
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',')]
    pub(crate) verdicts: Vec<Verdict>,
}

impl RegistryArgs {
    /// What is asked for.
    pub(crate) fn tags(&self) -> Tags {
        let Self {
            references,
            namespaces,
            clusters,
            workloads,
            arch,
            verdicts: _,
        } = self;
        Tags {
            references: references.clone(),
            clusters: clusters.clone(),
            namespaces: namespaces.clone(),
            workloads: workloads.clone(),
            arch: *arch,
        }
    }
}
