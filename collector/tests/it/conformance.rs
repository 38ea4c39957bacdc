//! What every store has to do, whatever it is made of: functions over the trait.

mod owners;
mod records;

pub(crate) use owners::{images_are_stored_once, names_may_come_later};
pub(crate) use records::{
    changes_of_handlers_stand_among_events, every_field_of_a_fact_comes_back,
    every_field_of_a_node_comes_back, every_field_of_an_event_comes_back,
};

use archtrace_collector::store::{
    Applied, Beat, Delta, EventQuery, FactQuery, NodeId, NodeQuery, Snapshot, Store,
};
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Fact, Mode};
use archtrace_facts::fleet::{Filter, NodeEvent, NodeFact, NodeState, NodeStatus, Totals};
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;
use archtrace_facts::report::{EventBatch, Owner, Record, ReportedLoss};

use super::support::{STREAM, at, batch, event, fact, hello, key, loss};

/// Runs every case against stores that `$open` makes; it returns the store and what it stands on.
macro_rules! conforms {
    ($open:path: $($case:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (store, _foundation) = $open();
                $crate::conformance::$case(&store).await;
            }
        )+
    };
}
pub(crate) use conforms;

pub(crate) async fn counts_are_summed_over_epochs(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    for count in [5, 7, 7] {
        snapshot(store, node, 1, vec![fact("/a", count)]).await;
        assert_eq!(
            counts(store).await,
            [("/a".to_owned(), count, 1)],
            "replaced within an epoch"
        );
    }
    let node = attach(store, "n", 2).await;
    assert_eq!(
        counts(store).await,
        [("/a".to_owned(), 7, 0)],
        "nothing of epoch 2 is known yet"
    );
    snapshot(store, node, 2, vec![fact("/a", 3)]).await;
    snapshot(store, node, 2, vec![fact("/a", 4)]).await;
    assert_eq!(counts(store).await, [("/a".to_owned(), 11, 1)]);
    // The first one comes back, with what it has.
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, vec![fact("/a", 8)]).await;
    assert_eq!(counts(store).await, [("/a".to_owned(), 12, 1)]);
    let facts = facts(store, FactQuery { limit: 10, ..all() }).await;
    assert_eq!(facts[0].fact.cpu_ns, 12_000);
    assert_eq!(
        (facts[0].fact.first_seen, facts[0].fact.last_seen),
        (at(0), at(8))
    );
}

pub(crate) async fn what_a_snapshot_leaves_out_stays_as_history(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, vec![fact("/a", 1), fact("/b", 2)]).await;
    snapshot(store, node, 1, vec![fact("/b", 2)]).await;
    let a = ("/a".to_owned(), 1, 0);
    assert_eq!(counts(store).await, [("/b".to_owned(), 2, 1), a.clone()]);
    assert_eq!(running(store).await, ["/b"]);
    // Another node's snapshot is its own affair.
    let other = attach(store, "m", 9).await;
    snapshot(store, other, 9, Vec::new()).await;
    assert_eq!(running(store).await, ["/b"]);
    snapshot(store, node, 1, Vec::new()).await;
    assert_eq!(counts(store).await, [("/b".to_owned(), 2, 0), a]);
}

pub(crate) async fn a_dropped_fact_counts_from_zero_again(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, vec![fact("/a", 10)]).await;
    let removed = vec![fact("/a", 0).key.id(), fact("/never", 0).key.id()];
    let drop = Delta {
        epoch: 1,
        base_revision: 1,
        revision: 2,
        // Its last numbers come along.
        upserts: vec![fact("/a", 11)],
        removed,
        ..Delta::default()
    };
    assert_eq!(
        store.apply_delta(node, drop, at(3)).await.expect("works"),
        Applied::Yes
    );
    assert_eq!(counts(store).await, [("/a".to_owned(), 11, 0)]);
    let again = Delta {
        epoch: 1,
        base_revision: 2,
        revision: 3,
        upserts: vec![fact("/a", 2)],
        ..Delta::default()
    };
    assert_eq!(
        store.apply_delta(node, again, at(4)).await.expect("works"),
        Applied::Yes
    );
    snapshot(store, node, 1, vec![fact("/a", 3)]).await;
    assert_eq!(counts(store).await, [("/a".to_owned(), 14, 1)]);
}

