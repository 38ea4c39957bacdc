//! Since when mandated agents are as they are, while the collector is away.

use std::path::Path;
use std::time::{Duration, Instant};

use archtrace_collector::serve::{self, Settings};
use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_facts::report::UpdateKind::SnapshotEnd;
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::support::{Agent, channel, fact, hello, update};

/// Nodes are stale after three of them.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Something has to be so within this, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    url: String,
    over: CancellationToken,
    server: JoinHandle<Result<(), serve::Failure>>,
}

async fn start(dir: &Path) -> Running {
    let store = SqliteStore::open(&dir.join("store.db")).expect("opens");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let settings = Settings {
        policy: Some(dir.join("policy.yaml")),
        drain: Duration::ZERO,
        ..Settings::new("test".to_owned(), HEARTBEAT)
    };
    let over = CancellationToken::new();
    let server = tokio::spawn(serve::serve(listener, store, settings, over.clone()));
    Running { url, over, server }
}

/// The agent of the node tells what runs; waits until it is known since when it is so.
async fn report(url: &str, revision: u64) -> (Agent, v1::AgentCoverage) {
    let (mut agent, _) = Agent::attach(url, &hello("n", 1)).await;
    let told = update(SnapshotEnd, 0, revision, vec![fact("/falcon", 5)]);
    agent.update(&told).await.expect("taken");
    let mut client = QueryClient::new(channel(url).await);
    let begun = Instant::now();
    loop {
        let asked = v1::GetCoverageRequest {
            history: true,
            ..Default::default()
        };
        let answer = client.get_coverage(asked).await.expect("an answer");
        let row = answer.into_inner().rows.pop();
        if let Some(row) = row
            && row.status == "EMULATED"
            && row.since.is_some()
        {
            return (agent, row);
        }
        assert!(begun.elapsed() < PATIENCE, "it is not noted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_was_away_takes_no_node_for_silent() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "agents:\n- name: falcon\n  match: {executable: /falcon}\n";
    std::fs::write(dir.path().join("policy.yaml"), text).expect("written");
    let Running { url, over, server } = start(dir.path()).await;
    let (agent, before) = report(&url, 1).await;
    drop(agent);
    over.cancel();
    server.await.expect("no panic").expect("it ends");
    tokio::time::sleep(HEARTBEAT * 4).await;
    let Running { url, over, .. } = start(dir.path()).await;
    // Agents try again after a while.
    tokio::time::sleep(HEARTBEAT * 2).await;
    let (_agent, after) = report(&url, 2).await;
    assert_eq!((after.since, &after.past), (before.since, &before.past));
    over.cancel();
}
