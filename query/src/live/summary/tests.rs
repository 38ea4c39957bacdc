use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use archtrace_facts::fact::{Fact, FactId, FactKey, Via};
use archtrace_facts::fleet::NodeFact;
use archtrace_facts::identity::Identity;
use archtrace_facts::select::{Expr, Field, Filter, NumberField, Op, TextField, Value};
use proptest::prelude::*;

use super::*;
use crate::read::{FactChange, FactCursor, Head, NodeId, Version};

const NODES: usize = 5;

/// A fact of this cgroup comes, with this number, or goes.
#[derive(Clone, Debug)]
struct Step {
    node: usize,
    cgroup: u8,
    binary: u8,
    arch: Arch,
    mode: Mode,
    count: u64,
    /// Other names for the same cgroup at another time.
    names: u8,
    ends: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let archs = prop::sample::select(vec![Arch::Amd64, Arch::Arm64, Arch::Other(7)]);
    let modes = prop::sample::select(Mode::ALL.to_vec());
    let step = (
        0..NODES,
        0..4u8,
        0..4u8,
        archs,
        modes,
        0..9u64,
        0..3u8,
        prop::bool::weighted(0.2),
    );
    let step = step.prop_map(
        |(node, cgroup, binary, arch, mode, count, names, ends)| Step {
            node,
            cgroup,
            binary,
            arch,
            mode,
            count,
            names,
            ends,
        },
    );
    prop::collection::vec(step, 0..60)
}

fn identity(cgroup: u8, names: u8) -> Identity {
    if cgroup == 0 {
        return Identity::default();
    }
    let pod = format!("pod{}", cgroup / 2);
    Identity {
        namespace: format!("ns{}", cgroup % 2),
        pod,
        workload: if names == 0 {
            String::new()
        } else {
            format!("Deployment/w{names}")
        },
        image: format!("image{}", names % 2),
        ..Identity::default()
    }
}

fn fact(step: &Step) -> NodeFact {
    let is_emulated = step.mode == Mode::Emulated;
    NodeFact {
        cluster: format!("c{}", step.node % 2),
        node: format!("n{}", step.node / 2),
        node_arch: Arch::Amd64,
        fact: Fact {
            key: FactKey {
                cgroup: format!("/{}", step.cgroup),
                binary: format!("/b{}", step.binary),
                path_resolved: true,
                arch: step.arch,
                mode: step.mode,
                emulator: is_emulated.then(|| "/qemu".to_owned()),
                via: is_emulated.then_some(Via::BinfmtMisc),
                cause: None,
            },
            count: step.count,
            processes: u64::from(is_emulated) * step.count,
            cpu_ns: step.count * 10,
            first_seen: SystemTime::UNIX_EPOCH,
            last_seen: SystemTime::UNIX_EPOCH + Duration::from_secs(step.count),
        },
        identity: identity(step.cgroup, step.names),
        current: true,
        ended: step.ends,
    }
}

/// The same facts in a table and as they are. When a cgroup has other names, all its facts are told
/// again, as stores do.
fn play(steps: &[Step]) -> (Table, Vec<NodeFact>) {
    let mut table = Table::default();
    let head = |i: usize, last_heard| Head {
        node: NodeId(i as i64),
        cluster: format!("c{}", i % 2),
        name: format!("n{}", i / 2),
        arch: Arch::Amd64,
        version: Version(1),
        began: Version::default(),
        last_heard: SystemTime::UNIX_EPOCH + Duration::from_secs(last_heard),
    };
    let alive_since = SystemTime::UNIX_EPOCH + Duration::from_secs(5);
    let heads: Vec<_> = (0..NODES).map(|i| head(i, 9)).collect();
    table.take_heads(&heads, alive_since);
    let mut facts: HashMap<(usize, FactId), NodeFact> = HashMap::new();
    for (i, step) in steps.iter().enumerate() {
        let (new, id) = (fact(step), fact(step).fact.key.id());
        let mut told = Vec::new();
        for ((node, id), known) in &mut facts {
            if *node == step.node && known.fact.key.cgroup == new.fact.key.cgroup {
                known.identity = new.identity.clone();
                told.push((*id, known.clone()));
            }
        }
        if step.ends {
            facts.remove(&(step.node, id));
        } else {
            facts.insert((step.node, id), new.clone());
        }
        told.push((id, new));
        for (id, fact) in told {
            table.apply(&FactChange {
                node: NodeId(step.node as i64),
                version: Version(i as i64 + 2),
                id,
                cursor: FactCursor(0),
                fact,
            });
        }
        table.sum_up(NodeId(step.node as i64));
    }
    // Node 3 ceases to report, and the last one is no more.
    let heads = (0..NODES - 1).map(|i| head(i, if i == 3 { 0 } else { 9 }));
    table.take_heads(&heads.collect::<Vec<_>>(), alive_since);
    facts.retain(|(node, _), _| *node < NODES - 1);
    let settled = facts.into_iter().map(|((node, _), mut fact)| {
        if node == 3 {
            fact.current = false;
            fact.fact.processes = 0;
        }
        fact
    });
    (table, settled.collect())
}

