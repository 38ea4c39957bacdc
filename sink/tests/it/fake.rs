//! A collector that answers as it is told.

use std::net::SocketAddr;

use std::time::{Duration, SystemTime};

use archtrace_facts::aggregate::Reading;
use archtrace_facts::arch::Arch;
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Event, EventKind, FactKey, Mode, Via};
use archtrace_facts::node::{NodeInfo, Preflight};
use archtrace_proto::v1::agent_ingest_server::{AgentIngest, AgentIngestServer};
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use archtrace_proto::v1::{self, SyncRequest, SyncResponse};
use archtrace_sink::{Collector, Files, Identity, Outbox, Queue, client};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Status, Streaming};

/// Nothing here takes as long; a loaded machine may.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// One stream of an agent.
pub(crate) struct Stream {
    requests: Streaming<SyncRequest>,
    answers: mpsc::Sender<Result<SyncResponse, Status>>,
}

struct Service(mpsc::Sender<Stream>);

#[tonic::async_trait]
impl AgentIngest for Service {
    type SyncStream = ReceiverStream<Result<SyncResponse, Status>>;

    async fn sync(
        &self,
        request: tonic::Request<Streaming<SyncRequest>>,
    ) -> Result<tonic::Response<Self::SyncStream>, Status> {
        let (answers, stream) = mpsc::channel(16);
        let requests = request.into_inner();
        let taken = self.0.send(Stream { requests, answers }).await;
        taken.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(tonic::Response::new(ReceiverStream::new(stream)))
    }
}

/// A collector in the hands of a test.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    streams: mpsc::Receiver<Stream>,
    server: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::with(Server::builder()).await
    }

    pub(crate) async fn with(mut builder: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, streams) = mpsc::channel(16);
        let server = tokio::spawn(async move {
            let served = builder
                .add_service(AgentIngestServer::new(Service(sender)))
                .serve_with_incoming(TcpListenerStream::new(listener));
            served.await.expect("served");
        });
        Self {
            address,
            streams,
            server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The agent's next stream.
    pub(crate) async fn stream(&mut self) -> Stream {
        let stream = tokio::time::timeout(SOON, self.streams.recv());
        stream.await.expect("in time").expect("the server runs")
    }

    /// How many streams the agent makes within this time.
    pub(crate) async fn count(&mut self, within: Duration, each: impl AsyncFn(Stream)) -> usize {
        let mut count = 0;
        let counted = async {
            while let Some(stream) = self.streams.recv().await {
                count += 1;
                each(stream).await;
            }
        };
        let _ = tokio::time::timeout(within, counted).await;
        count
    }
}

impl Stream {
    /// What the agent says next.
    pub(crate) async fn heard(&mut self) -> Request {
        let message = tokio::time::timeout(SOON, self.requests.message());
        let message = message.await.expect("in time").expect("a message");
        message.expect("the stream goes on").message.expect("known")
    }

    /// What it says next that is no heartbeat.
    pub(crate) async fn said(&mut self) -> Request {
        loop {
            match self.heard().await {
                Request::Heartbeat(_) => {}
                request => return request,
            }
        }
    }

