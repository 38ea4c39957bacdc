//! Questions about a fleet whose nodes report to two collectors over one store at the same time.

mod agent;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_collector::fleet::{self, Nodes};
use archtrace_collector::store::{Snapshot, Store};
use archtrace_facts::fact::{Fact, Mode};
use archtrace_facts::fleet::EventUpdate;
use archtrace_facts::report::EventBatch;
use archtrace_proto::convert::decode_event_update;
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::{Mandates, Open, Query, Settings};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use super::super::support::{STREAM, at, event, fact, hello, illegal, instruction, key};

/// Runs every case on stores that `$open` opens.
macro_rules! answers {
    ($open:path) => {
        $crate::query::fleet::answers! { @each $open:
            watches_show_what_lists_show
            streams_tell_everything_once
            pages_survive_writes
            findings_are_made_of_all_that_is_known
            nodes_that_never_reported_come_last
        }
    };
    (@each $open:path: $($case:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let Some((stores, _kept)) = $open().await else { return };
            $crate::query::fleet::$case(stores.map(std::sync::Arc::new)).await;
        }
    )+};
}

use agent::{Agent, Step, told};
pub(crate) use answers;
pub(crate) use watch::watches_show_what_lists_show;

async fn query<S: Store>(store: &Arc<S>, nodes: Nodes) -> Query<S> {
    let over = CancellationToken::new();
    let settings = Settings {
        store_name: "test".to_owned(),
        heartbeat_interval: Duration::from_secs(10),
        server: Arc::new(Open),
        expected: fleet::start(nodes, over).await.expect("a list"),
        mandates: Mandates::Nobody("nobody is asked for"),
        idle: None,
        shutdown: CancellationToken::new(),
    };
    Query::new(Arc::clone(store), settings)
}

fn selection(filter: &str) -> Option<v1::Selection> {
    Some(v1::Selection {
        filter: filter.to_owned(),
        ..Default::default()
    })
}

/// Each event once to each who follows, whenever they came, and whichever collector took it in.
pub(crate) async fn streams_tell_everything_once<S: Store>(stores: [Arc<S>; 2]) {
    const BATCHES: u64 = 40;
    let query = query(&stores[0], Nodes::Seen).await;
    let write = |i: usize| {
        let stores = &stores;
        async move {
            let now = SystemTime::now();
            let attached = stores[i % 2].attach(hello(&format!("n{i}"), 1), now).await;
            let node = attached.expect("works").lease.node;
            let mut first_sequence = 0;
            for batch in 0..BATCHES {
                let count = 1 + (batch * 7 + i as u64) % 4;
                let records = (0..count).map(|j| event("/a", (batch * 31 + j) % 1000));
                let batch = EventBatch {
                    stream_id: STREAM,
                    first_sequence,
                    records: records.collect(),
                };
                first_sequence += count;
                let store = &stores[(i + batch.records.len()) % 2];
                store.append_events(node, batch, now).await.expect("works");
            }
            first_sequence
        }
    };
    let follow = |after: u64| {
        let query = query.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            let ask = v1::StreamEventsRequest {
                since: Some(at(0).into()),
                follow: true,
                ..Default::default()
            };
            let stream = query.stream_events(Request::new(ask)).await;
            stream.expect("a stream").into_inner()
        }
    };
    let (a, b, c, d, first, second, third) = tokio::join!(
        write(0),
        write(1),
        write(2),
        write(3),
        follow(0),
        follow(150),
        follow(500)
    );
    let expected: usize = [a, b, c, d].into_iter().map(|count| count as usize).sum();
    for mut stream in [first, second, third] {
        let mut places = BTreeSet::new();
        while places.len() < expected {
            let message = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
            let message = message
                .expect("in time")
                .expect("not the end")
                .expect("no error");
            match decode_event_update(message)
                .expect("well formed")
                .expect("known")
            {
                EventUpdate::Event(event) => {
                    let place = (event.node.clone(), event.sequence);
                    assert!(places.insert(place), "twice: {event:?}");
                }
                EventUpdate::Coverage(_) => {}
                EventUpdate::Skipped(count) => panic!("{count} skipped"),
            }
        }
        let more = tokio::time::timeout(Duration::from_secs(1), stream.next()).await;
        if let Ok(Some(Ok(message))) = more {
            let update = decode_event_update(message)
                .expect("well formed")
                .expect("known");
            assert!(matches!(update, EventUpdate::Coverage(_)), "{update:?}");
        }
    }
}

/// What was there when the first page was asked for is in one of the pages, once.
pub(crate) async fn pages_survive_writes<S: Store>(stores: [Arc<S>; 2]) {
    let query = query(&stores[0], Nodes::Seen).await;
    let mut agent = Agent::start(&stores, "n".to_owned()).await;
    let all = |count| {
        (0..40)
            .map(move |i| (i, count))
            .collect::<BTreeMap<u8, u64>>()
    };
    agent.step(Step::Snapshot(all(1))).await;
    let (mut binaries, mut page_token, mut count) = (Vec::new(), String::new(), 2);
    loop {
        let ask = v1::ListFactsRequest {
            page_size: 7,
            page_token,
            ..Default::default()
        };
        let page = query
            .list_facts(Request::new(ask))
            .await
            .expect("an answer");
        let page = page.into_inner();
        assert!(page.coverage.is_some());
        let keys = page.facts.into_iter().filter_map(|fact| fact.fact?.key);
        binaries.extend(keys.map(|key| key.binary));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        let mut changed = all(count);
        changed.insert(100 + u8::try_from(count).expect("few pages"), 1);
        agent
            .step(Step::Delta(changed, BTreeSet::new(), None))
            .await;
        count += 1;
    }
    let expected: Vec<_> = (0..40).rev().map(|i| format!("/{i}")).collect();
    assert_eq!(binaries, expected);
}

