//! What is kept in memory for answers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::fact::Mode;
use archtrace_facts::identity::Identity;
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::{Query, Workload};
use tonic::{Code, Request, Status};

use super::memory::{Memory, fact, query};

async fn facts(query: &Query<Memory>) -> Result<(u64, u64), Status> {
    let ask = v1::SummarizeFactsRequest::default();
    let answer = query.summarize_facts(Request::new(ask)).await?.into_inner();
    let coverage = answer.coverage.expect("coverage");
    Ok((answer.rows[0].facts, coverage.reporting))
}

/// Asks until the answer is this one.
async fn until(query: &Query<Memory>, expected: (u64, u64)) {
    let asking = async {
        while facts(query).await.ok() != Some(expected) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(60), asking).await;
    asked.unwrap_or_else(|_| panic!("never {expected:?}"));
}

#[tokio::test]
async fn answers_wait_for_the_first_look_and_follow_what_changes() {
    let store = Arc::new(Memory::default());
    let node = store.add_node("n1");
    let app = fact("/app", Mode::Emulated, 1);
    store.put(node, vec![(app.clone(), Identity::default())]);
    let query = query(&store, None);
    assert_eq!(facts(&query).await.expect("an answer"), (1, 1));
    let more = (0..10).map(|i| fact(&format!("/{i}"), Mode::Native, 1));
    store.put(node, more.map(|fact| (fact, Identity::default())).collect());
    until(&query, (11, 1)).await;
    store.end(node, app.key.id());
    store.add_node("n2");
    until(&query, (10, 2)).await;
    store.heard(node, SystemTime::UNIX_EPOCH);
    until(&query, (10, 1)).await;
}

#[tokio::test]
async fn a_store_that_is_away_is_no_answer_and_comes_back() {
    let store = Arc::new(Memory::default());
    let node = store.add_node("n1");
    store.put(
        node,
        vec![(fact("/app", Mode::Native, 1), Identity::default())],
    );
    store.set_away(true);
    let query = query(&store, None);
    for _ in 0..2 {
        let status = facts(&query).await.expect_err("no store");
        assert_eq!(status.code(), Code::Unavailable);
        let list = v1::ListFactsRequest::default();
        let status = query.list_facts(Request::new(list)).await;
        assert_eq!(status.expect_err("no store").code(), Code::Unavailable);
        store.set_away(false);
        until(&query, (1, 1)).await;
        store.set_away(true);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn nobody_asks_the_store_when_nobody_asks() {
    let store = Arc::new(Memory::default());
    let node = store.add_node("n1");
    let query = query(&store, Some(Duration::from_secs(1)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.questions(), 0);
    for _ in 0..2 {
        store.heard(node, SystemTime::now());
        assert_eq!(facts(&query).await.expect("an answer"), (0, 1));
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = store.questions();
        assert!(before > 0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(store.questions(), before);
    }
}

#[tokio::test]
async fn costs_are_checked_and_refused_by_whoever_keeps_none() {
    let query = query(&Arc::new(Memory::default()), None);
    let ask = async |request| {
        let refused = query.get_cost(Request::new(request)).await;
        let status = refused.expect_err("refused");
        (status.code(), status.message().to_owned())
    };
    let request = v1::GetCostRequest::default;
    let (code, told) = ask(request()).await;
    assert_eq!(code, Code::Unimplemented);
    assert!(told.contains("ask a collector"), "{told}");
    let many = v1::GetCostRequest {
        nodes: vec![String::new(); 1001],
        ..request()
    };
    let twice = v1::GetCostRequest {
        group_by: vec![v1::CostDimension::Day.into(); 2],
        ..request()
    };
    let unknown = v1::GetCostRequest {
        group_by: vec![99],
        ..request()
    };
    let negative = v1::GetCostRequest {
        max_rows: -1,
        ..request()
    };
    for (request, part) in [
        (many, "nodes: 1001 values"),
        (twice, "group_by: day is there twice"),
        (unknown, "group_by[0]"),
        (negative, "max_rows: -1 is negative"),
    ] {
        let (code, told) = ask(request).await;
        assert_eq!(code, Code::InvalidArgument, "{told}");
        assert!(told.contains(part), "{told}");
    }
}

#[tokio::test]
async fn native_facts_of_one_workload_are_told_as_they_are() {
    let store = Arc::new(Memory::default());
    let node = store.add_node("n1");
    let identity = |workload: &str, pod: &str| Identity {
        namespace: "shop".to_owned(),
        pod: pod.to_owned(),
        container: "app".to_owned(),
        image: "reg/app:1".to_owned(),
        workload: workload.to_owned(),
        ..Identity::default()
    };
    let of = |cgroup: &str, mode, is_resolved| {
        let mut fact = fact("/app", mode, 3);
        fact.key.cgroup = cgroup.to_owned();
        fact.key.path_resolved = is_resolved;
        fact
    };
    let api = "Deployment/api";
    let resolved = (of("/1", Mode::Native, true), identity(api, "api-1"));
    let as_given = (of("/2", Mode::Native, false), identity(api, "api-2"));
    let emulated = (of("/3", Mode::Emulated, true), identity(api, "api-3"));
    let other = (of("/4", Mode::Native, true), identity("Deployment/web", ""));
    let expected = [resolved.clone(), as_given.clone()];
    store.put(node, vec![resolved, as_given, emulated, other]);
    let query = query(&store, None);
    let ask = async |cluster: &str, most| {
        let of = Workload {
            cluster: cluster.to_owned(),
            namespace: "shop".to_owned(),
            name: api.to_owned(),
        };
        let answer = query.native_facts(of, most).await;
        let (facts, are_more) = answer.expect("an answer");
        let facts = facts.into_iter().map(|fact| (fact.fact, fact.identity));
        let mut facts: Vec<_> = facts.collect();
        facts.sort_by(|(a, _), (b, _)| a.key.cgroup.cmp(&b.key.cgroup));
        (facts, are_more)
    };
    assert_eq!(ask("c", 2).await, (expected.to_vec(), false));
    let (some, are_more) = ask("c", 1).await;
    assert!(some.len() == 1 && are_more);
    assert_eq!(ask("d", 2).await, (Vec::new(), false));
}
