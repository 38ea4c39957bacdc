//! Which tags pods ask for now, and who: from what facts are summed up by.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use archtrace_facts::arch::Arch;
use archtrace_facts::registry::{DeployedTag, Reference, User};
use archtrace_facts::select::wildcard;

use crate::live::table::Table;
use crate::matrix::is_of_a_pod;

/// Which tags are asked for; lists that are empty are no condition.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) references: Vec<String>,
    pub(crate) clusters: Vec<String>,
    pub(crate) namespaces: Vec<String>,
    pub(crate) workloads: Vec<String>,
}

/// Who runs a tag.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) users: Vec<User>,
    pub(crate) more_users: u64,
    pub(crate) nodes: Vec<(Arch, u64)>,
    pub(crate) node_names: Vec<String>,
}

/// The same, with texts as numbers.
#[derive(Debug, Default)]
struct Counts {
    /// Cluster, namespace, workload.
    users: HashSet<(u32, u32, u32)>,
    nodes: BTreeMap<Arch, u64>,
    node_names: Vec<String>,
    /// The node that was counted last: each is once.
    last: Option<usize>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// By reference, as pods ask for it.
    pub(crate) tags: BTreeMap<String, Usage>,
    /// Facts of pods whose image is not known.
    pub(crate) unnamed_facts: u64,
}

/// References that pods ask for, on all nodes.
pub(crate) fn references(table: &Table) -> BTreeSet<&str> {
    let cells = table.nodes.iter().flat_map(|node| &node.cells);
    let kinds: HashSet<u32> = cells.map(|cell| cell.kind).collect();
    let images = kinds.into_iter().filter_map(|kind| table.kinds.get(kind));
    let texts = images.map(|kind| table.texts.text(kind.image));
    texts.filter(|text| !text.is_empty()).collect()
}

/// Who runs those that are wanted.
pub(crate) fn gather(table: &Table, wanted: &Wanted) -> Gathered {
    let mut counts: HashMap<u32, Counts> = HashMap::new();
    let mut unnamed_facts = 0;
    let matches = |patterns: &[String], number: u32| any(patterns, table.texts.text(number));
    for (i, node) in table.nodes.iter().enumerate() {
        if !matches(&wanted.clusters, node.cluster) {
            continue;
        }
        for cell in &node.cells {
            let Some(kind) = table.kinds.get(cell.kind) else {
                continue;
            };
            let is_named = !table.texts.text(kind.image).is_empty();
            if !is_named
                || !matches(&wanted.namespaces, kind.namespace)
                || !matches(&wanted.workloads, kind.workload)
            {
                continue;
            }
            let counts = counts.entry(kind.image).or_default();
            counts
                .users
                .insert((node.cluster, kind.namespace, kind.workload));
            if counts.last.replace(i) != Some(i) {
                *counts.nodes.entry(node.arch).or_default() += 1;
                if counts.node_names.len() < DeployedTag::NAMES {
                    counts.node_names.push(node.name.to_string());
                }
            }
        }
        let unnamed = table
            .facts_of(node)
            .filter(|fact| table.texts.text(fact.kind.image).is_empty() && is_of_a_pod(fact));
        unnamed_facts += u64::try_from(unnamed.count()).unwrap_or(u64::MAX);
    }
    let tags = counts.into_iter().filter_map(|(image, counts)| {
        let reference = table.texts.text(image);
        is_wanted(&wanted.references, reference)
            .then(|| (reference.to_owned(), usage(table, counts)))
    });
    Gathered {
        tags: tags.collect(),
        unnamed_facts,
    }
}

/// As pods ask for it, or whole.
fn is_wanted(patterns: &[String], reference: &str) -> bool {
    any(patterns, reference)
        || reference
            .parse::<Reference>()
            .is_ok_and(|whole| any(patterns, &whole.to_string()))
}

fn any(patterns: &[String], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| wildcard(pattern, text))
}

fn usage(table: &Table, counts: Counts) -> Usage {
    let text = |number| table.texts.text(number).to_owned();
    let users = counts.users.into_iter();
    let mut users: Vec<_> = users
        .map(|(cluster, namespace, workload)| User {
            cluster: text(cluster),
            namespace: text(namespace),
            workload: text(workload),
        })
        .collect();
    users.sort_unstable();
    let more_users = users.len().saturating_sub(DeployedTag::USERS);
    users.truncate(DeployedTag::USERS);
    let mut node_names = counts.node_names;
    node_names.sort_unstable();
    Usage {
        users,
        more_users: u64::try_from(more_users).unwrap_or(u64::MAX),
        nodes: counts.nodes.into_iter().collect(),
        node_names,
    }
}
