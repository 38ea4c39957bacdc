//! Whether pods run natively: what a canary or a benchmark waits for.
//!
//! The answer is one of three. [`Verdict::NotNative`] needs one fact that says so. [`Verdict::Native`]
//! needs more than the absence of such a fact: every pod was seen, and nothing that could hide another
//! is known. Whatever could is a [`Doubt`], and with any of these the answer is [`Verdict::Unknown`].
//!
//! | module | what |
//! |---|---|
//! | [`wanted`] | which pods are meant, as far as their identity tells |
//! | [`question`] | what is asked, and what is answered |
//! | `doubts` | what keeps the answer from being known |

mod doubts;
pub mod question;
#[cfg(test)]
mod tests;
pub mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::arch::Arch;
use crate::fact::{EventKind, Mode, words};
use crate::finding;
use crate::fleet::{Coverage, NodeEvent, NodeFact, NodeStatus};
use crate::identity::Identity;
use crate::report::Record;
pub use question::{Question, Verified};
pub use wanted::{Member, Wanted};

words! {
    /// What is known of the pods that are meant.
    Verdict, "verdict" {
        /// All were seen, and whatever they ran is native.
        Native = "native",
        /// Something that they ran is not.
        NotNative = "not_native",
        /// Neither is known.
        Unknown = "unknown",
    }
}

words! {
    /// Why a fact is not native.
    Why, "reason" {
        /// It ran under an emulator.
        Emulated = "emulated",
        /// The kernel refused to execute it.
        Failed = "failed",
        /// It ran in the CPU's 32-bit mode, which not every CPU of its kind has.
        Compat = "compat",
        /// It ran on a node of another architecture.
        OtherArch = "other_arch",
    }
}

words! {
    /// Why it cannot be known.
    DoubtKind, "doubt" {
        /// Fewer pods were seen than there should be; none, if nobody said how many.
        TooFewPods = "too_few_pods",
        /// Of a pod only the sandbox was seen, and none of its containers.
        UnseenPod = "unseen_pod",
        /// A pod of which it is not known whether it is meant: its name or labels are missing.
        UnnamedPod = "unnamed_pod",
        /// A pod whose processes run under a kernel of their own.
        UncoveredPod = "uncovered_pod",
        /// A node with one of the pods does not report.
        StaleNode = "stale_node",
        /// Other nodes do not report, on which there may be more of the pods.
        SilentNodes = "silent_nodes",
        /// A node's agent does not see all execs.
        BlindNode = "blind_node",
        /// A node's agent lost records while it was watched.
        LostRecords = "lost_records",
        /// Whoever told the facts is away, or was meanwhile.
        Away = "away",
    }
}

/// One thing that keeps the answer from being known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doubt {
    /// Why.
    pub kind: DoubtKind,
    /// A sentence with names, without a full stop.
    pub what: String,
}

/// A node that may have pods that are meant, and how many records its agent lost while it was watched.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    /// As the collector knows it.
    pub status: &'a NodeStatus,
    /// Of those stages in which a fact or a death gets lost: see [`hides`].
    pub lost: u64,
    /// A pod that is meant was there while it was watched, and may be gone.
    pub had_pods: bool,
}

/// What is known besides facts.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Programs that died of an illegal instruction, each once; others do not count (see [`is_death`]).
    pub deaths: &'a [NodeEvent],
    /// When the watch began.
    pub since: SystemTime,
    /// Nodes that have pods that are meant, or had.
    pub nodes: &'a [Watched<'a>],
    /// Which nodes are silent.
    pub coverage: &'a Coverage,
}

/// What is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// Pods of which something was seen.
    pub pods: u64,
    /// Of these, those of which everything that was seen is native.
    pub native_pods: u64,
    /// What is not native, in the order of pods.
    pub not_native: Vec<(Why, NodeFact)>,
    /// How much more of that there is.
    pub more_not_native: u64,
    /// What died of an instruction that its CPU does not have, in the order of pods.
    pub died: Vec<NodeEvent>,
    /// How much more of that there is.
    pub more_died: u64,
    /// Why more cannot be known, each once.
    pub doubts: Vec<Doubt>,
    /// How many more doubts there are.
    pub more_doubts: u64,
}

