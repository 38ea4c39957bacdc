//! Events are passed on: to a real receiver of OTLP, and to a file; from a real store.

mod receiver;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_collector::serve::{self, Settings};
use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_collector::store::{NodeId, Store as _};
use archtrace_export::ocsf::{File, Limits};
use archtrace_export::otlp::{Client, Options};
use archtrace_export::{Counts, Positions, Progress, Sink, run};
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::support::{at, batch, channel, event, hello};
use receiver::{Answer, Receiver, retry_info};

/// A store with one node, and a directory for all that belongs to it.
struct Fixture {
    dir: tempfile::TempDir,
    store: Arc<SqliteStore>,
    node: NodeId,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = SqliteStore::open(&dir.path().join("store.db")).expect("opens");
        let attached = store.attach(hello("n", 1), at(1)).await.expect("works");
        Self {
            dir,
            store: Arc::new(store),
            node: attached.lease.node,
        }
    }

    /// Events with these sequences happen.
    async fn happen(&self, sequences: std::ops::Range<u64>) {
        let records = sequences.clone().map(|i| event("/a", i)).collect();
        let batch = batch(sequences.start, records);
        let appended = self.store.append_events(self.node, batch, at(9)).await;
        assert_eq!(appended.expect("works"), sequences.end);
    }

    fn position(&self) -> std::path::PathBuf {
        self.dir.path().join("position")
    }

    /// Exports until it is dropped.
    fn export<K: Sink>(&self, sink: K) -> Export {
        let positions = Positions::open(&self.position(), "test").expect("opens");
        let progress = Arc::new(Progress::new("test", &positions));
        let task = run(
            Arc::clone(&self.store),
            sink,
            positions,
            Arc::clone(&progress),
        );
        Export {
            progress,
            task: tokio::spawn(task),
        }
    }

    /// Exports for the first time: what is there now is history.
    async fn begin(&self) {
        let receiver = Receiver::start(Vec::new()).await;
        let export = self.export(client(&receiver.url()));
        wait(|| self.position().exists()).await;
        export.end().await;
        assert_eq!(receiver.sequences(), Vec::<u64>::new());
    }
}

struct Export {
    progress: Arc<Progress>,
    task: JoinHandle<()>,
}

impl Export {
    /// As if the process was killed, once it has noted how far it is: what is sent is counted before that, and a
    /// write that is under way would go on.
    async fn end(self) {
        wait(|| !self.progress.is_behind()).await;
        self.task.abort();
        let _ = self.task.await;
    }

    fn counts(&self) -> Counts {
        self.progress.counts()
    }
}

fn client(url: &str) -> Client {
    let options = Options {
        url: url.to_owned(),
        ca: None,
    };
    Client::new(&options).expect("a client")
}

async fn wait(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("it comes true");
}

fn up_to(end: u64) -> Vec<u64> {
    (0..end).collect()
}

#[tokio::test]
async fn what_happens_from_now_on_is_exported_once() {
    let fixture = Fixture::new().await;
    fixture.happen(0..3).await;
    fixture.begin().await;
    fixture.happen(3..5).await;
    let receiver = Receiver::start(Vec::new()).await;
    let export = fixture.export(client(&receiver.url()));
    wait(|| receiver.sequences() == [3, 4]).await;
    fixture.happen(5..6).await;
    wait(|| receiver.sequences() == [3, 4, 5]).await;
    wait(|| export.counts().sent == 3).await;
    export.end().await;
    // It goes on where it was.
    fixture.happen(6..8).await;
    let export = fixture.export(client(&receiver.url()));
    wait(|| export.counts().sent == 2).await;
    assert_eq!(receiver.sequences(), [3, 4, 5, 6, 7]);
    export.end().await;
}

#[tokio::test]
async fn a_forgotten_node_is_exported_to_its_end() {
    let fixture = Fixture::new().await;
    fixture.happen(0..3).await;
    fixture.begin().await;
    fixture.happen(3..5).await;
    let forgotten = fixture.store.forget(vec![fixture.node], at(100));
    assert_eq!(forgotten.await.expect("works"), 1);
    let receiver = Receiver::start(Vec::new()).await;
    let export = fixture.export(client(&receiver.url()));
    wait(|| receiver.sequences() == [3, 4]).await;
    wait(|| !export.progress.is_behind()).await;
    // It comes back, with what was exported before still there.
    let attached = fixture.store.attach(hello("n", 2), at(200)).await;
    assert_eq!(attached.expect("works").lease.node, fixture.node);
    fixture.happen(5..6).await;
    wait(|| receiver.sequences() == [3, 4, 5]).await;
    wait(|| !export.progress.is_behind()).await;
    export.end().await;
}

