//! How facts grow, counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use archtrace_facts::fact::{Fact, Mode};
use archtrace_facts::fleet::ExpectedNodes;
use archtrace_facts::identity::Identity;
use archtrace_query::{Counter, Growth, Mandates, Query, Server, Settings};
use tokio_util::sync::CancellationToken;

use super::memory::{Fixed, Memory, fact};

/// Execs and CPU time, by namespace and mode.
#[derive(Default)]
struct Counted(Mutex<BTreeMap<(String, Mode), (u64, u64)>>);

impl Counter for Counted {
    fn grew(&self, growth: Growth<'_>) {
        let mut counts = self.0.lock().expect("no test panics meanwhile");
        let key = (growth.namespace.to_owned(), growth.mode);
        let (execs, cpu_ns) = counts.entry(key).or_default();
        *execs += growth.execs;
        *cpu_ns += growth.cpu_ns;
    }
}

struct Counts(Arc<Counted>);

impl Server for Counts {
    fn authenticated(&self) -> bool {
        false
    }

    fn refusals(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    fn counter(&self) -> Option<Arc<dyn Counter>> {
        Some(self.0.clone())
    }
}

fn named(namespace: &str) -> Identity {
    Identity {
        namespace: namespace.to_owned(),
        ..Identity::default()
    }
}

/// One that was never seen before.
fn new(binary: &str, count: u64) -> Fact {
    Fact {
        first_seen: SystemTime::now(),
        ..fact(binary, Mode::Emulated, count)
    }
}

#[tokio::test]
async fn counters_only_go_up_whatever_becomes_of_a_fact() {
    let store = Arc::new(Memory::default());
    let node = store.add_node("n1");
    let old = |count| fact("/old", Mode::Emulated, count);
    store.put(node, vec![(old(100), named("shop"))]);
    let counted = Arc::new(Counted::default());
    let settings = Settings {
        store_name: "memory".to_owned(),
        heartbeat_interval: Duration::from_secs(1),
        server: Arc::new(Counts(Arc::clone(&counted))),
        expected: Arc::new(Fixed(Arc::new(ExpectedNodes::seen()))),
        mandates: Mandates::Nobody("nobody is asked for"),
        idle: None,
        shutdown: CancellationToken::new(),
    };
    let query = Query::new(Arc::clone(&store), settings);
    let measured = |facts| {
        let query = query.clone();
        let reached = async move {
            loop {
                if let Ok(measured) = query.measure().await
                    && measured.sums.rows.iter().map(|row| row.facts).sum::<u64>() == facts
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        async move {
            let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
            reached.unwrap_or_else(|_| panic!("never {facts} facts"));
        }
    };
    let check = |what: &str, expected: &[(&str, u64)]| {
        let counts = counted.0.lock().expect("no test panics meanwhile");
        let told = counts.iter().map(|((namespace, mode), (execs, cpu_ns))| {
            assert_eq!((mode, execs), (&Mode::Emulated, cpu_ns), "{what}");
            (namespace.as_str(), *execs)
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{what}");
    };
    // A marker after each step tells that the step was taken in.
    let marker = |name: &str| (fact(name, Mode::Native, 0), Identity::default());
    measured(1).await;
    check("what was there before is not counted again", &[]);
    store.put(node, vec![(old(105), named("shop")), marker("/1")]);
    measured(2).await;
    check("but what is added is", &[("shop", 5)]);
    store.put(node, vec![(new("/new", 3), Identity::default())]);
    measured(3).await;
    check("a new one from its first exec on", &[("", 3), ("shop", 5)]);
    store.put(node, vec![(new("/new", 4), named("bank")), marker("/2")]);
    measured(4).await;
    check(
        "names come late: from then on",
        &[("", 3), ("bank", 1), ("shop", 5)],
    );
    store.put(node, vec![(new("/new", 6), named("bank"))]);
    store.end(node, new("/new", 0).key.id());
    store.put(node, vec![(old(110), named("shop"))]);
    store.end(node, old(0).key.id());
    measured(2).await;
    let last = [("", 3), ("bank", 3), ("shop", 10)];
    check("the last numbers count, and nothing goes away", &last);
    store.put(node, vec![(old(110), named("shop"))]);
    measured(3).await;
    check("what comes back was counted", &last);
    store.put(node, vec![(old(111), named("shop")), marker("/3")]);
    measured(4).await;
    check(
        "and goes on from there",
        &[("", 3), ("bank", 3), ("shop", 11)],
    );
}
