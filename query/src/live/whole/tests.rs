use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Fact, FactKey};
use archtrace_facts::identity::Identity;
use archtrace_facts::select::{Filter, Selection};
use proptest::prelude::*;

use super::*;
use crate::read::{Head, Version};

const NODES: i64 = 3;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Nodes of which the last does not report.
fn heads(arch: Arch) -> Vec<Head> {
    let head = |node| Head {
        node: NodeId(node),
        cluster: "c".to_owned(),
        name: format!("n{node}"),
        arch,
        version: Version(1),
        began: Version::default(),
        last_heard: at(if node == NODES { 0 } else { 9 }),
    };
    (1..=NODES).map(head).collect()
}

fn change(node: i64, cursor: i64, mode: Mode, ended: bool) -> FactChange {
    let key = FactKey {
        cgroup: "/".to_owned(),
        binary: format!("/bin/{cursor}"),
        path_resolved: true,
        arch: Arch::Amd64,
        mode,
        emulator: None,
        via: None,
        cause: None,
    };
    FactChange {
        node: NodeId(node),
        version: Version(2),
        id: key.id(),
        cursor: FactCursor(cursor),
        fact: NodeFact {
            cluster: "c".to_owned(),
            node: format!("n{node}"),
            node_arch: Arch::Arm64,
            fact: Fact {
                key,
                count: 1,
                processes: u64::from(!ended),
                cpu_ns: 0,
                first_seen: at(1),
                last_seen: at(1),
            },
            identity: Identity::default(),
            current: true,
            ended,
        },
    }
}

fn table(changes: &[FactChange]) -> Table {
    let mut table = Table::default();
    table.take_heads(&heads(Arch::Arm64), at(5));
    for change in changes {
        table.apply(change);
    }
    table
}

fn query(modes: &[Mode]) -> FactQuery {
    let allow = (!modes.is_empty()).then(|| Filter {
        modes: modes.to_vec(),
        ..Filter::default()
    });
    FactQuery {
        selection: Selection {
            allow: allow.into_iter().collect(),
            ..Selection::default()
        },
        running: false,
        history: false,
        alive_since: at(5),
        after: None,
        limit: 100,
    }
}

fn cursors(table: &Table, query: &FactQuery) -> Option<Vec<i64>> {
    let found = table.whole.list(table, query)?;
    Some(found.iter().map(|(cursor, _)| cursor.0).collect())
}

#[test]
fn questions_about_what_is_not_here_go_to_the_store() {
    let table = table(&[change(1, 1, Mode::Emulated, false)]);
    let history = FactQuery {
        history: true,
        ..query(&[Mode::Emulated])
    };
    for (query, known) in [
        (query(&[]), false),
        (query(&[Mode::Native]), false),
        (query(&[Mode::Emulated, Mode::Native]), false),
        (history, false),
        (query(&[Mode::Failed]), true),
        (query(&[Mode::Emulated]), true),
    ] {
        assert_eq!(cursors(&table, &query).is_some(), known, "{query:?}");
    }
}

#[test]
fn facts_are_as_their_node_is_now() {
    let mut table = table(&[
        change(1, 1, Mode::Emulated, false),
        change(NODES, 2, Mode::Emulated, false),
    ]);
    let emulated = query(&[Mode::Emulated]);
    let listed = table.whole.list(&table, &emulated).expect("known");
    let told: Vec<_> = listed
        .iter()
        .map(|(_, fact)| (fact.current, fact.fact.processes, fact.node_arch))
        .collect();
    assert_eq!(told, [(false, 0, Arch::Arm64), (true, 1, Arch::Arm64)]);
    let running = FactQuery {
        running: true,
        ..emulated.clone()
    };
    assert_eq!(cursors(&table, &running), Some(vec![1]));
    // One is replaced by another machine, one is no more.
    table.take_heads(&heads(Arch::Amd64)[..1], at(5));
    let listed = table.whole.list(&table, &emulated).expect("known");
    let archs: Vec<_> = listed.iter().map(|(_, fact)| fact.node_arch).collect();
    assert_eq!(archs, [Arch::Amd64]);
}

#[test]
fn too_many_are_the_stores() {
    let many = i64::try_from(MOST).expect("small") + 5;
    let changes: Vec<_> = (1..=many)
        .map(|cursor| change(1, cursor, Mode::Emulated, false))
        .collect();
    let table = table(&changes);
    let mut page = query(&[Mode::Emulated]);
    assert_eq!(cursors(&table, &page).map(|page| page[0]), Some(many));
    for (after, known) in [(200, true), (106, true), (105, false), (3, false)] {
        page.after = Some(FactCursor(after));
        assert_eq!(cursors(&table, &page).is_some(), known, "{after}");
    }
    page.after = None;
    page.selection.allow[0].nodes = vec!["n2".to_owned()];
    assert_eq!(cursors(&table, &page), None, "older ones may be meant");
}

proptest! {
    /// Whatever came in: pages are those of a list of all.
    #[test]
    fn pages_are_those_of_all_facts(
        steps in prop::collection::vec((1..=NODES, 1_i64..20, 0_usize..Mode::ALL.len(), any::<bool>()), 0..60),
        limit in 1_u32..5,
    ) {
        // A cursor is one fact's, with its node and its mode.
        let told: Vec<_> = steps
            .iter()
            .map(|(node, cursor, mode, ended)| {
                let of = cursor * 100 + node * 10 + i64::try_from(*mode).expect("small");
                change(*node, of, Mode::ALL[*mode], *ended)
            })
            .collect();
        let table = table(&told);
        let mut all = BTreeMap::new();
        for change in &told {
            all.insert(change.cursor, change);
        }
        let meant = all.values().rev().filter(|change| {
            !change.fact.ended && change.fact.fact.key.mode == Mode::Emulated
        });
        let meant: Vec<_> = meant.map(|change| change.cursor.0).collect();
        let mut listed: Vec<i64> = Vec::new();
        let mut page = FactQuery { limit, ..query(&[Mode::Emulated]) };
        loop {
            let found = cursors(&table, &page).expect("known");
            listed.extend(&found);
            if found.len() < limit as usize {
                break;
            }
            page.after = found.last().map(|last| FactCursor(*last));
        }
        prop_assert_eq!(listed, meant);
    }
}
