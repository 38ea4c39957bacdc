//! Epochs, signs of life, sums per node.

use archtrace_collector::store::Store;
use archtrace_facts::fleet::{NodeState, NodeStatus};
use archtrace_facts::node::{Health, Preflight};
use archtrace_facts::report::ReportedLoss;
use archtrace_query::read::{FactQuery, NodeQuery};

use super::super::support::{at, batch, event, fact, hello};
use super::{all, attach, beat, facts, head, losses, nodes, snapshot};

pub(crate) async fn a_new_epoch_tells_the_gap_once(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, Vec::new()).await;
    // At 160, the agent has more to tell than is stored here.
    let beats = vec![beat(node, 1, 1, 150), beat(node, 1, 2, 160)];
    store.heartbeats(beats).await.expect("works");
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
        range: None,
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

pub(crate) async fn a_silent_node_is_not_current(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, vec![fact("/a", 1)]).await;
    let beats = vec![beat(node, 1, 1, 210)];
    store.heartbeats(beats).await.expect("works");
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
        assert_eq!(status.last_heard, Some(at(210)));
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

pub(crate) async fn nodes_do_not_disturb_each_other(store: &impl Store) {
    let report = async |name: String| {
        let node = attach(store, &name, 1).await;
        for count in 1..=5 {
            snapshot(store, node, 1, vec![fact("/a", count)]).await;
            let events = batch(count - 1, vec![event("/a", count)]);
            store
                .append_events(node.node, events, at(count))
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

pub(crate) async fn heartbeats_are_of_their_epoch(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let mut told = beat(node, 1, 0, 110);
    let health = Health {
        resident_bytes: 1 << 40,
        cpu_ns: 2,
        queued_records: 3,
        spooled_bytes: 4,
        spool: "disk".to_owned(),
    };
    told.health = Some(health.clone());
    told.preflight = Some(Preflight::default());
    let mut other = beat(node, 2, 0, 120);
    other.preflight = Some(hello("n", 1).preflight);
    let mut nobody = beat(node, 1, 0, 130);
    nobody.node.0 += 1000;
    let quiet = beat(node, 1, 0, 105);
    assert_eq!(nodes(store).await[0].health, None, "it has not told yet");
    let beats = vec![told, other, nobody, quiet];
    store.heartbeats(beats).await.expect("works");
    let status = &nodes(store).await[0];
    assert_eq!(status.last_heard, Some(at(110)));
    assert_eq!(status.health, Some(health));
    assert_eq!(status.preflight, Preflight::default());
    assert_eq!(head(store, "n").await.last_heard, at(110));
}
