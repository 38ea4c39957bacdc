//! What was told comes back as it was told, field by field.

use archtrace_collector::store::Store;
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{
    Cause, EventKind, Fact, FactKey, HandlerChangeKind, IllegalInstruction, Mode, Origin, Via,
};
use archtrace_facts::node::Handler;
use archtrace_facts::report::Record;
use archtrace_facts::select::Filter;
use archtrace_query::read::{EventQuery, NodeQuery};

use super::super::support::{
    at, batch, change, event, fact, handler, hello, illegal, instruction, key, loss,
};
use super::{all, any, attach, events, facts, only, snapshot};

/// One key for each word that keys are made of.
fn keys() -> Vec<FactKey> {
    let causes = Cause::ALL.iter().map(|cause| FactKey {
        cause: Some(*cause),
        ..key("/failed", Mode::Failed)
    });
    let ways = Via::ALL.iter().map(|via| FactKey {
        via: Some(*via),
        ..key("/emulated", Mode::Emulated)
    });
    let others = [Mode::Native, Mode::Compat].map(|mode| FactKey {
        path_resolved: false,
        ..key("other", mode)
    });
    causes.chain(ways).chain(others).collect()
}

pub(crate) async fn every_field_of_a_fact_comes_back(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let with = |key| Fact {
        key,
        ..fact("/x", 3)
    };
    let told: Vec<_> = keys().into_iter().map(with).collect();
    snapshot(store, node, 1, told.clone()).await;
    let known = facts(store, all()).await.into_iter().rev();
    let known: Vec<_> = known.map(|fact| fact.fact).collect();
    assert_eq!(known, told);
}

pub(crate) async fn every_field_of_an_event_comes_back(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let unknown = IllegalInstruction {
        code: -6,
        ..IllegalInstruction::unread(Origin::Itself)
    };
    let sent = IllegalInstruction {
        origin: Origin::Process,
        cpu_has: Some(true),
        ..unknown.clone()
    };
    let bare = Handler {
        enabled: false,
        flags: String::new(),
        since: None,
        ..handler("jar", None)
    };
    let mut told = vec![
        illegal("/a", 1, Some(instruction())),
        illegal("/a", 2, Some(unknown)),
        illegal("/a", 3, Some(sent)),
        illegal("/a", 4, None),
        loss("inspection", 3),
        change(
            HandlerChangeKind::Added,
            handler("qemu-aarch64", Some(Arch::Arm64)),
            5,
        ),
        change(HandlerChangeKind::Removed, bare, 6),
    ];
    for key in keys() {
        let Record::Event(mut event) = event("/x", 7) else {
            unreachable!("it is an event")
        };
        event.key = key;
        event.errno = -1;
        event.count = i64::MAX.unsigned_abs();
        told.push(Record::Event(event));
    }
    store
        .append_events(node.node, batch(0, told.clone()), at(9))
        .await
        .expect("works");
    let mut known = events(store, any()).await;
    known.sort_by_key(|event| event.sequence);
    let known: Vec<_> = known.into_iter().map(|event| event.record).collect();
    assert_eq!(known, told);
}

pub(crate) async fn every_field_of_a_node_comes_back(store: &impl Store) {
    attach(store, "n", 1).await;
    let query = NodeQuery {
        names: Vec::new(),
        alive_since: at(0),
        after: None,
        limit: 9,
    };
    let told = hello("n", 1);
    let known = store.nodes(query).await.expect("works");
    let status = &known[0].1;
    assert_eq!(
        (&status.info, &status.preflight),
        (&told.node, &told.preflight)
    );
}

pub(crate) async fn changes_of_handlers_stand_among_events(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let arm64 = || handler("qemu-aarch64", Some(Arch::Arm64));
    let told = vec![
        change(HandlerChangeKind::Added, arm64(), 1),
        event("/a", 2),
        change(HandlerChangeKind::Added, handler("jar", None), 3),
        illegal("/b", 4, Some(instruction())),
        loss("ring_buffer", 1),
        change(HandlerChangeKind::Removed, arm64(), 5),
    ];
    for _ in 0..2 {
        store
            .append_events(node.node, batch(0, told.clone()), at(9))
            .await
            .expect("works");
    }
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!(totals.events, 5, "all but the loss, once");
    let filter = Filter::default;
    let added = HandlerChangeKind::Added.as_str();
    let removed = HandlerChangeKind::Removed.as_str();
    for (filter, kinds, sequences) in [
        // The loss ended at second 2, as the event happened.
        (filter(), &[][..], &[5, 3, 2, 4, 1, 0][..]),
        (filter(), &[added], &[2, 0]),
        (filter(), &[added, removed], &[5, 2, 0]),
        (filter(), &[EventKind::IllegalInstruction.as_str()], &[3]),
        (
            Filter {
                archs: vec![Arch::Arm64],
                ..filter()
            },
            &[],
            &[5, 1, 0],
        ),
        (
            Filter {
                modes: Mode::ALL.to_vec(),
                ..filter()
            },
            &[],
            &[3, 1],
        ),
        (
            Filter {
                namespaces: vec!["shop".to_owned()],
                ..filter()
            },
            &[],
            &[],
        ),
        (
            Filter {
                since: Some(at(3)),
                ..filter()
            },
            &[added],
            &[2],
        ),
    ] {
        let query = EventQuery {
            selection: only(filter.clone()),
            kinds: kinds.iter().map(|&kind| kind.to_owned()).collect(),
            ..any()
        };
        let known = events(store, query).await;
        let known: Vec<_> = known.iter().map(|event| event.sequence).collect();
        assert_eq!(known, sequences, "{filter:?} {kinds:?}");
    }
}