impl Report {
    /// How much of each list is told: whoever has more of it needs no more.
    pub const LISTED: usize = 1000;

    /// The same with another doubt.
    #[must_use]
    pub fn doubted(mut self, doubt: Doubt) -> Self {
        self.doubts.push(doubt);
        if self.verdict == Verdict::Native {
            self.verdict = Verdict::Unknown;
        }
        self
    }

    /// The same, if nobody saw for a while which pods came and went.
    #[must_use]
    pub fn unwatched(self, why: &str) -> Self {
        self.doubted(Doubt {
            kind: DoubtKind::Away,
            what: format!("pods that came and went meanwhile are not known: {why}"),
        })
    }

    /// The same with at most `most` of each list; the rest is counted.
    #[must_use]
    pub fn listed(mut self, most: usize) -> Self {
        cut(&mut self.not_native, &mut self.more_not_native, most);
        cut(&mut self.died, &mut self.more_died, most);
        cut(&mut self.doubts, &mut self.more_doubts, most);
        self
    }
}

fn cut<T>(list: &mut Vec<T>, more: &mut u64, most: usize) {
    let left_out = list.len().saturating_sub(most);
    list.truncate(most);
    *more = more.saturating_add(u64::try_from(left_out).unwrap_or(u64::MAX));
}

/// A pod: cluster, namespace, name and UID.
pub type Name<'a> = (&'a str, &'a str, &'a str, &'a str);

/// What was seen of a pod.
#[derive(Debug)]
struct Pod<'a> {
    /// Something of a container other than the sandbox's.
    is_seen: bool,
    is_native: bool,
    /// Its node reports.
    is_current: bool,
    /// Name of its node, and where on it it is.
    places: BTreeSet<(&'a str, &'a str, &'a str)>,
}

/// Decides from the facts that agents keep now, from what died, the nodes they are on, and the nodes that
/// are silent.
///
/// What died before the watch counts only for pods that are still there: their owners may have replaced
/// the others because of it.
#[must_use]
pub fn decide<'a>(
    wanted: &Wanted,
    facts: impl IntoIterator<Item = &'a NodeFact>,
    known: Known<'a>,
) -> Report {
    let Known {
        deaths,
        since,
        nodes,
        coverage,
    } = known;
    let mut pods: BTreeMap<Name<'a>, Pod<'a>> = BTreeMap::new();
    let mut unnamed = BTreeSet::new();
    let mut not_native = Vec::new();
    for fact in facts {
        match wanted.member(&fact.cluster, &fact.identity) {
            Member::No => continue,
            Member::Unknown => {
                unnamed.insert((fact.node.as_str(), called(&fact.identity)));
                continue;
            }
            Member::Yes => {}
        }
        let why = why(fact, wanted.arch);
        pods.entry(name(&fact.cluster, &fact.identity))
            .or_insert_with(Pod::new)
            .add(fact, why);
        not_native.extend(why.map(|why| (why, fact.clone())));
    }
    not_native.sort_by(|(_, a), (_, b)| order(a).cmp(&order(b)));
    let mut died = Vec::new();
    for event in deaths.iter().filter(|event| is_death(event)) {
        let pod = name(&event.cluster, &event.identity);
        let is_new = event.record.time() >= since;
        match wanted.member(&event.cluster, &event.identity) {
            Member::Yes if is_new || pods.contains_key(&pod) => {
                if let Some(known) = pods.get_mut(&pod) {
                    known.is_native = false;
                }
                died.push(event.clone());
            }
            Member::Unknown if is_new => {
                unnamed.insert((event.node.as_str(), called(&event.identity)));
            }
            Member::Yes | Member::Unknown | Member::No => {}
        }
    }
    died.sort_by(|a, b| {
        let key = |event: &NodeEvent| (event.record.time(), event.stream_id, event.sequence);
        name(&a.cluster, &a.identity)
            .cmp(&name(&b.cluster, &b.identity))
            .then_with(|| key(a).cmp(&key(b)))
    });
    let doubts = doubts::of(wanted, &pods, &unnamed, nodes, coverage);
    let count = |is_it: fn(&Pod<'_>) -> bool| {
        let pods = pods.values().filter(|pod| is_it(pod));
        u64::try_from(pods.count()).unwrap_or(u64::MAX)
    };
    Report {
        verdict: match (&*not_native, &*died, &*doubts) {
            ([], [], []) => Verdict::Native,
            ([], [], _) => Verdict::Unknown,
            _ => Verdict::NotNative,
        },
        pods: count(|pod| pod.is_seen),
        native_pods: count(|pod| pod.is_seen && pod.is_native),
        not_native,
        more_not_native: 0,
        died,
        more_died: 0,
        doubts,
        more_doubts: 0,
    }
}

