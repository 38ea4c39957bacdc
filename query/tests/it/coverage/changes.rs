//! What changes: policies, what happened, and what is told of it.

use super::super::told::{death, refused_in_a_loop};
use super::*;

/// Long enough for anything that is to happen, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn labels_are_known_whichever_policy_asks_for_them() {
    let store = Arc::new(Memory::default());
    let node = add_node(&store, "n1");
    store.put(node, vec![(native(), pod())]);
    let (query, policy) = with(&store, &[], vec![agent("a", label("app", "falcon"))]);
    until(&query, &["a n1 NATIVE"]).await;
    let change = |agents| *policy.0.lock().expect("no test panics meanwhile") = mandated(agents);
    change(vec![agent("b", label("app", "other"))]);
    until(&query, &["b n1 MISSING"]).await;
    change(vec![
        agent("c", label("app", "fal*")),
        agent("d", label("team", "*")),
    ]);
    until(&query, &["c n1 NATIVE", "d n1 MISSING"]).await;
    let mut with_team = pod();
    with_team.labels.insert("team".to_owned(), "sec".to_owned());
    store.put(node, vec![(native(), with_team)]);
    until(&query, &["c n1 NATIVE", "d n1 NATIVE"]).await;
    store.end(node, native().key.id());
    until(&query, &["c n1 MISSING", "d n1 MISSING"]).await;
}

