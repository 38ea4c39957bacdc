//! Agents and collectors that are a release apart understand each other, over real connections.

use std::time::Duration;

use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_proto::v1;
use archtrace_releases::filter::Filter;
use archtrace_releases::reduce::reduced;
use archtrace_sim::check;
use archtrace_sim::fleet::{Fleet, Rates};
use archtrace_sim::plan::Plan;
use archtrace_sim::query::Client;
use archtrace_sim::targets::Targets;
use prost::Message as _;

use super::running::{Collector, releases};

const NODES: usize = 8;

/// All that an agent may do, often.
const RATES: Rates = Rates {
    updates: 60.0,
    events: 40.0,
    losses: 1.0,
    pods: 3.0,
    cuts: 2.0,
    moves: 0.0,
    restarts: 1.0,
    jumps: 0.5,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_between_releases() {
    for release in releases() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = SqliteStore::open(&dir.path().join("store.db")).expect("opens");
        let collector = Collector::start(store).await;
        let protocol = release.protocol().expect("descriptors");
        // To the collector, agents and readers are of the release; to them, it is.
        let filter = Filter::start(protocol, &collector.url)
            .await
            .expect("starts");
        let targets = Targets::new(vec![filter.url()], None).expect("a URL");
        let plan = Plan {
            seed: 5,
            cluster: "sim".to_owned(),
            prefix: "sim-".to_owned(),
            facts: 12,
        };
        let spools = dir.path().join("spools");
        let mut fleet = Fleet::new(plan, NODES, targets.clone(), Some(&spools));
        fleet.connect().expect("connects");
        let until = tokio::time::sleep(Duration::from_secs(8));
        fleet.run(RATES, until).await.expect("runs");
        assert_eq!(
            fleet.settle(Duration::from_secs(60)).await,
            0,
            "all is told"
        );
        let happened = fleet.happened();
        assert!(
            happened.restarts > 0 && happened.cuts > 0 && happened.pods > 0,
            "{happened:?}"
        );
        let reader = targets.reader(0).expect("a URL");
        let mut reader = Client::connect(&reader).await.expect("connects");
        let expected: Vec<_> = fleet.expected().collect();
        let report = check::check(&mut reader, &expected).await.expect("answers");
        assert!(report.is_right() && report.events > 0, "{report}");
        drop(expected);
        drop(fleet);
        collector.end().await;
    }
}

/// The way between them loses what a release does not know, however deep it is, and nothing else.
#[test]
fn the_filter_lets_through_what_a_release_knows() {
    let owner = |workload_from_api| v1::Owner {
        cgroup: "/a".to_owned(),
        identity: Some(v1::Identity {
            pod: "p".to_owned(),
            workload_from_api,
            ..v1::Identity::default()
        }),
    };
    let release = releases()
        .into_iter()
        .find(|release| release.name() == "0.1");
    let protocol = release.expect("it was").protocol().expect("descriptors");
    let known = protocol
        .get_message_by_name("archtrace.v1.Owner")
        .expect("it has owners");
    let told = reduced(&known, &owner(true).encode_to_vec()).expect("is one");
    assert_eq!(
        v1::Owner::decode(told.as_slice()).expect("is one"),
        owner(false)
    );
    assert!(reduced(&known, b"\xff").is_err());
}