/// Whether this alone makes the answer [`Verdict::NotNative`], and why.
#[must_use]
pub fn why(fact: &NodeFact, arch: Arch) -> Option<Why> {
    let key = &fact.fact.key;
    match key.mode {
        Mode::Emulated => Some(Why::Emulated),
        Mode::Compat => Some(Why::Compat),
        // A script that a shell runs all the same is no failure.
        Mode::Failed => finding::of_fact(key).map(|_| Why::Failed),
        // What ran natively is for its node, whatever could be read of the file.
        Mode::Native => (fact.node_arch != arch).then_some(Why::OtherArch),
    }
}

/// Whether a program died of an illegal instruction: not of a signal that it or another process sent.
#[must_use]
pub fn is_death(event: &NodeEvent) -> bool {
    let Record::Event(what) = &event.record else {
        return false;
    };
    // An agent that could not look at the instruction tells of the death all the same.
    what.kind == EventKind::IllegalInstruction
        && (what.instruction.is_none() || finding::of_event(what).is_some())
}

/// Whether what is lost at this stage may have been a fact, or a death of an illegal instruction, of which
/// only events tell: a name that is missing, a count that went to another binary, an event that was dropped
/// or thrown away, or a time without an agent.
#[must_use]
pub fn hides(stage: &str) -> bool {
    use crate::fact::Stage;
    stage.parse().is_ok_and(|stage| match stage {
        Stage::KernelMap
        | Stage::RingBuffer
        | Stage::InFlight
        | Stage::ProgramMissed
        | Stage::FactTable
        | Stage::AgentDown
        | Stage::Attribution
        | Stage::EventQueue
        | Stage::Spool => true,
        // Less is known then of what is told all the same.
        Stage::TaskMap | Stage::Inspection => false,
    })
}

impl<'a> Pod<'a> {
    fn new() -> Self {
        Self {
            is_seen: false,
            is_native: true,
            is_current: true,
            places: BTreeSet::new(),
        }
    }

    fn add(&mut self, fact: &'a NodeFact, why: Option<Why>) {
        self.is_seen |= fact.identity.container != SANDBOX;
        self.is_native &= why.is_none();
        self.is_current &= fact.current;
        let place = (
            &*fact.node,
            &*fact.fact.key.cgroup,
            &*fact.identity.container_id,
        );
        self.places.insert(place);
    }
}

/// What the container of a pod's sandbox is called ([`Identity::container`]).
const SANDBOX: &str = "pause";

/// Which pod it is, as far as the identity tells.
#[must_use]
pub fn name<'a>(cluster: &'a str, identity: &'a Identity) -> Name<'a> {
    let Identity {
        namespace,
        pod,
        pod_uid,
        ..
    } = identity;
    (cluster, namespace, pod, pod_uid)
}

/// A pod whose name is not known, as well as it can be called.
fn called(identity: &Identity) -> String {
    let Identity {
        namespace,
        pod,
        pod_uid,
        ..
    } = identity;
    if pod.is_empty() {
        format!("pod {pod_uid}")
    } else {
        format!("{namespace}/{pod}")
    }
}

fn order(fact: &NodeFact) -> (Name<'_>, &str, &str) {
    (
        name(&fact.cluster, &fact.identity),
        &fact.identity.container,
        &fact.fact.key.binary,
    )
}
