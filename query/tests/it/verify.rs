//! Whether pods run natively: what is told, when that ends, and what is no question.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::fact::{Event, EventKind, IllegalInstruction, Mode, Origin, Stage};
use archtrace_facts::identity::Identity;
use archtrace_facts::node::Preflight;
use archtrace_facts::report::{Record, ReportedLoss};
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::Query;
use archtrace_query::read::NodeId;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status};

use super::memory::{Memory, fact, query};

type Answers = <Query<Memory> as v1::query_server::Query>::VerifyPodsStream;

const HOUR: i64 = 3600;

fn pod(name: &str) -> Identity {
    Identity {
        namespace: "pay".to_owned(),
        pod: name.to_owned(),
        pod_uid: format!("uid-of-{name}"),
        container: "app".to_owned(),
        container_id: format!("id-of-{name}"),
        workload: "Deployment/api".to_owned(),
        ..Identity::default()
    }
}

/// A native pod on `n1`, which is amd64.
fn one_pod() -> (Arc<Memory>, NodeId) {
    let store = Arc::new(Memory::default());
    let node = store.add_node("n1");
    store.put(node, vec![(fact("/app", Mode::Native, 1), pod("a"))]);
    (store, node)
}

fn for_seconds(seconds: i64) -> v1::VerifyPodsRequest {
    v1::VerifyPodsRequest {
        namespace: "pay".to_owned(),
        arch: "amd64".to_owned(),
        duration: Some(prost_types::Duration { seconds, nanos: 0 }),
        ..v1::VerifyPodsRequest::default()
    }
}

