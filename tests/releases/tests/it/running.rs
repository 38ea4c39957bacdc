//! This version's collector, over a store that a release filled.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use archtrace_collector::serve::{Failure, Settings, serve};
use archtrace_collector::store::postgres::{PostgresStore, PostgresUrl};
use archtrace_collector::store::{Store, StoreError};
use archtrace_postgres::Cluster;
use archtrace_releases::left::Release;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a database of a test may be away.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn releases() -> Vec<Release> {
    let releases = Release::all().expect("a directory");
    assert!(!releases.is_empty(), "there was no release");
    releases
}

/// A collector in this process; it ends with this.
pub(crate) struct Collector {
    pub(crate) url: String,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), Failure>>,
}

impl Collector {
    pub(crate) async fn start<S: Store>(store: S) -> Self {
        let mut settings = Settings::new("test".to_owned(), Duration::from_secs(1));
        // What releases left behind gets older.
        settings.keep.events = Duration::from_secs(100 * 365 * 86_400);
        settings.keep.history = settings.keep.events;
        settings.keep_nodes = None;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listener, store, settings, shutdown.clone()));
        Self {
            url,
            shutdown,
            server,
        }
    }

    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        let ended = self.server.await.expect("it does not panic");
        ended.expect("nothing fails");
    }
}

/// A copy of a release's file.
pub(crate) fn copied(release: &Release, to: &Path) -> PathBuf {
    let path = to.join("store.db");
    std::fs::copy(release.sqlite(), &path).expect("copies");
    path
}

/// A database of its own with what a release left behind: its URL.
pub(crate) fn restored(cluster: &Cluster, release: &Release, test: &str) -> (String, String) {
    let name = format!("{test}_{}", release.name().replace(['.', '-'], "_"));
    let url = cluster.database(&name);
    let file = std::fs::File::open(release.postgres()).expect("a file");
    let mut psql = cluster.psql(&name);
    psql.args(["--set", "ON_ERROR_STOP=1"])
        .stdin(file)
        .stdout(Stdio::null());
    assert!(psql.status().expect("runs").success());
    (url, name)
}

pub(crate) async fn try_connect(url: &str) -> Result<PostgresStore, StoreError> {
    let url = PostgresUrl::of(url).expect("a URL");
    PostgresStore::connect(&url, None, PATIENCE).await
}

pub(crate) async fn connect(url: &str) -> PostgresStore {
    try_connect(url).await.expect("connects")
}
