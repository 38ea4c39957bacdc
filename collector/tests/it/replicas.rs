//! Two collectors over one store, each with the same policy: both tell the same of mandated agents.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use archtrace_collector::serve::{self, Settings};
use archtrace_collector::store::{Applied, Keep, Snapshot, Store};
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::support::{fact, hello};

/// What two collectors have to tell within this, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves from the store, until `over` is cancelled.
async fn start<S: Store>(
    store: S,
    policy: &Path,
    over: &CancellationToken,
) -> QueryClient<Channel> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address: SocketAddr = listener.local_addr().expect("bound");
    let day = Duration::from_secs(24 * 3600);
    let settings = Settings {
        policy: Some(policy.to_owned()),
        keep: Keep {
            events: 36_500 * day,
            history: 36_500 * day,
        },
        ..Settings::new("test".to_owned(), Duration::from_secs(3600))
    };
    tokio::spawn(serve::serve(listener, store, settings, over.clone()));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    QueryClient::new(endpoint.connect().await.expect("connects"))
}

/// Asks until the agent is so, and that is noted.
async fn until(client: &mut QueryClient<Channel>, status: &str) -> v1::AgentCoverage {
    let begun = Instant::now();
    loop {
        let asked = v1::GetCoverageRequest {
            history: true,
            ..Default::default()
        };
        let answer = client.get_coverage(asked).await.expect("an answer");
        let row = answer.into_inner().rows.pop().expect("one agent");
        if row.status == status && row.since.is_some() {
            return row;
        }
        assert!(begun.elapsed() < PATIENCE, "not {status}: {row:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) async fn tell_the_same_since_when<S: Store>([a, b, writer]: [S; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = dir.path().join("policy.yaml");
    let text = "agents:\n- name: falcon\n  match: {executable: /falcon}\n";
    std::fs::write(&policy, text).expect("written");
    let now = SystemTime::now;
    let attached = writer.attach(hello("n", 1), now()).await.expect("works");
    let tell = async |revision, facts| {
        let snapshot = Snapshot {
            epoch: 1,
            revision,
            facts,
            ..Snapshot::default()
        };
        let told = writer.apply_snapshot(attached.lease, snapshot, now()).await;
        assert!(matches!(told, Ok(Applied::Yes(_))), "{told:?}");
    };
    tell(1, vec![fact("/falcon", 5)]).await;
    let over = CancellationToken::new();
    let mut clients = [
        start(a, &policy, &over).await,
        start(b, &policy, &over).await,
    ];
    let mut past = Vec::new();
    for (revision, status) in [(1, "EMULATED"), (2, "MISSING"), (3, "EMULATED")] {
        if revision > 1 {
            let facts = (status == "EMULATED").then(|| fact("/falcon", 5));
            tell(revision, facts.into_iter().collect()).await;
        }
        let mut rows = Vec::new();
        for client in &mut clients {
            rows.push(until(client, status).await);
        }
        assert_eq!(rows[0].since, rows[1].since, "{status}");
        assert_eq!(rows[0].past, rows[1].past, "{status}");
        let before: Vec<_> = rows[0]
            .past
            .iter()
            .map(|past| past.status.clone())
            .collect();
        assert_eq!(before, past, "{status}");
        past.insert(0, status.to_owned());
    }
    over.cancel();
}