pub(crate) async fn findings_are_made_of_all_that_is_known<S: Store>(stores: [Arc<S>; 2]) {
    let now = SystemTime::now();
    let attached = stores[0].attach(hello("n", 1), now).await.expect("works");
    let facts = vec![
        fact("/emulated", 1),
        Fact {
            key: key("/failed", Mode::Failed),
            ..fact("/", 1)
        },
        told(1, 1),
    ];
    let snapshot = Snapshot {
        epoch: 1,
        revision: 1,
        facts,
        ..Snapshot::default()
    };
    let applied = stores[0].apply_snapshot(attached.lease, snapshot, now);
    applied.await.expect("works");
    let since = now.duration_since(at(0)).expect("later").as_secs();
    let batch = EventBatch {
        stream_id: STREAM,
        first_sequence: 0,
        records: vec![
            illegal("/died", since, Some(instruction())),
            event("/emulated", since),
        ],
    };
    let appended = stores[1].append_events(attached.lease.node, batch, now);
    appended.await.expect("works");
    let query = query(&stores[0], Nodes::Seen).await;
    let ask = |filter: &str, least: &str, page_size, page_token| {
        let ask = v1::ListFindingsRequest {
            selection: selection(filter),
            min_severity: least.to_owned(),
            page_size,
            page_token,
            ..Default::default()
        };
        query.list_findings(Request::new(ask))
    };
    let told = |findings: &[v1::Finding]| {
        let findings = findings.iter();
        let told = findings.map(|finding| format!("{} {}", finding.id, finding.binary));
        told.map(|told| told.trim_end().to_owned())
            .collect::<Vec<_>>()
    };
    let page = ask("", "", 0, String::new())
        .await
        .expect("an answer")
        .into_inner();
    let mut all = told(&page.findings);
    let (mut paged, mut page_token) = (Vec::new(), String::new());
    loop {
        let page = ask("", "", 1, page_token)
            .await
            .expect("an answer")
            .into_inner();
        paged.extend(told(&page.findings));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);
    all.sort();
    assert_eq!(
        all,
        [
            "emulated-process /emulated",
            "emulation-available",
            "exec-format-error /failed",
            "illegal-instruction /died",
            "pod-not-covered",
        ]
    );
    let some = ask("mode = emulated", "", 0, String::new())
        .await
        .expect("an answer");
    assert_eq!(
        told(&some.get_ref().findings),
        ["emulated-process /emulated"]
    );
    let none = ask("", "critical", 0, String::new())
        .await
        .expect("an answer");
    assert_eq!(none.get_ref().findings, []);
    let refused = ask("", "terrible", 0, String::new())
        .await
        .expect_err("no such word");
    assert!(refused.message().contains("min_severity"), "{refused}");
}

pub(crate) async fn nodes_that_never_reported_come_last<S: Store>(stores: [Arc<S>; 2]) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("nodes");
    std::fs::write(&path, "n1\nmissing\ntest/n2\nother/n1\n").expect("written");
    let query = query(&stores[0], Nodes::File(path)).await;
    for (name, heard) in [("n1", SystemTime::now()), ("n2", at(0)), ("left", at(0))] {
        stores[1]
            .attach(hello(name, 1), heard)
            .await
            .expect("works");
    }
    let (mut nodes, mut page_token) = (Vec::new(), String::new());
    loop {
        let ask = v1::ListNodesRequest {
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = query
            .list_nodes(Request::new(ask))
            .await
            .expect("an answer");
        let page = page.into_inner();
        for node in page.nodes {
            let state = node.state();
            let name = node.info.unwrap_or_default().name;
            nodes.push(format!("{}/{name} {state:?}", node.cluster));
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(
        nodes,
        [
            "test/n1 Reporting",
            "test/n2 Stale",
            "test/left Stale",
            "/missing Unknown",
            "other/n1 Unknown"
        ]
    );
    // The view has seen all of them after its next look at the store.
    let wanted = async {
        loop {
            let ask = v1::SummarizeFactsRequest::default();
            let answer = query
                .summarize_facts(Request::new(ask))
                .await
                .expect("an answer");
            let coverage = answer.into_inner().coverage.expect("coverage");
            if coverage.reporting == 1 && coverage.stale > 0 {
                return coverage;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let coverage = tokio::time::timeout(Duration::from_secs(60), wanted)
        .await
        .expect("in time");
    assert_eq!(
        (coverage.stale_nodes, coverage.source.as_str()),
        (vec!["n2".to_owned()], "file")
    );
    assert_eq!(coverage.unknown_nodes, ["missing", "n1"]);
}
