//! Things that agents say, a collector to say them to, and an agent's side of the stream.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use archtrace_collector::serve::{self, Settings};
use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{
    Cause, Event, EventKind, Fact, FactKey, HandlerChangeKind, IllegalInstruction, Mode, Origin,
    Via,
};
use archtrace_facts::node::{Handler, NodeInfo, Preflight, Uncovered};
use archtrace_facts::report::{
    EventBatch, HandlerChange, Hello, Record, ReportedLoss, StateUpdate, UpdateKind,
};
use archtrace_proto::v1;
use archtrace_proto::v1::agent_ingest_client::AgentIngestClient;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

/// The stream that [`hello`] announces.
pub(crate) const STREAM: u64 = u64::MAX - 7;

/// A point in time, in seconds from some start.
pub(crate) fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + secs)
}

/// The node attached its hooks at second 0 of `epoch` * 100.
pub(crate) fn hello(node: &str, epoch: u64) -> Hello {
    let name = node.to_owned();
    Hello {
        cluster: "test".to_owned(),
        node: NodeInfo {
            name,
            uid: String::new(),
            arch: Arch::Amd64,
            kernel_release: "6.1.0".to_owned(),
            cpu_model: "a CPU".to_owned(),
            page_size: 4096,
            boot_id: "b".to_owned(),
            agent_version: "0".to_owned(),
            cpu_generation: String::new(),
            cpu_features: vec!["avx2".to_owned(), "sse4_2".to_owned()],
            runs_32bit: Some(true),
            lockdown: "none".to_owned(),
        },
        epoch,
        attached_at: at(epoch * 100),
        event_stream_id: STREAM,
        oldest_sequence: 0,
        next_sequence: 0,
        preflight: Preflight {
            binfmt: "registered".to_owned(),
            handlers: vec![handler("qemu-aarch64", Some(Arch::Arm64))],
            uncovered: vec![Uncovered {
                cgroup: "/kubepods.slice/x".to_owned(),
                runtime: "gvisor".to_owned(),
            }],
            ..Preflight::default()
        },
        held: None,
        earlier_streams: Vec::new(),
    }
}

/// An arm64 binary that ran emulated, last seen at second `count`.
pub(crate) fn fact(binary: &str, count: u64) -> Fact {
    Fact {
        key: key(binary, Mode::Emulated),
        count,
        processes: 1,
        cpu_ns: count.saturating_mul(1000),
        first_seen: at(0),
        last_seen: at(count.min(1_000_000)),
    }
}

pub(crate) fn key(binary: &str, mode: Mode) -> FactKey {
    FactKey {
        cgroup: "/a.slice".to_owned(),
        binary: binary.to_owned(),
        path_resolved: true,
        arch: if mode == Mode::Native {
            Arch::Amd64
        } else {
            Arch::Arm64
        },
        mode,
        emulator: (mode == Mode::Emulated).then(|| "/usr/bin/qemu-aarch64".to_owned()),
        via: (mode == Mode::Emulated).then_some(Via::BinfmtMisc),
        cause: (mode == Mode::Failed).then_some(Cause::ForeignElf),
    }
}

/// An event at second `time`.
pub(crate) fn event(binary: &str, time: u64) -> Record {
    let event = Event {
        time: at(time),
        kind: EventKind::EmulatedExec,
        pid: 42,
        comm: "sh".to_owned(),
        key: key(binary, Mode::Emulated),
        errno: 0,
        count: 1,
        instruction: None,
    };
    Record::Event(event)
}

/// A native process that died at second `time`.
pub(crate) fn illegal(binary: &str, time: u64, instruction: Option<IllegalInstruction>) -> Record {
    let event = Event {
        time: at(time),
        kind: EventKind::IllegalInstruction,
        pid: 43,
        comm: "worker".to_owned(),
        key: key(binary, Mode::Native),
        errno: 0,
        count: 7,
        instruction,
    };
    Record::Event(event)
}

/// An instruction of which all is known.
pub(crate) fn instruction() -> IllegalInstruction {
    IllegalInstruction {
        origin: Origin::Cpu,
        code: 2,
        sender: Some(4_000_000_000),
        address: u64::MAX,
        bytes: vec![0x62, 0xf1, 0x75, 0x48, 0xfe, 0xc2, 0, 0xff],
        mnemonic: Some("vpaddd".to_owned()),
        extension: Some("AVX512F".to_owned()),
        cpu_has: Some(false),
        module: Some("/usr/lib/libx.so".to_owned()),
        offset: Some(u64::MAX),
    }
}