#[tokio::test]
async fn what_was_not_noted_comes_again() {
    let fixture = Fixture::new().await;
    fixture.begin().await;
    let noted = std::fs::read(fixture.position()).expect("reads");
    fixture.happen(0..4).await;
    let receiver = Receiver::start(Vec::new()).await;
    let export = fixture.export(client(&receiver.url()));
    wait(|| export.counts().sent == 4).await;
    export.end().await;
    // A crash after it was taken and before that was on disk.
    std::fs::write(fixture.position(), noted).expect("writes");
    let export = fixture.export(client(&receiver.url()));
    wait(|| export.counts().sent == 4).await;
    assert_eq!(receiver.sequences(), [up_to(4), up_to(4)].concat());
    export.end().await;
}

#[tokio::test]
async fn a_receiver_that_is_away_holds_nothing_back() {
    let fixture = Fixture::new().await;
    fixture.begin().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let export = fixture.export(client(&format!("http://{address}")));
    for i in 0..5 {
        fixture.happen(i * 100..(i + 1) * 100).await;
    }
    wait(|| export.counts().retries > 1).await;
    assert!(export.progress.is_behind());
    assert_eq!(export.counts().sent, 0);
    let receiver = Receiver::start_at(address, Vec::new()).await;
    wait(|| export.counts().sent == 500).await;
    assert_eq!(receiver.sequences(), up_to(500));
    export.end().await;
}