pub(crate) async fn deltas_apply_to_their_revision_only(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let delta = |epoch, base_revision| Delta {
        epoch,
        base_revision,
        revision: base_revision + 1,
        upserts: vec![fact("/a", 5)],
        ..Delta::default()
    };
    let apply = async |delta| store.apply_delta(node, delta, at(1)).await.expect("works");
    assert_eq!(
        apply(delta(1, 0)).await,
        Applied::OtherRevision(None),
        "no snapshot yet"
    );
    snapshot(store, node, 1, Vec::new()).await;
    assert_eq!(apply(delta(1, 7)).await, Applied::OtherRevision(Some(1)));
    assert_eq!(apply(delta(2, 1)).await, Applied::OtherEpoch);
    assert_eq!(counts(store).await, [], "nothing was applied so far");
    assert_eq!(apply(delta(1, 1)).await, Applied::Yes);
    assert_eq!(
        apply(delta(1, 1)).await,
        Applied::OtherRevision(Some(2)),
        "not twice"
    );
    let again = store.attach(hello("n", 1), at(2)).await.expect("works");
    assert_eq!(
        again.revision,
        Some(2),
        "the same epoch goes on where it was"
    );
    attach(store, "n", 2).await;
    let late = Snapshot {
        epoch: 1,
        revision: 3,
        ..Snapshot::default()
    };
    let late = store
        .apply_snapshot(node, late, at(3))
        .await
        .expect("works");
    assert_eq!(late, Applied::OtherEpoch);
    let back = store.attach(hello("n", 1), at(4)).await.expect("works");
    assert_eq!(back.revision, None, "others changed what is live");
}

pub(crate) async fn a_new_epoch_tells_the_gap_once(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, Vec::new()).await;
    let beat = |revision| Beat {
        epoch: 1,
        revision,
        preflight: None,
    };
    store
        .heartbeat(node, beat(1), at(150))
        .await
        .expect("works");
    // This agent has more to tell than is stored here.
    store
        .heartbeat(node, beat(2), at(160))
        .await
        .expect("works");
    assert_eq!(
        losses(store).await,
        [],
        "a first epoch has no gap before it"
    );
    for epoch in [2, 2, 1, 2] {
        attach(store, "n", epoch).await;
    }
    let gap = |since, until| ReportedLoss {
        stage: "agent_down".to_owned(),
        count: 0,
        since: at(since),
        until: at(until),
    };
    assert_eq!(losses(store).await, [gap(150, 200)]);
    // Never got as far as to deliver anything; and the node's clock went back.
    attach(store, "n", 3).await;
    let mut early = hello("n", 4);
    early.attached_at = at(250);
    store.attach(early, at(400)).await.expect("works");
    assert_eq!(
        losses(store).await,
        [gap(300, 300), gap(200, 300), gap(150, 200)]
    );
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!(
        (totals.losses[0].stage.as_str(), totals.losses[0].records),
        ("agent_down", 3)
    );
}

