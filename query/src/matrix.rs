//! What was seen of each workload, put together for the portability matrix.
//!
//! First the workloads of one page are found, from what facts are summed up by; then each fact of theirs
//! is looked at, and no other.

use std::collections::{BTreeMap, HashMap};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::EventKind;
use archtrace_facts::finding;
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::identity::of_cgroup;
use archtrace_facts::matrix::seen::Ran;
use archtrace_facts::matrix::{Evidence, EvidenceKind, Seen};
use archtrace_facts::report::Record;
use archtrace_facts::select::{TextField, wildcard};

use crate::findings::evidence;
use crate::findings::recent::Recent;
use crate::live::table::{Node, Table, View};
use crate::token::{Texts, Token};

/// Which workloads are asked for; lists that are empty are no condition.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) clusters: Vec<String>,
    pub(crate) namespaces: Vec<String>,
    pub(crate) workloads: Vec<String>,
}

/// A workload, and its place in the order in which they are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    cluster: String,
    namespace: String,
    workload: String,
}

impl Token for Key {
    fn to_numbers(&self) -> Vec<u64> {
        let Self {
            cluster,
            namespace,
            workload,
        } = self;
        [cluster, namespace, workload].pack()
    }

    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let [cluster, namespace, workload] = <[String; 3]>::unpack(numbers)?;
        Some(Self {
            cluster,
            namespace,
            workload,
        })
    }
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Of each workload of the page, in order.
    pub(crate) seen: Vec<(Key, Seen)>,
    /// Facts of pods whose names are not known.
    pub(crate) unnamed_facts: u64,
}

/// What was seen of the first `limit` workloads behind `after`.
pub(crate) fn gather(
    table: &Table,
    recent: &Recent,
    wanted: &Wanted,
    arch: Arch,
    after: Option<&Key>,
    limit: usize,
) -> Gathered {
    let groups = Groups::new(table, wanted);
    let chosen = groups.first(table, after, limit);
    let mut gathered = Gathered::default();
    let mut places = BTreeMap::new();
    for (group, (cluster, namespace, workload)) in chosen {
        places.insert(group, gathered.seen.len());
        let key = Key {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            workload: workload.to_owned(),
        };
        let seen = Seen {
            cluster: key.cluster.clone(),
            namespace: key.namespace.clone(),
            workload: key.workload.clone(),
            ..Seen::default()
        };
        gathered.seen.push((key, seen));
    }
    for node in &table.nodes {
        let Some(in_cluster) = groups.cluster(node) else {
            continue;
        };
        let hidden = recent.uncovered(table.texts.text(node.cluster), &node.name);
        for fact in table.facts_of(node) {
            match groups.part(fact.row.kind) {
                Part::Unnamed => gathered.unnamed_facts += u64::from(is_of_a_pod(&fact)),
                Part::Other => {}
                Part::Wanted(part) => {
                    let place = places.get(&(in_cluster + part));
                    let seen = place.and_then(|place| gathered.seen.get_mut(*place));
                    if let Some((_, seen)) = seen {
                        add(seen, &fact, hidden);
                    }
                }
            }
        }
    }
    add_deaths(&mut gathered.seen, recent, arch);
    gathered
}

/// Workloads by number: a cluster has one for each that is wanted in any.
struct Groups {
    /// Which of `names` each kind of fact is of.
    parts: Vec<Part>,
    /// Numbers of the texts for namespace and workload.
    names: Vec<(u32, u32)>,
    /// Where the groups of each cluster begin, by the number of its name.
    clusters: HashMap<u32, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Wanted(usize),
    /// Nobody asked for it.
    Other,
    /// Of no namespace: a unit of the host, or a pod whose names are not known.
    Unnamed,
}

impl Groups {
    fn new(table: &Table, wanted: &Wanted) -> Self {
        let Wanted {
            clusters,
            namespaces,
            workloads,
        } = wanted;
        let is_wanted = |patterns: &[String], text: u32| {
            let text = table.texts.text(text);
            patterns.is_empty() || patterns.iter().any(|pattern| wildcard(pattern, text))
        };
        let (mut names, mut known) = (Vec::new(), HashMap::new());
        let kinds = table.kinds.all().iter();
        let parts = kinds.map(|kind| {
            let Some(kind) = kind else {
                return Part::Other;
            };
            if table.texts.text(kind.namespace).is_empty() {
                return Part::Unnamed;
            }
            let name = (kind.namespace, kind.workload);
            *known.entry(name).or_insert_with(|| {
                if !is_wanted(namespaces, name.0) || !is_wanted(workloads, name.1) {
                    return Part::Other;
                }
                names.push(name);
                Part::Wanted(names.len() - 1)
            })
        });
        let parts = parts.collect();
        let mut begins = HashMap::new();
        for node in &table.nodes {
            let next = begins.len() * names.len();
            if is_wanted(clusters, node.cluster) {
                begins.entry(node.cluster).or_insert(next);
            }
        }
        Self {
            parts,
            names,
            clusters: begins,
        }
    }

