//! Collectors are killed, databases restart, connections break; then everything has to be there once.
//!
//! The collector is the program that cargo built beside this test (`cargo build -p
//! archtrace-collector`), or that in `$ARCHTRACE_PROGRAMS`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use archtrace_postgres::Cluster;
use archtrace_sim::check;
use archtrace_sim::collector::{self, Collector, Config};
use archtrace_sim::fleet::{Fleet, Rates};
use archtrace_sim::odd::{Odd, Oddity, Seen};
use archtrace_sim::plan::Plan;
use archtrace_sim::proxy::Proxy;
use archtrace_sim::query::Client;
use archtrace_sim::random::Random;
use archtrace_sim::targets::Targets;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

const AGENTS: usize = 200;
const FACTS: usize = 30;
/// How often a collector is killed; with several, each its part.
const KILLS: usize = 50;
/// Before the first kill: those who come together have come.
const CALM: Duration = Duration::from_secs(10);
/// Between two kills: from less than it takes to connect again to as long as most things take.
const BETWEEN_MS: (u64, u64) = (100, 1200);
/// The collector is away for so long, at most, before it starts again.
const AWAY_MS: u64 = 200;
/// How often the database restarts meanwhile.
const RESTARTS: usize = 10;
/// Connections that are cut before each kill, at most.
const CUTS: usize = 20;
/// Everything is told long before, on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(180);
const ODDITIES: [Oddity; 8] = [
    Oddity::Duplicates,
    Oddity::Duplicates,
    Oddity::Duplicates,
    Oddity::OldEpochs,
    Oddity::OldEpochs,
    Oddity::SlowReader,
    Oddity::SlowReader,
    Oddity::Probe,
];
const RATES: Rates = Rates {
    updates: 200.0,
    events: 100.0,
    losses: 1.0,
    pods: 4.0,
    cuts: 5.0,
    moves: 5.0,
    restarts: 2.0,
    jumps: 1.0,
};

/// What there is beside agents.
struct World {
    config: Config,
    /// Ways to the collectors, which may be away.
    ways: Vec<(Proxy, Option<Collector>)>,
    random: Random,
    kills: usize,
    cuts: usize,
    database: Option<Arc<Cluster>>,
    restarts: usize,
}

impl World {
    async fn start(
        store: String,
        database: Option<Arc<Cluster>>,
        replicas: usize,
        log: &Path,
    ) -> Self {
        let config = Config {
            program: collector::program().expect("a collector"),
            store,
            options: [
                "--heartbeat-interval",
                "1s",
                "--log",
                "warn,archtrace_collector::serve=info",
            ]
            .map(str::to_owned)
            .to_vec(),
            log: log.to_owned(),
        };
        let mut ways = Vec::new();
        for _ in 0..replicas {
            ways.push((Proxy::start().await.expect("a free port"), None));
        }
        let random = Random::new(1, &[50]);
        let mut world = Self {
            config,
            ways,
            random,
            kills: 0,
            cuts: 0,
            database,
            restarts: 0,
        };
        for replica in 0..replicas {
            world.start_collector(replica).await;
        }
        world
    }

    async fn start_collector(&mut self, replica: usize) {
        let config = self.config.clone();
        let started = tokio::task::spawn_blocking(move || Collector::start(&config));
        let started = started.await.expect("no panic").expect("a collector");
        let (proxy, collector) = &mut self.ways[replica];
        proxy.set_target(Some(started.address()));
        *collector = Some(started);
    }

    fn kill_collector(&mut self, replica: usize) {
        let (proxy, collector) = &mut self.ways[replica];
        proxy.set_target(None);
        if let Some(collector) = collector.take() {
            collector.kill().expect("it ran until now");
        }
        self.kills += 1;
    }

