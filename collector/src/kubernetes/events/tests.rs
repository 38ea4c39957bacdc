use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Event as Happened, EventKind, FactKey, Mode};
use archtrace_facts::identity::Identity;
use archtrace_facts::report::Record;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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

fn sink(room: usize) -> (PodEvents, mpsc::Receiver<Queued>, Arc<Counts>) {
    let (queue, queued) = mpsc::channel(room);
    let counts: Arc<Counts> = Arc::default();
    let sink = PodEvents {
        ledger: Arc::default(),
        started: Instant::now(),
        early_since: None,
        names: None,
        counts: Arc::clone(&counts),
        queue,
    };
    (sink, queued, counts)
}

/// Something without a name happens in a pod again and again.
#[tokio::test]
async fn a_pod_without_a_name_holds_others_back_for_a_while_only() {
    let (mut sink, mut queued, counts) = sink(10);
    let mut nameless = happened("/a");
    nameless.identity.pod.clear();
    let batch = [nameless, happened("/b")];
    let early = Err(Refusal::Early { after: LOOK_AGAIN });
    assert_eq!(sink.send(&batch).await, early);
    let since = sink.early_since.expect("it is too early");
    assert_eq!(sink.send(&batch).await, early);
    assert_eq!(sink.early_since, Some(since), "it is the same refusal");
    sink.early_since = since.checked_sub(NAMED_WITHIN);
    assert!(sink.early_since.is_some());
    assert_eq!(sink.send(&batch).await, Ok(Taken::default()));
    assert_eq!(queued.try_recv().map(|queued| queued.is_new), Ok(true));
    let dropped: Vec<_> = counts.troubles().map(|(why, _)| why).collect();
    assert_eq!(dropped.len(), 1, "{dropped:?}");
    // And the next one is waited for as long as this.
    assert_eq!(sink.send(&batch).await, early);
}

/// It was said once that it happened, and nobody wrote it.
#[tokio::test]
async fn what_was_dropped_is_written_when_it_happens_again() {
    let (mut sink, mut queued, _) = sink(1);
    let all = ["/a", "/b"].map(happened);
    let mut next = async |all: &[NodeEvent]| {
        assert_eq!(sink.send(all).await, Ok(Taken::default()));
        queued.try_recv().ok()
    };
    let first = next(&all).await.expect("the first has room");
    let again = next(&all).await.expect("the other was not written");
    assert!(again.is_new && again.event.name != first.event.name);
    assert!(next(&all).await.is_none(), "both were written");
    // A server that refuses whatever it is asked.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("somebody asks");
        let _ = stream.read(&mut [0; 8192]).await;
        let answer = "HTTP/1.1 422 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let _ = stream.write_all(answer.as_bytes()).await;
    });
    let config = kube::Config::new(url.parse().expect("a URL"));
    let mut writer = Writer {
        client: Client::try_from(config).expect("a client"),
        ledger: Arc::clone(&sink.ledger),
        counts: Arc::clone(&sink.counts),
        trouble: None,
    };
    writer.deal_with(&first).await;
    assert_eq!(sink.send(&all).await, Ok(Taken::default()));
    let third = queued.try_recv().expect("it was not written");
    assert_eq!(third.event.name, first.event.name);
}

/// Nobody takes anything out: what follows the store goes on all the same, and all is counted.
#[tokio::test]
async fn a_queue_that_is_full_holds_nothing_back() {
    let (mut sink, mut queued, counts) = sink(2);
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