    fn part(&self, kind: u32) -> Part {
        let part = usize::try_from(kind)
            .ok()
            .and_then(|kind| self.parts.get(kind));
        part.copied().unwrap_or(Part::Other)
    }

    /// Where the groups of its cluster begin, if that is wanted.
    fn cluster(&self, node: &Node) -> Option<usize> {
        self.clusters.get(&node.cluster).copied()
    }

    /// The first groups behind `after` that have a fact, and their names.
    fn first<'a>(
        &self,
        table: &'a Table,
        after: Option<&Key>,
        limit: usize,
    ) -> Vec<(usize, (&'a str, &'a str, &'a str))> {
        let mut is_there = vec![false; self.clusters.len() * self.names.len()];
        for node in &table.nodes {
            let Some(cluster) = self.cluster(node) else {
                continue;
            };
            for cell in &node.cells {
                if let Part::Wanted(part) = self.part(cell.kind)
                    && let Some(is_there) = is_there.get_mut(cluster + part)
                {
                    *is_there = true;
                }
            }
        }
        let after = after.map(|key| (&*key.cluster, &*key.namespace, &*key.workload));
        let text = |number| table.texts.text(number);
        let mut found: Vec<_> = Vec::new();
        for (cluster, begin) in &self.clusters {
            for (part, (namespace, workload)) in self.names.iter().enumerate() {
                let name = (text(*cluster), text(*namespace), text(*workload));
                let group = begin + part;
                let is_there = is_there.get(group).copied().unwrap_or(false);
                if is_there && after.is_none_or(|after| name > after) {
                    found.push((group, name));
                }
            }
        }
        if found.len() > limit {
            found.select_nth_unstable_by_key(limit, |(_, name)| *name);
            found.truncate(limit);
        }
        found.sort_unstable_by_key(|(_, name)| *name);
        found
    }
}

/// Adds a fact to what was seen of its workload.
fn add(seen: &mut Seen, fact: &View<'_>, hidden: Option<&HashMap<String, String>>) {
    let Some(container) = seen.container(&fact.word(TextField::Container)) else {
        return;
    };
    container.image(&fact.word(TextField::Image), &fact.word(TextField::ImageId));
    container.ran(&Ran {
        node: &fact.node.name,
        node_arch: fact.node.arch,
        is_current: fact.node.current,
        binary: &fact.word(TextField::Binary),
        arch: fact.kind.arch,
        mode: fact.kind.mode,
        emulator: &fact.word(TextField::Emulator),
        cause: fact.row.cause,
        finding: evidence::id_of_fact(fact),
        last_seen: fact.last_seen(),
    });
    if let Some(hidden) = hidden {
        let uid = of_cgroup(&fact.word(TextField::Cgroup)).pod_uid;
        if let Some(runtime) = hidden.get(&uid) {
            container.hidden = Some(runtime.clone());
        }
    }
}

/// Where the kubelet puts pods (`facts::identity`); asked of those that have no name.
pub(crate) fn is_of_a_pod(fact: &View<'_>) -> bool {
    fact.word(TextField::Unit).is_empty() && fact.word(TextField::Cgroup).contains("kubepods")
}

/// Adds deaths of SIGILL. What a CPU of another architecture refused says nothing of those to move to.
fn add_deaths(seen: &mut [(Key, Seen)], recent: &Recent, arch: Arch) {
    for event in recent.events().filter(|event| event.node_arch == arch) {
        let Some((id, evidence)) = death(event) else {
            continue;
        };
        let identity = &event.identity;
        let key = Key {
            cluster: event.cluster.clone(),
            namespace: identity.namespace.clone(),
            workload: identity.workload.clone(),
        };
        let place = seen.binary_search_by(|(known, _)| known.cmp(&key)).ok();
        let seen = place.and_then(|place| seen.get_mut(place));
        if let Some(container) = seen.and_then(|(_, seen)| seen.container(&identity.container)) {
            container.died(id, evidence);
        }
    }
}

fn death(event: &NodeEvent) -> Option<(finding::Id, Evidence)> {
    let Record::Event(what) = &event.record else {
        return None;
    };
    let instruction = what.instruction.as_ref()?;
    if what.kind != EventKind::IllegalInstruction {
        return None;
    }
    let module = instruction.module.as_ref().unwrap_or(&what.key.binary);
    let evidence = Evidence {
        kind: EvidenceKind::Event,
        what: module.clone(),
        arch: Some(what.key.arch),
        node: event.node.clone(),
        detail: instruction.sentence(what.key.mode),
        seen: Some(what.time),
    };
    Some((finding::of_event(what)?, evidence))
}