pub(crate) async fn events_are_stored_once_and_gaps_are_counted(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let append = async |batch: EventBatch| {
        store
            .append_events(node, batch, at(1))
            .await
            .expect("works")
    };
    let gap = async || store.totals(at(0)).await.expect("works").unexplained_gap;
    assert_eq!(
        append(batch(0, vec![event("/a", 1), event("/b", 2)])).await,
        2
    );
    assert_eq!(
        append(batch(0, vec![event("/a", 1), event("/b", 2)])).await,
        2,
        "sent again"
    );
    assert_eq!(
        append(batch(1, vec![event("/b", 2), event("/c", 3)])).await,
        3,
        "overlapping"
    );
    assert_eq!(append(batch(1, Vec::new())).await, 3);
    assert_eq!(gap().await, 0);
    let all = events(store, EventQuery { limit: 10, ..any() }).await;
    let told: Vec<_> = all
        .iter()
        .map(|event| (event.sequence, event.record.clone()))
        .collect();
    assert_eq!(
        told,
        [
            (2, event("/c", 3)),
            (1, event("/b", 2)),
            (0, event("/a", 1))
        ]
    );
    // Sequences 3 to 6 are missing, and the agent says so.
    assert_eq!(append(batch(7, vec![loss("event_queue", 4)])).await, 8);
    assert_eq!(gap().await, 0);
    // 8 and 9 are missing; what the kernel lost never had a sequence.
    assert_eq!(
        append(batch(
            10,
            vec![loss("ring_buffer", 9), loss("event_queue", 1)]
        ))
        .await,
        12
    );
    assert_eq!(gap().await, 1);
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!(totals.events, 3);
    let by_stage: Vec<_> = totals
        .losses
        .iter()
        .map(|l| (l.stage.as_str(), l.count, l.records))
        .collect();
    assert_eq!(by_stage, [("event_queue", 5, 2), ("ring_buffer", 9, 1)]);
}

pub(crate) async fn streams_begin_where_the_agent_can(store: &impl Store) {
    let late = |epoch, event_stream_id, oldest_sequence| {
        let mut hello = hello("n", epoch);
        (hello.event_stream_id, hello.oldest_sequence) = (event_stream_id, oldest_sequence);
        hello
    };
    let attached = store.attach(late(1, 5, 100), at(1)).await.expect("works");
    assert_eq!(
        attached.next_sequence, 100,
        "what came before was not promised to this store"
    );
    let events = EventBatch {
        stream_id: 5,
        first_sequence: 100,
        records: vec![event("/a", 1)],
    };
    assert_eq!(
        store
            .append_events(attached.node, events, at(1))
            .await
            .expect("works"),
        101
    );
    let again = store.attach(late(1, 5, 200), at(1)).await.expect("works");
    assert_eq!(again.next_sequence, 101, "what is missing now is missed");
    let other = store.attach(late(2, 6, 0), at(1)).await.expect("works");
    assert_eq!(other.next_sequence, 0);
    assert_eq!(store.totals(at(0)).await.expect("works").unexplained_gap, 0);
}

pub(crate) async fn a_silent_node_is_not_current(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, vec![fact("/a", 1)]).await;
    let beat = Beat {
        epoch: 1,
        revision: 1,
        preflight: None,
    };
    store.heartbeat(node, beat, at(210)).await.expect("works");
    for (alive_since, state, processes) in [
        (at(210), NodeState::Reporting, 1),
        (at(211), NodeState::Stale, 0),
    ] {
        let query = NodeQuery {
            names: Vec::new(),
            alive_since,
            after: None,
            limit: 10,
        };
        let status = &store.nodes(query).await.expect("works")[0].1;
        assert_eq!(
            (status.state, status.emulated_processes),
            (state, processes)
        );
        assert_eq!(status.last_heard, at(210));
        let known = facts(
            store,
            FactQuery {
                alive_since,
                ..all()
            },
        )
        .await;
        assert_eq!(known[0].current, state == NodeState::Reporting);
        assert_eq!(known[0].fact.processes, processes);
        let running = facts(
            store,
            FactQuery {
                alive_since,
                running: true,
                ..all()
            },
        )
        .await;
        assert_eq!(running.len() as u64, processes);
        let totals = store.totals(alive_since).await.expect("works");
        assert_eq!(
            (totals.nodes_reporting, totals.nodes_stale),
            (processes, 1 - processes)
        );
    }
}

