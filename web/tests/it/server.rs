//! A collector with a page, in this process, on ports of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use archtrace_collector::auth;
use archtrace_collector::auth::dev_certs::{self, Wanted};
use archtrace_collector::fleet::Nodes;
use archtrace_collector::serve::{self, Listeners, Settings};
use archtrace_collector::store::Store as _;
use archtrace_collector::store::sqlite::SqliteStore;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fleet::{self, Size, hello};
use archtrace_facts::report::Record;

/// Small enough to be filled in a moment.
pub(crate) const SIZE: Size = Size {
    nodes: 6,
    facts: 60,
};

/// A node that should report and never did.
pub(crate) const UNKNOWN: &str = "ip-10-0-9-9.internal";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<Result<(), serve::Failure>>,
    dir: tempfile::TempDir,
}

impl Server {
    /// Whoever comes may read.
    pub(crate) async fn start() -> Self {
        Self::new(false, true).await
    }

    /// Readers show certificates; there is one in [`Self::certificates`].
    pub(crate) async fn with_tls() -> Self {
        Self::new(true, true).await
    }

    /// Nobody has reported to it yet.
    pub(crate) async fn empty() -> Self {
        Self::new(false, false).await
    }

    async fn new(tls: bool, is_filled: bool) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store.db");
        if is_filled {
            fleet::fill(&SqliteStore::open(&path).expect("opens"), SIZE).await;
        }
        let list = dir.path().join("nodes");
        let names = (0..SIZE.nodes).map(fleet::node_name);
        let names: Vec<_> = names.chain([UNKNOWN.to_owned()]).collect();
        std::fs::write(&list, names.join("\n")).expect("writes");
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
        let policy = dir.path().join("policy.yaml");
        std::fs::write(&policy, fleet::policy()).expect("writes");
        let settings = Settings {
            nodes: Nodes::File(list),
            policy: is_filled.then_some(policy),
            auth,
            ..Settings::new("sqlite:test".to_owned(), Duration::from_secs(600))
        };
        let listen = async || TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let web = listen().await;
        let address = web.local_addr().expect("bound");
        let listeners = Listeners {
            grpc: listen().await,
            web: Some(web),
        };
        let store = SqliteStore::open(&path).expect("opens");
        let shutdown = CancellationToken::new();
        let serving = serve::serve(listeners, store, settings, shutdown.clone());
        Self {
            address,
            shutdown,
            serving: tokio::spawn(serving),
            dir,
        }
    }

    pub(crate) fn certificates(&self) -> PathBuf {
        self.dir.path().join("certs")
    }

    /// Node 0 tells of these; to be called once.
    pub(crate) async fn tell(&self, records: Vec<Record>) {
        let store = SqliteStore::open(&self.dir.path().join("store.db")).expect("opens");
        let attached = store.attach(hello(0), std::time::SystemTime::now()).await;
        let lease = attached.expect("works").lease;
        fleet::tell(&store, lease, fleet::HAPPENED, records).await;
    }
}