#[tokio::test]
async fn what_happened_to_a_pod_without_a_name_is_known_when_it_has_one() {
    let store = Arc::new(Memory::default());
    let node = add_node(&store, "n1");
    store.put(node, vec![(native(), Identity::default())]);
    let (query, _) = with(&store, &[], vec![agent("a", namespace("falcon"))]);
    until(&query, &["a n1 MISSING"]).await;
    // Agents tell of deaths at once, and ask the runtime whose they are meanwhile.
    store.tell(node, death(native().key), Identity::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.put(node, vec![(native(), pod())]);
    until(&query, &["a n1 FAILING"]).await;
}

#[tokio::test]
async fn what_is_refused_in_a_loop_hides_no_death() {
    let store = Arc::new(Memory::default());
    let node = add_node(&store, "n1");
    store.put(node, vec![(native(), pod())]);
    store.tell(node, death(native().key), pod());
    refused_in_a_loop(&store, node);
    let (query, _) = with(&store, &[], vec![agent("a", namespace("falcon"))]);
    until(&query, &["a n1 FAILING"]).await;
}

#[tokio::test]
async fn what_happened_is_seen_before_and_after_the_first_look() {
    let store = Arc::new(Memory::default());
    let nodes = ["n1", "n2", "n3"].map(|name| {
        let node = add_node(&store, name);
        store.put(node, vec![(native(), pod())]);
        node
    });
    store.tell(nodes[0], death(native().key), pod());
    let (query, _) = with(&store, &[], vec![agent("a", namespace("falcon"))]);
    until(&query, &["a n1 FAILING", "a n2 NATIVE", "a n3 NATIVE"]).await;
    store.tell(nodes[1], death(native().key), pod());
    let other = Identity {
        workload: "Deployment/other".to_owned(),
        ..Identity::default()
    };
    store.tell(nodes[2], death(native().key), other);
    until(&query, &["a n1 FAILING", "a n2 FAILING", "a n3 NATIVE"]).await;
    let looping = Identity {
        attempt: 9,
        last_exit: Some(LastExit {
            code: 1,
            reason: "Error".to_owned(),
        }),
        ..pod()
    };
    store.put(nodes[2], vec![(native(), looping)]);
    until(&query, &["a n1 FAILING", "a n2 FAILING", "a n3 FAILING"]).await;
    let rows = ask(&query, v1::GetCoverageRequest::default()).await.rows;
    let reasons: Vec<_> = rows.iter().map(|row| row.reason.as_str()).collect();
    let sve = "died of SIGILL: needs SVE, this CPU has none";
    let looping = "crash loop: started again 9 times, last exit code 1 (Error)";
    assert_eq!(reasons, [sve, sve, looping]);
    let row = &rows[0];
    assert_eq!(
        (
            row.namespace.as_str(),
            row.pod.as_str(),
            row.binary.as_str()
        ),
        ("falcon", "falcon-x7", "/falcon")
    );
}

#[tokio::test]
async fn what_changed_is_told_once() {
    let store = Arc::new(Memory::default());
    let node = add_node(&store, "n1");
    store.put(node, vec![(native(), pod())]);
    let certified = words::version("7.18").expect("a tag");
    let falcon = Agent {
        certified: Some([(Arch::Amd64, vec![certified])].into()),
        ..agent("falcon", namespace("falcon"))
    };
    let (query, policy) = with(&store, &["n1", "n2"], vec![falcon]);
    let place = |agent: &str, node: &str| Place {
        agent: agent.to_owned(),
        cluster: "c".to_owned(),
        node: node.to_owned(),
    };
    let noted = vec![
        (place("falcon", "n1"), Status::Native),
        (place("gone", "n1"), Status::Missing),
    ];
    let mut known = Known::new(noted);
    let next = async |known: &mut Known, patience: Duration| {
        let begun = Instant::now();
        loop {
            let (now, changes) = query
                .coverage_changes(std::mem::take(known))
                .await
                .expect("a look");
            *known = now;
            let mut told: Vec<_> = changes
                .into_iter()
                .map(|change| (change.place, change.was, change.is))
                .collect();
            told.sort();
            if !told.is_empty() || begun.elapsed() > patience {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert_eq!(
        next(&mut known, SOON).await,
        [
            (place("falcon", "n2"), None, Some(Status::Unknown)),
            (place("gone", "n1"), Some(Status::Missing), None),
        ]
    );
    assert_eq!(next(&mut known, Duration::from_secs(2)).await, []);
    let mut other = pod();
    other.image = "r/falcon:7.19".to_owned();
    store.put(node, vec![(native(), other)]);
    let n1 = || place("falcon", "n1");
    let uncertified = Some(Status::Uncertified);
    assert_eq!(
        next(&mut known, SOON).await,
        [(n1(), Some(Status::Native), uncertified)]
    );
    // Without a change of the node.
    *policy.0.lock().expect("no test panics meanwhile") =
        mandated(vec![agent("falcon", namespace("falcon"))]);
    assert_eq!(
        next(&mut known, SOON).await,
        [(n1(), uncertified, Some(Status::Native))]
    );
}

#[tokio::test]
async fn what_time_alone_changes_is_seen_though_nothing_else_does() {
    let store = Arc::new(Memory::default());
    let (one, two) = (add_node(&store, "n1"), add_node(&store, "n2"));
    store.put(two, vec![(native(), pod())]);
    let falcon = agent("falcon", namespace("falcon"));
    let audit = agent("audit", namespace("audit"));
    let (query, policy) = with(&store, &[], vec![falcon.clone(), audit.clone()]);
    let at_first = [
        "audit n1 MISSING",
        "audit n2 MISSING",
        "falcon n1 MISSING",
        "falcon n2 NATIVE",
    ];
    // What follows is true for some seconds only, and the first look may take long on a busy machine.
    until(&query, &at_first).await;
    let soon = SystemTime::now() + Duration::from_secs(5);
    // A pod that holds a place for containers that are yet to come, up to two minutes after it was seen first.
    let first_seen = soon - Duration::from_secs(120);
    let pause = Identity {
        container: "pause".to_owned(),
        ..pod()
    };
    let starting = Fact {
        first_seen,
        ..native()
    };
    store.put(one, vec![(starting, pause)]);
    let waived = Agent {
        waivers: vec![Waiver {
            owner: "sec".to_owned(),
            reason: "later".to_owned(),
            expires: soon,
            nodes: Nodes::default(),
            statuses: Vec::new(),
        }],
        ..audit
    };
    *policy.0.lock().expect("no test panics meanwhile") = mandated(vec![falcon, waived]);
    let before = [
        "audit n1 WAIVED",
        "audit n2 WAIVED",
        "falcon n1 MISSING",
        "falcon n2 NATIVE",
    ];
    until(&query, &before).await;
    let looked = query.coverage_changes(Known::default()).await;
    let (known, changes) = looked.expect("a look");
    assert_eq!(changes.len(), 4);
    let after = [
        "audit n1 MISSING",
        "audit n2 MISSING",
        "falcon n1 FAILING",
        "falcon n2 NATIVE",
    ];
    until(&query, &after).await;
    let looked = query.coverage_changes(known).await;
    assert_eq!(looked.expect("a look").1.len(), 3);
    let tallies = query.tallies().await.expect("an answer");
    assert_eq!(tallies.agents, ["audit", "falcon"]);
    let told: Vec<_> = tallies
        .tallies
        .iter()
        .map(|tally| {
            let counts = tally.counts.iter().filter(|(_, nodes)| *nodes > 0);
            let counts: Vec<_> = counts
                .map(|(status, nodes)| format!("{status} {nodes}"))
                .collect();
            let arch = tally.arch.map(|arch| arch.to_string());
            (
                tally.agent.as_str(),
                tally.cluster.as_str(),
                arch,
                counts.join(", "),
            )
        })
        .collect();
    let amd64 = || Some("amd64".to_owned());
    assert_eq!(
        told,
        [
            ("falcon", "c", amd64(), "NATIVE 1, FAILING 1".to_owned()),
            ("audit", "c", amd64(), "MISSING 2".to_owned()),
        ]
    );
}

#[tokio::test]
async fn nodes_that_come_and_go_are_judged_each_for_itself() {
    let store = Arc::new(Memory::default());
    let one = add_node(&store, "n1");
    store.put(one, vec![(native(), pod())]);
    let (query, _) = with(
        &store,
        &["n1", "n2", "n3"],
        vec![agent("falcon", namespace("falcon"))],
    );
    let unknown = ["falcon n1 NATIVE", "falcon n2 UNKNOWN", "falcon n3 UNKNOWN"];
    until(&query, &unknown).await;
    let two = add_node(&store, "n2");
    until(
        &query,
        &["falcon n1 NATIVE", "falcon n2 MISSING", "falcon n3 UNKNOWN"],
    )
    .await;
    store.put(two, vec![(native(), pod())]);
    until(
        &query,
        &["falcon n1 NATIVE", "falcon n2 NATIVE", "falcon n3 UNKNOWN"],
    )
    .await;
    store.heard(one, SystemTime::UNIX_EPOCH);
    until(
        &query,
        &["falcon n1 STALE", "falcon n2 NATIVE", "falcon n3 UNKNOWN"],
    )
    .await;
    store.heard(one, SystemTime::now() + Duration::from_secs(3600));
    until(
        &query,
        &["falcon n1 NATIVE", "falcon n2 NATIVE", "falcon n3 UNKNOWN"],
    )
    .await;
}

#[tokio::test]
async fn where_nothing_is_noted_yet_not_all_is_told_at_once() {
    let store = Arc::new(Memory::default());
    let names: Vec<_> = (0..5100).map(|i| format!("n{i}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (query, _) = with(&store, &names, vec![agent("a", namespace("falcon"))]);
    let (mut known, mut told) = (Known::default(), Vec::new());
    loop {
        let looked = query.coverage_changes(known).await.expect("a look");
        known = looked.0;
        assert!(looked.1.len() <= 5000, "{}", looked.1.len());
        told.extend(looked.1.into_iter().map(|change| change.place));
        if !known.has_more() {
            break;
        }
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), names.len(), "each once");
    let (known, changes) = query.coverage_changes(known).await.expect("a look");
    assert_eq!((changes.len(), known.has_more()), (0, false));
}