#[tokio::test]
async fn a_receiver_that_is_busy_is_left_alone_and_asked_again() {
    let fixture = Fixture::new().await;
    fixture.begin().await;
    fixture.happen(0..10).await;
    let busy = || Status::with_details(Code::ResourceExhausted, "busy", retry_info(1).into());
    let receiver = Receiver::start(vec![
        Answer::Refuse(Status::unavailable("starting")),
        Answer::Refuse(busy()),
        Answer::Refuse(Status::deadline_exceeded("slow")),
        Answer::Refuse(Status::unauthenticated("who?")),
    ])
    .await;
    let export = fixture.export(client(&receiver.url()));
    wait(|| export.counts().sent == 10).await;
    assert_eq!(receiver.sequences(), up_to(10));
    let expected = Counts {
        sent: 10,
        retries: 4,
        ..Counts::default()
    };
    assert_eq!(export.counts(), expected);
    export.end().await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_counted_and_goes_no_further() {
    let fixture = Fixture::new().await;
    fixture.begin().await;
    fixture.happen(0..20).await;
    // The first eight are taken but for three, whichever these are.
    let receiver = Receiver::start(vec![Answer::Partial(3), Answer::NoMoreThan(4)]).await;
    let export = fixture.export(client(&receiver.url()));
    wait(|| export.counts().sent == 17).await;
    assert_eq!(export.counts().refused, 3);
    // Messages that are too large are made smaller.
    fixture.happen(20..60).await;
    wait(|| export.counts().sent == 57).await;
    assert_eq!(receiver.sequences(), up_to(60));
    assert!(receiver.largest_since_limit() <= 4);
    export.end().await;
    // One that is refused whatever else is in the message is the only one that is lost.
    let receiver = Receiver::start(vec![Answer::Never(66)]).await;
    let export = fixture.export(client(&receiver.url()));
    fixture.happen(60..80).await;
    wait(|| export.counts().sent + export.counts().refused == 20).await;
    assert_eq!(export.counts().refused, 1);
    let all_but_one: Vec<_> = (60..80).filter(|i| *i != 66).collect();
    assert_eq!(receiver.sequences(), all_but_one);
    export.end().await;
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[tokio::test]
async fn findings_are_appended_to_a_file_once() {
    let fixture = Fixture::new().await;
    fixture.begin().await;
    fixture.happen(0..3).await;
    let path = fixture.dir.path().join("events.ndjson");
    let limits = Limits {
        bytes: 1 << 20,
        earlier: 1,
    };
    let file = || File::open(&path, limits).expect("opens");
    let export = fixture.export(file());
    wait(|| export.counts().sent == 3).await;
    export.end().await;
    // Half a line is what a crash leaves.
    let mut text = std::fs::read_to_string(&path).expect("reads");
    text.push_str("{\"class_uid\": 20");
    std::fs::write(&path, text).expect("writes");
    let export = fixture.export(file());
    fixture.happen(3..5).await;
    wait(|| export.counts().sent == 2).await;
    let uids = lines(&path);
    let uids: Vec<_> = uids
        .iter()
        .map(|line| line["metadata"]["uid"].as_str().expect("a text"))
        .collect();
    let last = uids.iter().map(|uid| uid.rsplit('/').next());
    let last: Vec<_> = last.map(|last| last.expect("a sequence")).collect();
    assert_eq!(last, ["0", "1", "2", "3", "4"]);
    // A directory in its place is a disk that cannot be written: events wait, and come.
    export.end().await;
    let export = fixture.export(file());
    std::fs::remove_file(&path).expect("removes");
    std::fs::create_dir(&path).expect("makes");
    fixture.happen(5..6).await;
    wait(|| export.counts().retries > 0).await;
    std::fs::remove_dir(&path).expect("removes");
    wait(|| export.counts().sent == 1).await;
    assert_eq!(lines(&path).len(), 1);
    export.end().await;
}

/// A whole collector over the fixture's store, which exports to this receiver.
struct Served {
    url: String,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), serve::Failure>>,
}

impl Served {
    async fn start(fixture: &Fixture, receiver: SocketAddr) -> Self {
        let store = SqliteStore::open(&fixture.dir.path().join("store.db")).expect("opens");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let mut settings = Settings::new("test".to_owned(), Duration::from_secs(10));
        settings.keep.events = Duration::from_secs(3600);
        settings.exports.state = fixture.dir.path().to_owned();
        settings.exports.otlp = Some(Options {
            url: format!("http://{receiver}"),
            ca: None,
        });
        let shutdown = CancellationToken::new();
        let serving = serve::serve(listener, store, settings, shutdown.clone());
        Self {
            url,
            shutdown,
            server: tokio::spawn(serving),
        }
    }

    /// What was refused and skipped, and how many events there are.
    async fn status(&self) -> (Vec<(String, u64)>, u64) {
        let mut query = QueryClient::new(channel(&self.url).await);
        let status = query.get_server_status(v1::GetServerStatusRequest {}).await;
        let status = status.expect("answers").into_inner();
        let refusals = status.refusals.into_iter();
        let refusals = refusals.map(|refusal| (refusal.reason, refusal.count));
        (refusals.collect(), status.events)
    }

    async fn end(self) {
        self.shutdown.cancel();
        let ended = self.server.await.expect("no panic");
        ended.expect("it was asked to");
    }
}

#[tokio::test]
async fn what_is_deleted_before_it_was_exported_is_counted() {
    let fixture = Fixture::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let position = fixture.dir.path().join("otlp.position");
    let served = Served::start(&fixture, address).await;
    wait(|| position.exists()).await;
    served.end().await;
    // Of 2023, and of now.
    fixture.happen(0..4).await;
    let now = SystemTime::now().duration_since(at(0)).expect("later");
    let records = vec![event("/now", now.as_secs())];
    let appended = fixture
        .store
        .append_events(fixture.node, batch(4, records), at(9));
    appended.await.expect("works");
    let served = Served::start(&fixture, address).await;
    let skipped = ("export_otlp_skipped".to_owned(), 4);
    let waiting = async {
        while served.status().await != (vec![skipped.clone()], 1) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("four are skipped and gone");
    let receiver = Receiver::start_at(address, Vec::new()).await;
    wait(|| receiver.sequences() == [4]).await;
    // Noted too: a write that is under way when the server ends would replace what is written below.
    let noted = || std::fs::read_to_string(&position).unwrap_or_default();
    wait(|| noted().ends_with(" 4\n")).await;
    served.end().await;
    // It does not guess where it was.
    std::fs::write(&position, "something else").expect("writes");
    let served = Served::start(&fixture, address).await;
    let ended = tokio::time::timeout(Duration::from_secs(60), served.server).await;
    let ended = ended.expect("it does not start");
    let failure = ended.expect("no panic").expect_err("refused");
    assert_eq!(failure.exit_code(), 8);
    assert!(failure.to_string().contains("otlp.position"), "{failure}");
}