pub(crate) async fn conditions_hold_together(store: &impl Store) {
    let n = attach(store, "n", 1).await;
    let m = attach(store, "m", 1).await;
    let with = |binary: &str, mode, count, pod: &str| {
        let mut fact = fact(binary, count);
        fact.key = key(binary, mode);
        fact.key.cgroup = format!("/{pod}");
        fact
    };
    let all_modes = vec![
        with("/emulated", Mode::Emulated, 10, "p"),
        with("/failed", Mode::Failed, 20, "p"),
        with("/native", Mode::Native, 30, "q"),
    ];
    snapshot(store, n, 1, all_modes).await;
    snapshot(store, m, 1, vec![with("/other", Mode::Emulated, 40, "q")]).await;
    for node in [n, m] {
        let owners = ["p", "q"].map(|pod| owner(&format!("/{pod}"), &format!("ns-{pod}"), pod));
        tell(store, node, 1, owners.to_vec(), Vec::new()).await;
    }
    let filter = Filter::default;
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    for (filter, binaries) in [
        (filter(), &["/other", "/native", "/failed", "/emulated"][..]),
        (
            Filter {
                nodes: words(&["n"]),
                ..filter()
            },
            &["/native", "/failed", "/emulated"],
        ),
        (
            Filter {
                nodes: words(&["n", "m", "x"]),
                pods: words(&["q"]),
                ..filter()
            },
            &["/other", "/native"],
        ),
        (
            Filter {
                namespaces: words(&["ns-p"]),
                ..filter()
            },
            &["/failed", "/emulated"],
        ),
        (
            Filter {
                modes: vec![Mode::Emulated],
                ..filter()
            },
            &["/other", "/emulated"],
        ),
        (
            Filter {
                modes: vec![Mode::Native, Mode::Failed],
                ..filter()
            },
            &["/native", "/failed"],
        ),
        (
            Filter {
                archs: vec![Arch::Amd64],
                ..filter()
            },
            &["/native"],
        ),
        (
            Filter {
                since: Some(at(30)),
                ..filter()
            },
            &["/other", "/native"],
        ),
        (
            Filter {
                nodes: words(&["' OR 1=1 --"]),
                ..filter()
            },
            &[],
        ),
    ] {
        let known = facts(
            store,
            FactQuery {
                filter: filter.clone(),
                ..all()
            },
        )
        .await;
        assert_eq!(binaries_of(&known), binaries, "{filter:?}");
    }
    let records = vec![event("/a", 1), loss("ring_buffer", 1), event("/b", 3)];
    store
        .append_events(n, batch(0, records), at(1))
        .await
        .expect("works");
    for (filter, kinds, sequences) in [
        (filter(), words(&[]), &[2, 1, 0][..]),
        (filter(), words(&["loss"]), &[1]),
        (filter(), words(&["emulated_exec", "failed_exec"]), &[2, 0]),
        (
            Filter {
                modes: vec![Mode::Emulated],
                ..filter()
            },
            words(&[]),
            &[2, 0],
        ),
        (
            Filter {
                since: Some(at(2)),
                ..filter()
            },
            words(&[]),
            &[2, 1],
        ),
        (
            Filter {
                nodes: words(&["m"]),
                ..filter()
            },
            words(&[]),
            &[],
        ),
    ] {
        let known = events(
            store,
            EventQuery {
                filter,
                kinds,
                ..any()
            },
        )
        .await;
        let told: Vec<_> = known.iter().map(|event| event.sequence).collect();
        assert_eq!(told, sequences);
    }
}

