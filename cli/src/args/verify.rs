//! `archtrace verify`.

use std::time::Duration;

use archtrace_facts::arch::Arch;
use archtrace_facts::gate::{Question, Wanted};
use archtrace_facts::identity::LabelSelector;
use jiff::SignedDuration;

const AFTER_HELP: &str = "\
Examples:
  archtrace verify -n pay -l app=api --arch arm64 --for 5m --expect-pods 3
  archtrace verify -n pay --workload Deployment/api --arch arm64 && run-the-benchmark
  archtrace verify -n pay -l 'app=api,track=canary' --arch arm64 --for 2m -o json | jq .verdict
  archtrace verify -n pay --arch arm64 --for 0s          as it is now, without watching

It watches that long, and ends earlier only if something is not native. Whatever the pods execute
meanwhile counts, as does all that they executed before and that their node's agent still keeps: an
entry point that was emulated for a second is not native. Progress is told on stderr, the result on
stdout.

Which pods are meant:
  Labels and owners are those that the container runtime knows: the agents ask it, and nobody asks
  the Kubernetes API. A label that was changed after the pod was made is not seen; --workload is
  derived from the labels that Kubernetes' own controllers write. Where an agent has no access to the
  runtime, it knows namespace and name only: then --selector and --workload cannot be decided, and
  --pod NAME has to do.
  Only pods that ran something are known. One that is Pending, or that is not there, is nothing: say
  how many there should be (--expect-pods).

Exit codes:
  0    every pod was seen, and every process of it is native
  1    something failed, or a bad option
  2    something is not native: emulated, refused by the kernel, 32-bit, or on a node of another
       architecture; or it died of an illegal instruction, while it was watched, or in the day before
       that if the pod is still there
  3    it cannot be known: too few pods, a node that does not report or whose agent does not see all or
       lost records meanwhile (one may have told of an illegal instruction), a pod in a sandbox of its
       own (gVisor, Kata), or the collector is away, or was for more than 2 minutes
  4    the collector does not let you ask
  130  interrupted
  Nodes without such pods that do not report leave open whether there are more: 3, unless
  --expect-pods says how many there are, and so many were seen.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct VerifyArgs {
    /// The pods' namespace
    #[arg(short, long, value_name = "NAME")]
    namespace: String,
    /// Their labels, as kubectl takes them: app=api,tier in (web,batch),version!=v1,!legacy
    #[arg(
        short = 'l',
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    selector: LabelSelector,
    /// Only of these workloads, such as Deployment/api; * stands for any characters
    #[arg(long = "workload", value_name = "KIND/NAME", value_delimiter = ',')]
    workloads: Vec<String>,
    /// Only pods of these names; * stands for any characters
    #[arg(long = "pod", value_name = "NAME", value_delimiter = ',')]
    pods: Vec<String>,
    /// Only in this cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// What they should run on: amd64, arm64, ...
    #[arg(long, value_name = "ARCH")]
    arch: Arch,
    /// How long to watch, such as 90s or 5m; 24h at most
    #[arg(long = "for", value_name = "TIME", default_value = "1m", value_parser = duration)]
    pub(crate) duration: Duration,
    /// How many pods there should be at least
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    expect_pods: Option<u64>,
}

impl VerifyArgs {
    /// Which pods are meant.
    pub(crate) fn wanted(&self) -> Wanted {
        let Self {
            namespace,
            selector,
            workloads,
            pods,
            cluster,
            arch,
            duration: _,
            expect_pods,
        } = self;
        Wanted {
            arch: *arch,
            cluster: cluster.clone(),
            namespace: namespace.clone(),
            pods: pods.clone(),
            workloads: workloads.clone(),
            labels: selector.clone(),
            expected: *expect_pods,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let read = text.parse::<SignedDuration>().ok();
    let read = read.and_then(|duration| Duration::try_from(duration).ok());
    let short = read.filter(|duration| *duration <= Question::LONGEST);
    short.ok_or_else(|| "it is a time such as 90s or 5m, of 24h at most".to_owned())
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("0s", Some(0)),
            ("90s", Some(90)),
            ("5m", Some(300)),
            ("1h 30m", Some(5400)),
            ("24h", Some(86_400)),
            ("25h", None),
            ("-1s", None),
            ("5", None),
            ("soon", None),
        ] {
            let read = duration(text).map(|duration| duration.as_secs()).ok();
            assert_eq!(read, seconds, "{text}");
        }
    }
}
