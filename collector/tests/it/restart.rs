//! Killed at any moment, the collector is exact again as soon as its agents are back.

use archtrace_facts::report::UpdateKind::{Delta, SnapshotEnd};
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use nix::sys::signal::Signal;

use super::program::Process;
use super::support::{Agent, ack, batch, channel, event, fact, hello, update};

#[tokio::test]
async fn a_killed_collector_knows_everything_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir.path().join("store.db");
    let mut collector = Process::start(&store, "127.0.0.1:0");
    let (mut revision, mut count, mut sequence) = (0, 0, 0);
    for round in 0..3 {
        let (mut agent, welcome) = Agent::attach(&collector.url, &hello("n", 1)).await;
        assert_eq!(
            welcome.next_sequence, sequence,
            "what was acknowledged is there"
        );
        revision += 1;
        let facts = vec![fact("/a", count), fact("/b", 1)];
        agent
            .update(&update(SnapshotEnd, 0, revision, facts))
            .await
            .expect("taken");
        for _ in 0..20 {
            count += 1;
            let delta = update(Delta, revision, revision + 1, vec![fact("/a", count)]);
            revision += 1;
            assert_eq!(
                agent.update(&delta).await.expect("taken"),
                ack(revision, sequence)
            );
            let events = batch(sequence, vec![event("/a", count)]);
            sequence += 1;
            assert_eq!(
                agent.events(&events).await.expect("taken"),
                ack(revision, sequence)
            );
        }
        // One more of each is on its way when it is killed: stored or not, both have to do.
        agent
            .tell(v1::sync_request::Message::State(
                (&update(Delta, revision, revision + 1, vec![fact("/a", count + 1)])).into(),
            ))
            .await;
        collector.end(Signal::SIGKILL);
        revision += 1;
        count += 1;
        collector = Process::start(&store, "127.0.0.1:0");
        let (mut agent, _) = Agent::attach(&collector.url, &hello("n", 1)).await;
        let facts = vec![fact("/a", count), fact("/b", 1)];
        agent
            .update(&update(SnapshotEnd, 0, revision, facts))
            .await
            .expect("taken");
        let mut query = QueryClient::new(channel(&collector.url).await);
        let facts = query
            .list_facts(v1::ListFactsRequest::default())
            .await
            .expect("an answer");
        let counts: Vec<_> = facts
            .into_inner()
            .facts
            .into_iter()
            .filter_map(|fact| Some(fact.fact?.count))
            .collect();
        assert_eq!(counts, [1, count], "round {round}");
        let status = query.get_server_status(v1::GetServerStatusRequest {}).await;
        let status = status.expect("an answer").into_inner();
        assert_eq!(
            (status.events, status.unexplained_gap, status.losses.len()),
            (sequence, 0, 0)
        );
    }
    collector.end(Signal::SIGTERM);
}
