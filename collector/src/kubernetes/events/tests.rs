use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Event as Happened, EventKind, FactKey, Mode};
use archtrace_facts::identity::Identity;
use archtrace_facts::report::Record;

use super::*;

fn happened(binary: &str) -> NodeEvent {
    let event = Happened {
        time: SystemTime::now(),
        kind: EventKind::EmulatedExec,
        pid: 1,
        comm: String::new(),
        key: FactKey {
            cgroup: "/a".to_owned(),
            binary: binary.to_owned(),
            path_resolved: true,
            arch: Arch::Arm64,
            mode: Mode::Emulated,
            emulator: None,
            via: None,
            cause: None,
        },
        errno: 0,
        count: 1,
        instruction: None,
    };
    NodeEvent {
        cluster: String::new(),
        node: "n".to_owned(),
        node_arch: Arch::Amd64,
        stream_id: 1,
        sequence: 1,
        identity: Identity {
            namespace: "pay".to_owned(),
            pod: "api-1".to_owned(),
            pod_uid: "u".to_owned(),
            ..Identity::default()
        },
        record: Record::Event(event),
    }
}

/// Nobody takes anything out: what follows the store goes on all the same, and all is counted.
#[tokio::test]
async fn a_queue_that_is_full_holds_nothing_back() {
    let (queue, mut queued) = mpsc::channel(2);
    let counts: Arc<Counts> = Arc::default();
    let mut sink = PodEvents {
        ledger: Ledger::default(),
        started: Instant::now(),
        names: None,
        counts: Arc::clone(&counts),
        queue,
    };
    let all: Vec<_> = (0..150).map(|i| happened(&format!("/{i}"))).collect();
    assert_eq!(sink.send(&all).await, Ok(Taken::default()));
    let dropped: Vec<_> = counts.troubles().collect();
    let whys: Vec<_> = dropped.iter().map(|(why, _)| why.as_str()).collect();
    assert_eq!(
        whys,
        [
            "kubernetes_events_dropped_rate",
            "kubernetes_events_dropped_queue"
        ]
    );
    // How many of each: a token may come back meanwhile.
    let sum: u64 = dropped.iter().map(|(_, count)| count).sum();
    assert_eq!(sum, 148, "{dropped:?}");
    drop(sink);
    let mut count = 0;
    while queued.recv().await.is_some() {
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn what_the_api_says_decides_what_is_tried_again() {
    let said = |code, message: &str| Status {
        code,
        message: message.to_owned(),
        ..Status::default()
    };
    let check = |code, message: &str, is_new, expected: fn(String) -> Trouble| {
        let told = format!("{message} ({code})");
        assert_eq!(
            trouble(&said(code, message), is_new),
            expected(told),
            "{code}"
        );
    };
    let ending = "unable to create new content in namespace pay because it is being terminated";
    check(404, "namespaces \"pay\" not found", true, |_| Trouble::Gone);
    check(403, ending, true, |_| Trouble::Gone);
    check(403, "events is forbidden", true, Trouble::Forbidden);
    check(401, "Unauthorized", false, Trouble::Forbidden);
    check(422, "invalid", true, Trouble::Invalid);
    for code in [429, 500, 503, 504] {
        check(code, "busy", true, Trouble::Later);
    }
}
