//! What keeps the answer from being known.

use std::collections::{BTreeMap, BTreeSet};

use super::{Doubt, DoubtKind, Name, Pod, Wanted, Watched};
use crate::fleet::Coverage;
use crate::identity::of_cgroup;

/// Names in one sentence; the rest is counted.
const NAMES: usize = 10;

/// Every doubt, in the order of kinds.
///
/// Where so many pods were seen on reporting nodes as there should be, none is missing: then it does not
/// matter what is on nodes that have none of them, nor what others that nobody named are.
pub(super) fn of(
    wanted: &Wanted,
    pods: &BTreeMap<Name<'_>, Pod<'_>>,
    unnamed: &BTreeSet<(&str, String)>,
    nodes: &[Watched<'_>],
    coverage: &Coverage,
) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let mut add = |kind, what: String| doubts.push(Doubt { kind, what });
    let seen = pods.values().filter(|pod| pod.is_seen && pod.is_current);
    let seen = u64::try_from(seen.count()).unwrap_or(u64::MAX);
    match wanted.expected {
        Some(expected) if seen < expected => {
            let what = format!("{seen} of {expected} pods were seen on nodes that report");
            add(DoubtKind::TooFewPods, what);
        }
        None if pods.is_empty() => {
            add(DoubtKind::TooFewPods, "no such pod was seen".to_owned());
        }
        _ => {}
    }
    for ((_, namespace, pod, _), known) in pods {
        if !known.is_seen {
            let what = format!("of {namespace}/{pod} only the sandbox was seen");
            add(DoubtKind::UnseenPod, what);
        }
    }
    let all_are_known = wanted.expected.is_some_and(|expected| seen >= expected);
    if !all_are_known && !unnamed.is_empty() {
        let names = unnamed.iter().map(|(node, pod)| format!("{pod} on {node}"));
        let what = format!(
            "it is not known whether these are meant, because their names or labels are missing: {}",
            listed(names, unnamed.len())
        );
        add(DoubtKind::UnnamedPod, what);
    }
    for watched in nodes {
        of_node(watched, pods, &mut add);
    }
    let stale = pods.values().filter(|pod| !pod.is_current);
    let stale: BTreeSet<_> = stale
        .flat_map(|pod| pod.places.iter().map(|(node, ..)| *node))
        .collect();
    if !stale.is_empty() {
        let names = listed(stale.iter().map(ToString::to_string), stale.len());
        let what = format!("the pods' nodes do not report, so that this is what was: {names}");
        add(DoubtKind::StaleNode, what);
    }
    silent(coverage, all_are_known, &stale, &mut add);
    doubts.sort_unstable();
    doubts.dedup();
    doubts
}

fn of_node(
    Watched {
        status,
        lost,
        had_pods,
    }: &Watched<'_>,
    pods: &BTreeMap<Name<'_>, Pod<'_>>,
    add: &mut impl FnMut(DoubtKind, String),
) {
    let node = &status.info.name;
    let here = |pod: &Pod<'_>| pod.places.iter().any(|(on, ..)| on == node);
    let here = || {
        pods.iter()
            .filter(|((cluster, ..), pod)| *cluster == status.cluster && here(pod))
    };
    // What a pod that is gone did there may have been hidden as well.
    if !had_pods && here().next().is_none() {
        return;
    }
    for hidden in &status.preflight.uncovered {
        let uid = of_cgroup(&hidden.cgroup).pod_uid;
        for ((_, namespace, pod, pod_uid), known) in here() {
            let is_there = |(_, cgroup, container): &(&str, &str, &str)| {
                *cgroup == hidden.cgroup
                    || !container.is_empty() && hidden.cgroup.contains(container)
            };
            if (!uid.is_empty() && uid == *pod_uid) || known.places.iter().any(is_there) {
                let runtime = &hidden.runtime;
                let what =
                    format!("{namespace}/{pod} runs in {runtime}, where nothing is seen of it");
                add(DoubtKind::UncoveredPod, what);
            }
        }
    }
    for spot in status.preflight.blind_spots() {
        add(DoubtKind::BlindNode, format!("the agent of {node} {spot}"));
    }
    if *lost > 0 {
        let what = format!("the agent of {node} lost {lost} record(s) while it was watched");
        add(DoubtKind::LostRecords, what);
    }
}

fn silent(
    coverage: &Coverage,
    all_are_known: bool,
    of_pods: &BTreeSet<&str>,
    add: &mut impl FnMut(DoubtKind, String),
) {
    let named = coverage.stale_nodes.iter().chain(&coverage.unknown_nodes);
    let named: Vec<_> = named
        .filter(|node| !of_pods.contains(node.as_str()))
        .collect();
    let told: u64 = coverage.stale.saturating_add(coverage.unknown);
    let count = told.saturating_sub(u64::try_from(of_pods.len()).unwrap_or(u64::MAX));
    if all_are_known || count == 0 {
        return;
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let what = format!(
        "{count} node(s) do not report, and may have more of the pods: {}; say how many there are to \
         leave other nodes aside (--expect-pods)",
        listed(named.into_iter().cloned(), count)
    );
    add(DoubtKind::SilentNodes, what);
}

/// The first names, and how many more there are.
fn listed(names: impl Iterator<Item = String>, count: usize) -> String {
    let mut shown: Vec<_> = names.take(NAMES).collect();
    let more = count.saturating_sub(shown.len());
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}
