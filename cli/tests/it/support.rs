//! A collector that knows a few things, and the program.

pub(crate) mod fleet;
mod known;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use archtrace_collector::auth;
use archtrace_collector::auth::dev_certs::{self, Wanted};
use archtrace_collector::fleet::Nodes;
use archtrace_collector::registry;
use archtrace_collector::serve::{self, Settings};
use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_collector::store::{Applied, Delta, Lease, Store as _};
use archtrace_facts::fact::{Fact, FactId};
use archtrace_facts::report::{EventBatch, Record};
use assert_cmd::Command;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub(crate) use known::{ago, event, fact, handler, key};

/// How a collector is to be.
pub(crate) struct Setup {
    /// What node `n1` has reported besides what is below; nothing at all if `None`.
    pub(crate) records: Option<Vec<Record>>,
    /// When `n1` was heard last.
    pub(crate) heard: SystemTime,
    /// Which nodes should report.
    pub(crate) nodes: Nodes,
    /// Which agents have to run, as a policy says it.
    pub(crate) policy: Option<&'static str>,
    /// Whether readers have to show a certificate: one is in the collector's directory.
    pub(crate) tls: bool,
    /// How it asks registries.
    pub(crate) registry: Option<registry::Options>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            records: Some(Vec::new()),
            heard: SystemTime::now(),
            nodes: Nodes::Seen,
            policy: None,
            tls: false,
            registry: None,
        }
    }
}

/// A collector, and the runtime in which it runs.
pub(crate) struct Collector {
    address: SocketAddr,
    settings: Settings,
    running: Option<(Runtime, CancellationToken)>,
    lease: Option<Lease>,
    next_sequence: u64,
    dir: tempfile::TempDir,
}

impl Collector {
    /// Nobody has reported to it.
    pub(crate) fn empty() -> Self {
        Self::new(Setup {
            records: None,
            ..Setup::default()
        })
    }

    /// Node `n1` has reported what is below.
    pub(crate) fn filled() -> Self {
        Self::new(Setup::default())
    }

    /// Node `n1` has reported these records too.
    pub(crate) fn with(records: Vec<Record>) -> Self {
        Self::new(Setup {
            records: Some(records),
            ..Setup::default()
        })
    }

    pub(crate) fn new(setup: Setup) -> Self {
        let Setup {
            records,
            heard,
            nodes,
            policy,
            tls,
            registry,
        } = setup;
        let dir = tempfile::tempdir().expect("a directory");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let certs = dir.path().join("certs");
        let auth = tls.then(|| {
            let wanted = Wanted {
                out: certs.clone(),
                nodes: vec!["n1".to_owned()],
                cluster: None,
                servers: Vec::new(),
            };
            dev_certs::make(&wanted).expect("makes certificates");
            auth::Options {
                certificate: certs.join("server.crt"),
                key: certs.join("server.key"),
                client_ca: Some(certs.join("ca.crt")),
                tokens: None,
            }
        });
        let policy = policy.map(|text| {
            let path = dir.path().join("policy.yaml");
            std::fs::write(&path, text).expect("writes");
            path
        });
        let settings = Settings {
            nodes,
            policy,
            auth,
            registry,
            ..Settings::new("sqlite:test".to_owned(), Duration::from_secs(3600))
        };
        let mut collector = Self {
            address,
            settings,
            running: None,
            lease: None,
            next_sequence: 0,
            dir,
        };
        if let Some(records) = records {
            collector.next_sequence = 3 + records.len() as u64;
            let lease = collector.write(async |store| known::fill(store, records, heard).await);
            collector.lease = Some(lease);
        }
        collector.serve(listener);
        collector
    }

    pub(crate) fn url(&self) -> String {
        let scheme = self.settings.auth.as_ref().map_or("http", |_| "https");
        format!("{scheme}://{}", self.address)
    }

    /// Where it keeps things; certificates are in `certs`.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The program, asking this collector.
    pub(crate) fn archtrace(&self, args: &[&str]) -> Command {
        let mut command = archtrace(args);
        command.env("ARCHTRACE_SERVER", self.url());
        command
    }

    /// Begins to answer again, where it did before.
    pub(crate) fn start(&mut self) {
        // Connections of others take ports for a moment.
        let deadline = Instant::now() + Duration::from_secs(30);
        let listener = loop {
            match std::net::TcpListener::bind(self.address) {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        self.serve(listener);
    }

    fn serve(&mut self, listener: std::net::TcpListener) {
        let runtime = Runtime::new().expect("a runtime");
        let shutdown = CancellationToken::new();
        let (store, settings, ends) = (self.open(), self.settings.clone(), shutdown.clone());
        listener.set_nonblocking(true).expect("changes");
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("listens");
            serve::serve(listener, store, settings, ends).await
        });
        self.running = Some((runtime, shutdown));
    }

    /// Ends as if it was killed.
    pub(crate) fn stop(&mut self) {
        if let Some((runtime, _)) = self.running.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }

    /// `n1` reports these records.
    pub(crate) fn append(&mut self, records: Vec<Record>) {
        let batch = EventBatch {
            stream_id: 1,
            first_sequence: self.next_sequence,
            records,
        };
        self.next_sequence += batch.records.len() as u64;
        let node = self.lease.expect("n1 has reported").node;
        self.write(async |store| {
            let appended = store.append_events(node, batch, SystemTime::now()).await;
            appended.expect("works")
        });
    }

    /// `n1` reports a change of its facts. Revisions begin with 1.
    pub(crate) fn change(&mut self, base_revision: u64, upserts: Vec<Fact>, removed: Vec<FactId>) {
        let delta = Delta {
            epoch: 1,
            base_revision,
            revision: base_revision + 1,
            upserts,
            removed,
            ..Delta::default()
        };
        let lease = self.lease.expect("n1 has reported");
        let applied = self.write(async |store| {
            let applied = store.apply_delta(lease, delta, SystemTime::now()).await;
            applied.expect("works")
        });
        assert!(matches!(applied, Applied::Yes(_)), "{applied:?}");
    }

    /// By a second handle on the same store, as a second collector would.
    fn write<T>(&self, write: impl AsyncFnOnce(&SqliteStore) -> T) -> T {
        let runtime = Runtime::new().expect("a runtime");
        let store = self.open();
        runtime.block_on(write(&store))
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.dir.path().join("store.db")).expect("opens")
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The program, asking nobody in particular.
pub(crate) fn archtrace(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_archtrace"));
    command
        .args(args)
        .env_remove("ARCHTRACE_SERVER")
        .env_remove("ARCHTRACE_TIMEOUT")
        .env_remove("NO_COLOR");
    command
}