pub(crate) fn handler(name: &str, arch: Option<Arch>) -> Handler {
    Handler {
        name: name.to_owned(),
        enabled: true,
        interpreter: "/usr/bin/qemu-aarch64".to_owned(),
        flags: "OCF".to_owned(),
        arch,
        since: Some(at(0)),
    }
}

/// Something that happened to a handler at second `time`.
pub(crate) fn change(kind: HandlerChangeKind, handler: Handler, time: u64) -> Record {
    Record::Handler(HandlerChange {
        time: at(time),
        kind,
        handler,
    })
}

pub(crate) fn loss(stage: &str, count: u64) -> Record {
    Record::Loss(ReportedLoss {
        stage: stage.to_owned(),
        count,
        since: at(1),
        until: at(2),
        range: None,
    })
}

pub(crate) fn batch(first_sequence: u64, records: Vec<Record>) -> EventBatch {
    EventBatch {
        stream_id: STREAM,
        first_sequence,
        records,
    }
}

pub(crate) fn update(
    kind: UpdateKind,
    base: u64,
    revision: u64,
    upserts: Vec<Fact>,
) -> StateUpdate {
    StateUpdate {
        kind,
        epoch: 1,
        base_revision: base,
        revision,
        upserts,
        removed: Vec::new(),
        owners: Vec::new(),
        images: Vec::new(),
        digest: None,
    }
}

/// A collector in this process, on a port of its own.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<Result<(), serve::Failure>>,
    pub(crate) dir: tempfile::TempDir,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::with_heartbeat(Duration::from_secs(10)).await
    }

    pub(crate) async fn with_heartbeat(heartbeat: Duration) -> Self {
        let mut settings = Settings::new("test".to_owned(), heartbeat);
        // What these tests tell of happened in 2023.
        settings.keep.events = Duration::from_secs(100 * 365 * 86_400);
        Self::with(settings).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = SqliteStore::open(&dir.path().join("store.db")).expect("opens");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shutdown = CancellationToken::new();
        let serving = serve::serve(listener, store, settings, shutdown.clone());
        Self {
            address,
            shutdown,
            server: tokio::spawn(serving),
            dir,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A connection to a collector.
pub(crate) async fn channel(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL");
    endpoint.connect().await.expect("connects")
}

/// An agent's side of one stream.
pub(crate) struct Agent {
    requests: mpsc::Sender<v1::SyncRequest>,
    responses: Streaming<v1::SyncResponse>,
}

impl Agent {
    /// Opens a stream; nothing is said yet.
    pub(crate) async fn open(url: &str) -> Self {
        let mut client = AgentIngestClient::new(channel(url).await);
        let (requests, stream) = mpsc::channel(16);
        let responses = client
            .sync(ReceiverStream::new(stream))
            .await
            .expect("a stream");
        Self {
            requests,
            responses: responses.into_inner(),
        }
    }

    /// Opens a stream, says Hello and waits for the Welcome.
    pub(crate) async fn attach(url: &str, hello: &Hello) -> (Self, v1::Welcome) {
        let mut agent = Self::open(url).await;
        match agent
            .ask(Request::Hello(hello.into()))
            .await
            .expect("an answer")
        {
            Response::Welcome(welcome) => (agent, welcome),
            other => panic!("{other:?} instead of Welcome"),
        }
    }

    pub(crate) async fn ask(&mut self, request: Request) -> Result<Response, Status> {
        self.tell(request).await;
        self.next().await
    }

    pub(crate) async fn tell(&self, request: Request) {
        let request = v1::SyncRequest {
            message: Some(request),
        };
        self.requests
            .send(request)
            .await
            .expect("the stream is open");
    }

    pub(crate) async fn next(&mut self) -> Result<Response, Status> {
        let response = self.responses.message().await?;
        Ok(response
            .and_then(|response| response.message)
            .expect("an answer"))
    }

    pub(crate) async fn update(&mut self, update: &StateUpdate) -> Result<Response, Status> {
        self.ask(Request::State(update.into())).await
    }

    pub(crate) async fn events(&mut self, batch: &EventBatch) -> Result<Response, Status> {
        self.ask(Request::Events(batch.into())).await
    }
}

pub(crate) fn ack(revision: u64, next_sequence: u64) -> Response {
    Response::Ack(v1::Ack {
        revision,
        next_sequence,
        stream_id: STREAM,
    })
}