fn naive(
    facts: &[NodeFact],
    selection: &Selection,
    by: &[Dimension],
) -> BTreeMap<Vec<String>, Sums> {
    let mut rows: BTreeMap<Vec<String>, (Sums, BTreeSet<_>, BTreeSet<_>)> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| selection.matches_fact(fact)) {
        let values = by.iter().map(|dimension| match dimension {
            Dimension::Cluster => fact.cluster.clone(),
            Dimension::Node => fact.node.clone(),
            Dimension::Namespace => fact.identity.namespace.clone(),
            Dimension::Workload => fact.identity.workload.clone(),
            Dimension::Image => fact.identity.image.clone(),
            Dimension::Arch => fact.fact.key.arch.to_string(),
            Dimension::Mode => fact.fact.key.mode.to_string(),
        });
        let (sums, nodes, pods) = rows.entry(values.collect()).or_default();
        sums.facts += 1;
        sums.processes += fact.fact.processes;
        sums.count += fact.fact.count;
        sums.cpu_ns += fact.fact.cpu_ns;
        let node = (fact.cluster.clone(), fact.node.clone());
        if !fact.identity.pod.is_empty() {
            let (namespace, pod) = (&fact.identity.namespace, &fact.identity.pod);
            pods.insert((node.clone(), namespace.clone(), pod.clone()));
        }
        nodes.insert(node);
    }
    let rows = rows.into_iter().map(|(values, (mut sums, nodes, pods))| {
        (sums.nodes, sums.pods) = (nodes.len() as u64, pods.len() as u64);
        (values, sums)
    });
    rows.collect()
}

fn selections() -> impl Strategy<Value = Selection> {
    let filter = |edit: fn(&mut Filter)| {
        let mut filter = Filter::default();
        edit(&mut filter);
        Selection {
            allow: vec![filter],
            ..Selection::default()
        }
    };
    let expression = |field, op, value| Selection {
        expression: Some(Expr::Compare(field, op, value)),
        ..Selection::default()
    };
    prop::sample::select(vec![
        Selection::default(),
        filter(|filter| filter.modes = vec![Mode::Emulated]),
        filter(|filter| filter.namespaces = vec!["ns*".to_owned()]),
        filter(|filter| filter.since = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(4))),
        expression(
            Field::Number(NumberField::Processes),
            Op::Greater,
            Value::Number(0),
        ),
        expression(
            Field::Text(TextField::Cgroup),
            Op::NotEqual,
            Value::Text("/1".to_owned()),
        ),
        expression(
            Field::Text(TextField::Workload),
            Op::Has,
            Value::Text("w1".to_owned()),
        ),
    ])
}

proptest! {
    #[test]
    fn sums_are_those_of_the_facts(
        steps in steps(),
        selection in selections(),
        by in prop::sample::subsequence(Dimension::ALL.to_vec(), 0..=Dimension::ALL.len()).prop_shuffle(),
        max_rows in 1..20usize,
        tidy: bool,
    ) {
        let (mut table, facts) = play(&steps);
        if tidy {
            table.sweep();
        }
        let mut expected = naive(&facts, &selection, &by);
        if by.is_empty() {
            expected.entry(Vec::new()).or_default();
        }
        let told = summarize(&table, &selection, &by, max_rows);
        prop_assert_eq!(told.rows.len(), expected.len().min(max_rows));
        prop_assert_eq!(told.rows.len() + told.more_rows as usize, expected.len());
        prop_assert!(told.rows.is_sorted_by_key(|row| std::cmp::Reverse(row.facts)));
        let least = told.rows.last().map_or(0, |row| row.facts);
        for row in told.rows {
            let sums = expected.remove(&row.values);
            prop_assert!(sums.is_some(), "{:?} twice, or of nothing", row);
            let sums = sums.unwrap_or_default();
            prop_assert_eq!(
                (row.facts, row.nodes, row.pods, row.processes, row.count, row.cpu_ns),
                (sums.facts, sums.nodes, sums.pods, sums.processes, sums.count, sums.cpu_ns)
            );
        }
        prop_assert!(expected.values().all(|sums| sums.facts <= least));
    }
}