pub(crate) async fn pages_neither_skip_nor_repeat(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let many = |count| {
        (0..10)
            .map(|i| fact(&format!("/{i}"), count))
            .collect::<Vec<_>>()
    };
    snapshot(store, node, 1, many(1)).await;
    let (mut seen, mut after) = (Vec::new(), None);
    for round in 2.. {
        let query = FactQuery {
            after,
            limit: 3,
            ..all()
        };
        let page = store.facts(query).await.expect("works");
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        seen.extend(page.iter().map(|(_, fact)| fact.fact.key.binary.clone()));
        // All of them change between two pages, and new ones come.
        let mut facts = many(round);
        facts.push(fact(&format!("/new{round}"), 1));
        snapshot(store, node, 1, facts).await;
    }
    assert_eq!(
        seen,
        ["/9", "/8", "/7", "/6", "/5", "/4", "/3", "/2", "/1", "/0"]
    );

    // Five at the same time, in pages of two.
    let records = (0..5).map(|i| event(&format!("/{i}"), 7)).collect();
    store
        .append_events(node, batch(0, records), at(1))
        .await
        .expect("works");
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .events(EventQuery {
                after,
                limit: 2,
                ..any()
            })
            .await
            .expect("works");
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        seen.extend(page.iter().map(|(_, event)| event.sequence));
        let first_sequence = 5 + seen.len() as u64;
        let newer = batch(first_sequence, vec![event("/newer", 8)]);
        store
            .append_events(node, newer, at(1))
            .await
            .expect("works");
    }
    assert_eq!(seen, [4, 3, 2, 1, 0]);
}

pub(crate) async fn hostile_numbers_break_nothing(store: &impl Store) {
    let mut first_sequence = i64::MAX.unsigned_abs() - 20;
    for epoch in [u64::MAX, u64::MAX - 1, 1] {
        let mut hello = hello("n", 1);
        hello.epoch = epoch;
        let node = store.attach(hello, at(1)).await.expect("works").node;
        let mut fact = fact("/a", u64::MAX);
        fact.processes = u64::MAX;
        let huge = Snapshot {
            epoch,
            revision: u64::MAX,
            facts: vec![fact],
            ..Snapshot::default()
        };
        assert_eq!(
            store
                .apply_snapshot(node, huge, at(2))
                .await
                .expect("works"),
            Applied::Yes
        );
        let losses = vec![loss("fact_table", u64::MAX), loss("fact_table", u64::MAX)];
        first_sequence += 3;
        store
            .append_events(node, batch(first_sequence, losses), at(3))
            .await
            .expect("works");
    }
    let known = facts(store, all()).await;
    assert_eq!(known[0].fact.count, i64::MAX.unsigned_abs());
    let query = NodeQuery {
        names: Vec::new(),
        alive_since: at(0),
        after: None,
        limit: 10,
    };
    assert_eq!(store.nodes(query).await.expect("works").len(), 1);
    let Totals {
        losses,
        unexplained_gap,
        ..
    } = store.totals(at(0)).await.expect("works");
    assert_eq!(
        (losses[0].stage.as_str(), losses[0].records),
        ("agent_down", 2)
    );
    assert_eq!(
        (losses[1].stage.as_str(), losses[1].records),
        ("fact_table", 6)
    );
    assert!(
        losses[1].count >= i64::MAX.unsigned_abs(),
        "{}",
        losses[1].count
    );
    // One between each two, and all before the first; sums this large are not exact.
    assert!(
        unexplained_gap.abs_diff(first_sequence - 4) < 4096,
        "{unexplained_gap}"
    );
}

pub(crate) async fn nodes_do_not_disturb_each_other(store: &impl Store) {
    let report = async |name: String| {
        let node = attach(store, &name, 1).await;
        for count in 1..=5 {
            snapshot(store, node, 1, vec![fact("/a", count)]).await;
            let events = batch(count - 1, vec![event("/a", count)]);
            store
                .append_events(node, events, at(count))
                .await
                .expect("works");
        }
    };
    let mut reports = Vec::new();
    for i in 0..50 {
        reports.push(report(format!("n{i}")));
    }
    // All at once, in one task: each waits for its own commits.
    let mut reports: Vec<_> = reports.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        reports.retain_mut(|report| report.as_mut().poll(context).is_pending());
        if reports.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!(
        (totals.facts, totals.events, totals.unexplained_gap),
        (50, 250, 0)
    );
    let known = facts(store, all()).await;
    assert!(known.iter().all(|fact| fact.fact.count == 5));
    let query = NodeQuery {
        names: vec!["n7".to_owned()],
        alive_since: at(0),
        after: None,
        limit: 9,
    };
    let [(_, NodeStatus { info, facts, .. })] = &store.nodes(query).await.expect("works")[..]
    else {
        panic!("one node was asked for")
    };
    assert_eq!((info.name.as_str(), *facts), ("n7", 1));
}