async fn ask(
    store: &Arc<Memory>,
    request: Request<v1::VerifyPodsRequest>,
) -> Result<Answers, Status> {
    let answer = query(store, None).verify_pods(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn next(answers: &mut Answers) -> Result<v1::VerifyPodsResponse, Status> {
    let next = tokio::time::timeout(Duration::from_secs(60), answers.next()).await;
    next.expect("in time").expect("not the end")
}

/// The answer, after all that is told before it.
async fn answer(answers: &mut Answers) -> v1::VerifyPodsResponse {
    loop {
        let told = next(answers).await.expect("no error");
        if told.ended {
            assert!(answers.next().await.is_none(), "that is all");
            return told;
        }
        assert_ne!(told.verdict, "not_native", "that ends it");
    }
}

fn death(at: SystemTime) -> Event {
    Event {
        time: at,
        kind: EventKind::IllegalInstruction,
        pid: 7,
        comm: "app".to_owned(),
        key: fact("/app", Mode::Native, 1).key,
        errno: 0,
        count: 1,
        instruction: Some(IllegalInstruction::unread(Origin::Cpu)),
    }
}

#[tokio::test]
async fn it_ends_when_the_time_is_over() {
    let (store, _) = one_pod();
    let before = SystemTime::now();
    let told = answer(
        &mut ask(&store, Request::new(for_seconds(0)))
            .await
            .expect("a stream"),
    )
    .await;
    assert_eq!(
        (&*told.verdict, told.pods, told.native_pods),
        ("native", 1, 1),
        "{told:?}"
    );
    let since = SystemTime::try_from(told.since.expect("always")).expect("a time");
    assert!(since >= before && since <= SystemTime::now());
    assert_eq!(told.coverage.expect("always").reporting, 1);
    let expecting = v1::VerifyPodsRequest {
        expected_pods: 2,
        ..for_seconds(1)
    };
    let told = answer(
        &mut ask(&store, Request::new(expecting))
            .await
            .expect("a stream"),
    )
    .await;
    let doubts: Vec<_> = told.doubts.iter().map(|doubt| &*doubt.kind).collect();
    assert_eq!((&*told.verdict, doubts), ("unknown", vec!["too_few_pods"]));
    let watched = Duration::try_from(told.watched.expect("always")).expect("a time");
    assert!(watched >= Duration::from_secs(1), "{watched:?}");
}

#[tokio::test]
async fn it_ends_as_soon_as_something_is_not_native() {
    let (store, node) = one_pod();
    let mut answers = ask(&store, Request::new(for_seconds(HOUR)))
        .await
        .expect("a stream");
    let first = next(&mut answers).await.expect("no error");
    assert_eq!((&*first.verdict, first.ended), ("native", false));
    store.put(node, vec![(fact("/helper", Mode::Emulated, 1), pod("b"))]);
    let told = answer(&mut answers).await;
    assert_eq!(
        (&*told.verdict, told.pods, told.native_pods),
        ("not_native", 2, 1)
    );
    assert_eq!(told.not_native[0].why, "emulated");
}

#[tokio::test]
async fn it_ends_as_soon_as_something_dies_of_an_instruction() {
    let (store, node) = one_pod();
    let mut answers = ask(&store, Request::new(for_seconds(HOUR)))
        .await
        .expect("a stream");
    assert_eq!(
        next(&mut answers).await.expect("no error").verdict,
        "native"
    );
    // Of others it is not asked.
    let other = Identity {
        namespace: "web".to_owned(),
        ..pod("c")
    };
    store.tell(node, death(SystemTime::now()), other);
    store.tell(node, death(SystemTime::now()), pod("a"));
    let told = answer(&mut answers).await;
    assert_eq!((&*told.verdict, told.native_pods), ("not_native", 0));
    let pods = told.died.iter().map(|event| {
        let identity = event.identity.as_ref();
        identity.expect("always").pod.as_str()
    });
    assert_eq!(pods.collect::<Vec<_>>(), ["a"]);
}

#[tokio::test]
async fn what_died_before_counts_for_who_goes_on_and_who_is_still_there() {
    let minutes = |minutes: u64| SystemTime::now() - Duration::from_secs(minutes * 60);
    for (pod_of, since, verdict) in [
        // Deployments replace pods that are broken.
        ("gone", None, "native"),
        ("gone", Some(minutes(10)), "not_native"),
        ("a", None, "not_native"),
    ] {
        let died = death(minutes(5));
        // An agent that could not look at the instruction tells of the death all the same.
        let unread = Event {
            instruction: None,
            ..died.clone()
        };
        for death in [died, unread] {
            let (store, node) = one_pod();
            store.tell(node, death, pod(pod_of));
            let request = v1::VerifyPodsRequest {
                since: since.map(Into::into),
                ..for_seconds(0)
            };
            let mut answers = ask(&store, Request::new(request)).await.expect("a stream");
            let told = answer(&mut answers).await;
            assert_eq!(told.verdict, verdict, "{pod_of} {since:?}: {told:?}");
        }
    }
}

#[tokio::test]
async fn a_node_whose_pods_are_gone_is_asked_what_it_lost() {
    for (stage, doubts) in [
        (Stage::RingBuffer, &["too_few_pods", "lost_records"][..]),
        (Stage::Inspection, &["too_few_pods"]),
    ] {
        let (store, node) = one_pod();
        store.sees(node, Preflight::default());
        // However long the test takes.
        store.heard(node, SystemTime::now() + Duration::from_secs(3600));
        let mut answers = ask(&store, Request::new(for_seconds(4)))
            .await
            .expect("a stream");
        let first = next(&mut answers).await.expect("no error");
        assert_eq!((&*first.verdict, first.pods), ("native", 1));
        let now = SystemTime::now();
        let loss = ReportedLoss {
            stage: stage.as_str().to_owned(),
            count: 1,
            since: now,
            until: now,
            range: None,
        };
        store.record(node, Record::Loss(loss), Identity::default());
        store.end(node, fact("/app", Mode::Native, 1).key.id());
        let told = answer(&mut answers).await;
        let kinds: Vec<_> = told.doubts.iter().map(|doubt| &*doubt.kind).collect();
        assert_eq!((told.pods, &*kinds), (0, doubts), "{told:?}");
    }
}

#[tokio::test]
async fn who_goes_on_after_nobody_watched_does_not_know() {
    let minutes = |minutes: u64| SystemTime::now() - Duration::from_secs(minutes * 60);
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    for (since, unwatched, verdict) in [
        (Some(minutes(10)), seconds(5), "native"),
        (Some(minutes(1)), None, "native"),
        (Some(minutes(10)), seconds(180), "unknown"),
        // As one would who never watched.
        (Some(minutes(10)), None, "unknown"),
        (None, None, "native"),
    ] {
        let (store, _) = one_pod();
        let request = v1::VerifyPodsRequest {
            since: since.map(Into::into),
            unwatched,
            ..for_seconds(0)
        };
        let mut answers = ask(&store, Request::new(request)).await.expect("a stream");
        let told = answer(&mut answers).await;
        assert_eq!(told.verdict, verdict, "{since:?} {unwatched:?}: {told:?}");
    }
}

/// More than are told of.
const MANY: usize = 1100;

#[tokio::test]
async fn a_loop_before_the_watch_hides_no_death_during_it() {
    let (store, node) = one_pod();
    let day = SystemTime::now() - Duration::from_secs(20 * 3600);
    for _ in 0..MANY {
        store.tell(node, death(day), pod("gone"));
    }
    let mut answers = ask(&store, Request::new(for_seconds(6)))
        .await
        .expect("a stream");
    let first = next(&mut answers).await.expect("no error");
    assert_eq!((&*first.verdict, first.ended), ("native", false));
    store.tell(node, death(SystemTime::now()), pod("a"));
    let told = answer(&mut answers).await;
    assert_eq!((&*told.verdict, told.died.len()), ("not_native", 1));
    // Of one that is still there, too, each pod's last says enough.
    for _ in 0..MANY {
        store.tell(node, death(day), pod("a"));
    }
    let mut answers = ask(&store, Request::new(for_seconds(0)))
        .await
        .expect("a stream");
    let told = answer(&mut answers).await;
    assert_eq!((told.died.len(), told.more_died), (1, 0));
}

#[tokio::test]
async fn deaths_of_nobody_knows_whom_hide_no_other() {
    let (store, node) = one_pod();
    let minutes = |minutes: u64| SystemTime::now() - Duration::from_secs(minutes * 60);
    let unnamed = Identity {
        pod_uid: "of nobody knows whom".to_owned(),
        ..Identity::default()
    };
    store.tell(node, death(minutes(5)), pod("a"));
    for _ in 0..MANY {
        store.tell(node, death(minutes(1)), unnamed.clone());
    }
    let request = v1::VerifyPodsRequest {
        since: Some(minutes(10).into()),
        expected_pods: 1,
        ..for_seconds(0)
    };
    let mut answers = ask(&store, Request::new(request)).await.expect("a stream");
    let told = answer(&mut answers).await;
    assert_eq!((&*told.verdict, told.died.len()), ("not_native", 1));
}

#[tokio::test]
async fn deadlines_and_a_store_that_is_away_end_it() {
    let (store, _) = one_pod();
    let mut request = Request::new(for_seconds(HOUR));
    request.set_timeout(Duration::from_secs(1));
    let mut answers = ask(&store, request).await.expect("a stream");
    let status = loop {
        match next(&mut answers).await {
            Ok(told) => assert!(!told.ended, "the time is not over"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    store.set_away(true);
    let mut answers = ask(&store, Request::new(for_seconds(0)))
        .await
        .expect("a stream");
    let status = next(&mut answers).await.expect_err("nobody knows");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let (store, _) = one_pod();
    for (request, words) in [
        (v1::VerifyPodsRequest::default(), "namespace: is missing"),
        (
            v1::VerifyPodsRequest {
                arch: "x86_64".to_owned(),
                ..for_seconds(0)
            },
            "arch: ",
        ),
        (for_seconds(25 * HOUR), "duration: is longer than a day"),
        (
            v1::VerifyPodsRequest {
                pods: vec![String::new(); 1001],
                ..for_seconds(0)
            },
            "pods: 1001 values",
        ),
        (
            v1::VerifyPodsRequest {
                workloads: vec![String::new(); 1001],
                ..for_seconds(0)
            },
            "workloads: 1001 values",
        ),
    ] {
        let refused = ask(&store, Request::new(request)).await;
        let status = refused.err().expect(words);
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().starts_with(words), "{status}");
    }
}
