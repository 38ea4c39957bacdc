//! Those who watch end with what lists show, after random histories.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archtrace_collector::fleet::Nodes;
use archtrace_collector::store::Store;
use archtrace_facts::fact::FactId;
use archtrace_facts::fleet::{FactUpdate, NodeFact};
use archtrace_proto::convert::decode_fact_update;
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::Query;
use proptest::test_runner::{Config, TestRunner};
use tokio_stream::StreamExt as _;
use tonic::Request;

use super::agent::{Agent, NODES, Step, steps};
use super::{query, selection};

type Facts = BTreeMap<(String, String, FactId), NodeFact>;

fn place(fact: &NodeFact) -> (String, String, FactId) {
    (fact.cluster.clone(), fact.node.clone(), fact.fact.key.id())
}

async fn listed<S: Store>(query: &Query<S>, filter: &str) -> Facts {
    let (mut facts, mut page_token) = (Facts::new(), String::new());
    loop {
        let ask = v1::ListFactsRequest {
            selection: selection(filter),
            page_token,
            ..Default::default()
        };
        let page = query
            .list_facts(Request::new(ask))
            .await
            .expect("an answer");
        let page = page.into_inner();
        for fact in page.facts {
            let fact = NodeFact::try_from(fact).expect("well formed");
            facts.insert(place(&fact), fact);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return facts;
        }
    }
}

/// What somebody who watches knows.
#[derive(Default)]
struct Mirror {
    facts: Mutex<Facts>,
}

impl Mirror {
    async fn watch<S: Store>(query: &Query<S>, filter: &'static str) -> Arc<Self> {
        let ask = v1::WatchFactsRequest {
            selection: selection(filter),
        };
        let stream = query.watch_facts(Request::new(ask)).await;
        let mut stream = stream.expect("a stream").into_inner();
        let mirror = Arc::new(Self::default());
        let known = Arc::clone(&mirror);
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let update = decode_fact_update(message).expect("well formed");
                let mut facts = known.facts.lock().unwrap_or_else(PoisonError::into_inner);
                match update.expect("known") {
                    FactUpdate::Upsert(fact) => {
                        facts.insert(place(&fact), *fact);
                    }
                    FactUpdate::Removed(removed) => {
                        facts.remove(&(removed.cluster, removed.node, removed.id));
                    }
                    FactUpdate::SnapshotBegin(_) => facts.clear(),
                    FactUpdate::SnapshotEnd(_) | FactUpdate::Coverage(_) => {}
                }
            }
        });
        mirror
    }

    fn facts(&self) -> Facts {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

const FILTERS: [&str; 4] = [
    "",
    "mode = emulated",
    "count < 8 AND namespace != ns1",
    "processes > 0",
];

/// Whoever watches ends with what a list shows, whatever happened before and while they came.
pub(crate) async fn watches_show_what_lists_show<S: Store>(stores: [Arc<S>; 2]) {
    let query = query(&stores[0], Nodes::Seen).await;
    let runtime = tokio::runtime::Handle::current();
    let rounds = AtomicUsize::new(0);
    let histories = move || {
        let config = Config {
            cases: 6,
            failure_persistence: None,
            max_shrink_iters: 10,
            ..Config::default()
        };
        TestRunner::new(config).run(&steps(), |steps| {
            let round = rounds.fetch_add(1, Ordering::Relaxed);
            runtime.block_on(watch_history(&stores, &query, &format!("r{round}"), steps));
            Ok(())
        })
    };
    // proptest is not async.
    let histories = tokio::task::spawn_blocking(histories);
    histories.await.expect("ends").expect("holds");
}

async fn watch_history<S: Store>(
    stores: &[Arc<S>; 2],
    query: &Query<S>,
    round: &str,
    steps: Vec<(usize, Step)>,
) {
    let mut mirrors = vec![
        (FILTERS[0], Mirror::watch(query, FILTERS[0]).await),
        (FILTERS[2], Mirror::watch(query, FILTERS[2]).await),
    ];
    let mut of_nodes = vec![Vec::new(); NODES];
    for (node, step) in steps {
        of_nodes[node].push(step);
    }
    let run = |(i, steps): (usize, Vec<Step>)| async move {
        let mut agent = Agent::start(stores, format!("{round}-{i}")).await;
        for step in steps {
            agent.step(step).await;
        }
    };
    let mut nodes = of_nodes.into_iter().enumerate().map(run);
    let mut next = || nodes.next().expect("a node");
    let (a, b, c, d, e) = (next(), next(), next(), next(), next());
    let later = async {
        for filter in FILTERS {
            mirrors.push((filter, Mirror::watch(query, filter).await));
        }
    };
    tokio::join!(a, b, c, d, e, later);
    for (filter, mirror) in mirrors {
        let caught_up = async {
            while mirror.facts() != listed(query, filter).await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), caught_up)
            .await
            .is_err()
        {
            assert_eq!(mirror.facts(), listed(query, filter).await, "'{filter}'");
        }
    }
}