async fn attach(store: &impl Store, node: &str, epoch: u64) -> NodeId {
    let attached = store
        .attach(hello(node, epoch), at(epoch * 100))
        .await
        .expect("works");
    assert_eq!(attached.next_sequence, 0, "of stream {STREAM}");
    attached.node
}

/// As revision 1.
async fn snapshot(store: &impl Store, node: NodeId, epoch: u64, facts: Vec<Fact>) {
    let snapshot = Snapshot {
        epoch,
        revision: 1,
        facts,
        ..Snapshot::default()
    };
    let applied = store
        .apply_snapshot(node, snapshot, at(epoch * 100 + 1))
        .await
        .expect("works");
    assert_eq!(applied, Applied::Yes);
}

/// Whose a cgroup is.
fn owner(cgroup: &str, namespace: &str, pod: &str) -> Owner {
    Owner {
        cgroup: cgroup.to_owned(),
        identity: Identity {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            ..Identity::default()
        },
    }
}

/// As the revision after `base`, in epoch 1.
async fn tell(store: &impl Store, node: NodeId, base: u64, owners: Vec<Owner>, images: Vec<Image>) {
    let delta = Delta {
        epoch: 1,
        base_revision: base,
        revision: base + 1,
        owners,
        images,
        ..Delta::default()
    };
    let applied = store.apply_delta(node, delta, at(base + 2)).await;
    assert_eq!(applied.expect("works"), Applied::Yes);
}

fn all() -> FactQuery {
    let filter = Filter::default();
    FactQuery {
        filter,
        running: false,
        alive_since: at(0),
        after: None,
        limit: 1000,
    }
}

fn any() -> EventQuery {
    EventQuery {
        filter: Filter::default(),
        kinds: Vec::new(),
        after: None,
        limit: 1000,
    }
}

async fn facts(store: &impl Store, query: FactQuery) -> Vec<NodeFact> {
    let facts = store.facts(query).await.expect("works");
    facts.into_iter().map(|(_, fact)| fact).collect()
}

async fn events(store: &impl Store, query: EventQuery) -> Vec<NodeEvent> {
    let events = store.events(query).await.expect("works");
    events.into_iter().map(|(_, event)| event).collect()
}

/// Binary, count and processes of all facts, newest first.
async fn counts(store: &impl Store) -> Vec<(String, u64, u64)> {
    let known = facts(store, all()).await;
    known
        .into_iter()
        .map(|f| (f.fact.key.binary, f.fact.count, f.fact.processes))
        .collect()
}

async fn running(store: &impl Store) -> Vec<String> {
    let known = facts(
        store,
        FactQuery {
            running: true,
            ..all()
        },
    )
    .await;
    known.into_iter().map(|fact| fact.fact.key.binary).collect()
}

fn binaries_of(facts: &[NodeFact]) -> Vec<&str> {
    facts
        .iter()
        .map(|fact| fact.fact.key.binary.as_str())
        .collect()
}

async fn losses(store: &impl Store) -> Vec<ReportedLoss> {
    let known = events(store, any()).await;
    let loss = |event: NodeEvent| match event.record {
        Record::Loss(loss) => Some(loss),
        Record::Event(_) | Record::Handler(_) => None,
    };
    known.into_iter().filter_map(loss).collect()
}