    async fn wait(&mut self, least: u64, most: u64) {
        let ms = least + self.random.next() % (most - least);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// As its administrator would, or with -9, by turns.
    async fn restart_database(&mut self) {
        let Some(cluster) = self.database.clone() else {
            return;
        };
        let orderly = self.restarts.is_multiple_of(2);
        let restarted = tokio::task::spawn_blocking(move || {
            if orderly {
                cluster.stop()?;
            } else {
                cluster.kill()?;
            }
            cluster.resume()
        });
        restarted.await.expect("no panic").expect("it comes back");
        self.restarts += 1;
    }

    /// Everything that may go wrong, does, after a while in which nothing does.
    async fn rage(&mut self) {
        tokio::time::sleep(CALM).await;
        for kill in 0..KILLS {
            let replica = kill % self.ways.len();
            self.wait(BETWEEN_MS.0, BETWEEN_MS.1).await;
            let cuts = self.random.below(CUTS);
            self.cuts += self.ways[replica].0.cut(&mut self.random, cuts);
            self.wait(0, AWAY_MS).await;
            self.kill_collector(replica);
            self.wait(0, AWAY_MS).await;
            self.start_collector(replica).await;
            if kill % (KILLS / RESTARTS) == 0 {
                self.restart_database().await;
            }
        }
    }
}

/// One at a time: each has hundreds of agents, and waits for nobody but them.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Two hundred agents and a few odd ones, a world that rages, and then everything is there once.
async fn check(name: &str, database: Option<Cluster>, replicas: usize) {
    let _alone = ALONE.lock().await;
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let log = directory.join("collector.log");
    let sqlite = || format!("sqlite:{}", directory.join("store.db").display());
    let store = database
        .as_ref()
        .map_or_else(sqlite, |cluster| cluster.database("chaos"));
    let mut world = World::start(store, database.map(Arc::new), replicas, &log).await;
    let plan = Plan {
        seed: 1,
        cluster: "chaos".to_owned(),
        prefix: "node-".to_owned(),
        facts: FACTS,
    };
    let urls: Vec<_> = world.ways.iter().map(|(proxy, _)| proxy.url()).collect();
    let targets = Targets::new(urls, None).expect("they are URLs");
    let over = CancellationToken::new();
    let mut others = JoinSet::new();
    for (index, oddity) in ODDITIES.into_iter().enumerate() {
        let mut agent = Odd::new(Arc::new(plan.clone()), AGENTS + index, oddity);
        let endpoint = targets
            .endpoint(index, &agent.name())
            .expect("there are collectors");
        let over = over.clone();
        others.spawn(async move {
            let pause = Duration::from_millis(100);
            let result = agent.run(&endpoint, pause, &over, PATIENCE).await;
            (agent, result)
        });
    }
    let mut fleet = Fleet::new(plan, AGENTS, targets, Some(&directory.join("agents")));
    fleet.connect().expect("there are collectors");
    let start = Instant::now();
    fleet
        .run(RATES, world.rage())
        .await
        .expect("there are collectors");
    let raged = start.elapsed();
    over.cancel();
    let waiting = fleet.settle(PATIENCE).await;
    let mut seen = Seen::default();
    let mut odd = Vec::new();
    while let Some(ended) = others.join_next().await {
        let (agent, result) = ended.expect("no panic");
        seen.add(&agent.seen);
        result.expect("an odd agent tells everything too");
        odd.push(agent);
    }
    let settled = start.elapsed() - raged;
    println!(
        "{name}: {} kills, {} restarts of the database, {} connections cut in {:.1} s, settled after {:.1} s more\n  {:?}\n  odd agents: {seen}",
        world.kills,
        world.restarts,
        world.cuts,
        raged.as_secs_f64(),
        settled.as_secs_f64(),
        fleet.happened(),
    );
    for (reason, times) in &seen.ends {
        println!("    {times:>5} {reason}");
    }
    assert_eq!(waiting, 0, "{name}: so many agents have more to tell");

    let names: Vec<String> = odd.iter().map(Odd::name).collect();
    let mut expected: Vec<_> = fleet.expected().collect();
    expected.extend(odd.iter().zip(&names).map(|(agent, node)| check::Expected {
        node,
        ledger: agent.ledger(),
        stream: agent.stream(),
        held: None,
    }));
    for (_, collector) in &world.ways {
        let address = collector.as_ref().expect("it runs").address();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
        let mut client = Client::connect(&endpoint).await.expect("it answers");
        let report = check::check(&mut client, &expected)
            .await
            .expect("it answers");
        println!("  {report}");
        assert!(
            report.is_right(),
            "{name}: {} things are wrong",
            report.wrong.len()
        );
        assert_eq!(
            report.acknowledged, AGENTS as u64,
            "{name}: digests of all agents are acknowledged"
        );
    }
}

/// By this name `cargo xtask test` finds them, which runs all other tests meanwhile.
mod chaos {
    use super::check;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite_loses_nothing_and_keeps_nothing_twice() {
        check("SQLite", None, 1).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgres_loses_nothing_and_keeps_nothing_twice() {
        // That there is none was said.
        let Some(cluster) = archtrace_postgres::start() else {
            return;
        };
        check("PostgreSQL", Some(cluster), 1).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn replicas_lose_nothing_and_keep_nothing_twice() {
        let Some(cluster) = archtrace_postgres::start() else {
            return;
        };
        check("two replicas over PostgreSQL", Some(cluster), 2).await;
    }
}