    pub(crate) async fn hello(&mut self) -> v1::Hello {
        match self.said().await {
            Request::Hello(hello) => hello,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn state(&mut self) -> v1::StateUpdate {
        match self.said().await {
            Request::State(state) => state,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn events(&mut self) -> v1::EventBatch {
        match self.said().await {
            Request::Events(events) => events,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn heartbeat(&mut self) -> v1::Heartbeat {
        loop {
            if let Request::Heartbeat(beat) = self.heard().await {
                return beat;
            }
        }
    }

    pub(crate) async fn answer(&self, message: Response) {
        let message = Some(message);
        // An agent that has left does not hear it.
        let _ = self.answers.send(Ok(SyncResponse { message })).await;
    }

    pub(crate) async fn end(self, status: Status) {
        let _ = self.answers.send(Err(status)).await;
    }

    pub(crate) async fn ack(&self, revision: u64, (stream_id, next_sequence): (u64, u64)) {
        let ack = v1::Ack {
            revision,
            next_sequence,
            stream_id,
        };
        self.answer(Response::Ack(ack)).await;
    }

    /// Takes Hello, and welcomes the agent with what a good collector says.
    pub(crate) async fn welcome(&mut self) -> v1::Hello {
        let hello = self.hello().await;
        self.answer(Response::Welcome(welcome(&hello))).await;
        hello
    }
}

pub(crate) fn welcome(hello: &v1::Hello) -> v1::Welcome {
    let earlier = hello.earlier_streams.iter();
    v1::Welcome {
        heartbeat_interval: Some(prost_duration(Duration::from_millis(200))),
        max_message_bytes: 1 << 20,
        next_sequence: hello.oldest_sequence,
        resume: false,
        earlier_next_sequences: earlier.map(|stream| stream.oldest_sequence).collect(),
        max_items: 0,
    }
}

pub(crate) fn prost_duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().expect("short")
}

/// An agent that reports to it; it ends when this is dropped.
pub(crate) struct Agent {
    pub(crate) outbox: Outbox<u64>,
    task: JoinHandle<()>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Agent {
    pub(crate) fn start(url: &str) -> Self {
        Self::with(url, Files::default(), Queue::new(7))
    }

    pub(crate) fn with(url: &str, files: Files, events: Queue) -> Self {
        let outbox = Outbox::new(Preflight::default(), events);
        let collectors = [Collector::new(url, files).expect("a URL")];
        let reported = outbox.clone();
        let task = tokio::spawn(async move {
            client::run(&collectors, &identity(), &reported).await;
        });
        Self { outbox, task }
    }

    /// A binary was executed so many times.
    pub(crate) fn ran(&self, binary: u64, count: u64) {
        self.ran_at(&format!("/{binary}"), binary, count);
    }

    /// The same, with a path of its own.
    pub(crate) fn ran_at(&self, path: &str, binary: u64, count: u64) {
        let mut contents = self.outbox.lock();
        let key = key(path);
        contents.table.name(binary, key, now()).expect("room");
        let reading = Reading {
            count,
            cpu_ns: 0,
            processes: 0,
            last: now(),
        };
        contents.table.read(binary, reading);
        drop(contents);
        self.outbox.notify();
    }

    pub(crate) fn happened(&self, pid: u32) {
        self.outbox.lock().push_event(Event {
            time: now(),
            kind: EventKind::EmulatedExec,
            pid,
            comm: String::new(),
            key: key("/event"),
            errno: 0,
            count: 1,
            instruction: None,
        });
        self.outbox.notify();
    }

    pub(crate) fn digest(&self) -> Vec<u8> {
        self.outbox.lock().table.digest().to_bytes().to_vec()
    }
}

/// What facts of an update add up to.
pub(crate) fn digest_of(facts: &[v1::Fact]) -> Vec<u8> {
    let of = |fact: &v1::Fact| {
        let fact = archtrace_facts::fact::Fact::try_from(fact.clone()).expect("a fact");
        Digest::of_fact(&fact)
    };
    facts.iter().map(of).sum::<Digest>().to_bytes().to_vec()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn key(binary: &str) -> FactKey {
    FactKey {
        cgroup: "/kubepods.slice".to_owned(),
        binary: binary.to_owned(),
        path_resolved: true,
        arch: Arch::Arm64,
        mode: Mode::Emulated,
        emulator: Some("/qemu".to_owned()),
        via: Some(Via::BinfmtMisc),
        cause: None,
    }
}

pub(crate) fn identity() -> Identity {
    Identity {
        cluster: "c".to_owned(),
        node: NodeInfo {
            page_size: 4096,
            agent_version: "test".to_owned(),
            ..NodeInfo::named("n".to_owned(), Arch::Amd64)
        },
        epoch: 5,
        attached_at: now(),
    }
}
