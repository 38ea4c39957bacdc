//! How fast a store is: `cargo run --profile release-tests -p archtrace-collector --example store --
//! [NODES] [FACTS PER NODE] [SECONDS]`. Prints figures; decides nothing.

mod made_up;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_collector::store::{Applied, Delta, Keep, Lease, Snapshot, Store};
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::Mode;
use archtrace_facts::report::EventBatch;
use archtrace_facts::select::{Filter, Selection};
use archtrace_query::Read;
use archtrace_query::read::{FactQuery, NodeQuery, Version};
use tokio::task::JoinSet;

use made_up::{beat, event, fact, hello, owner};

type Failure = Box<dyn Error + Send + Sync>;

/// Agents that wait for the store at the same time.
const CALLERS: usize = 512;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse());
    let nodes: usize = numbers.next().transpose()?.unwrap_or(10_000);
    let facts: usize = numbers.next().transpose()?.unwrap_or(30);
    let seconds = numbers.next().transpose()?.unwrap_or(20) as u64;
    let dir = tempfile::tempdir_in(".")?;
    let path = dir.path().join("store.db");
    let store = Arc::new(SqliteStore::open(&path)?);
    println!("{nodes} nodes x {facts} facts, {CALLERS} callers");
    for (what, epoch) in [("first", 1), ("again", 1), ("new epoch", 2)] {
        resync(&store, nodes, facts, epoch, what).await?;
        told(&path)?;
    }
    questions(&store, "quiet").await?;
    steady(&store, nodes, facts, seconds).await?;
    told(&path)?;
    let keep = Keep {
        events: Duration::ZERO,
        history: Duration::from_secs(3600),
    };
    let (start, mut rows, mut longest) = (Instant::now(), 0, Duration::ZERO);
    loop {
        let start = Instant::now();
        let dealt = store.expire(keep, SystemTime::now()).await?;
        longest = longest.max(start.elapsed());
        rows += dealt;
        if dealt == 0 {
            break;
        }
    }
    println!(
        "expire: {rows} rows in {:?}, a chunk at most {longest:?}",
        start.elapsed()
    );
    told(&path)
}

/// Every agent attaches and sends all it has.
async fn resync(
    store: &Arc<SqliteStore>,
    nodes: usize,
    facts: usize,
    epoch: u64,
    what: &str,
) -> Result<(), Failure> {
    let (start, cpu) = (Instant::now(), cpu_time()?);
    let callers = callers(nodes, move |store, node| async move {
        let now = SystemTime::now();
        let attached = store.attach(hello(node, epoch), now).await?;
        snapshot(&store, attached.lease, node, facts, epoch).await
    });
    let latencies = callers(store).await?;
    let took = start.elapsed();
    let rate = (nodes * facts) as f64 / took.as_secs_f64();
    println!(
        "resync ({what}): {took:?} ({:?} of CPU), {rate:.0} facts/s, {}",
        cpu_time()? - cpu,
        spread(latencies)
    );
    Ok(())
}

/// Runs `call` for every node, [`CALLERS`] at a time; returns how long each took.
fn callers<F, A>(
    nodes: usize,
    call: F,
) -> impl AsyncFnOnce(&Arc<SqliteStore>) -> Result<Vec<Duration>, Failure>
where
    F: Fn(Arc<SqliteStore>, usize) -> A + Clone + Send + 'static,
    A: Future<Output = Result<(), Failure>> + Send + 'static,
{
    async move |store: &Arc<SqliteStore>| {
        let mut tasks = JoinSet::new();
        for caller in 0..CALLERS {
            let (store, call) = (Arc::clone(store), call.clone());
            tasks.spawn(async move {
                let mut latencies = Vec::new();
                for node in (caller..nodes).step_by(CALLERS) {
                    let start = Instant::now();
                    call(Arc::clone(&store), node).await?;
                    latencies.push(start.elapsed());
                }
                Ok::<_, Failure>(latencies)
            });
        }
        let mut all = Vec::new();
        while let Some(latencies) = tasks.join_next().await {
            all.extend(latencies??);
        }
        Ok(all)
    }
}

async fn snapshot(
    store: &SqliteStore,
    lease: Lease,
    node: usize,
    facts: usize,
    epoch: u64,
) -> Result<(), Failure> {
    let facts: Vec<_> = (0..facts).map(|i| fact(node, i, 1)).collect();
    let snapshot = Snapshot {
        epoch,
        revision: 1,
        digest: Some(facts.iter().map(Digest::of_fact).sum()),
        owners: (0..facts.len().div_ceil(3))
            .map(|i| owner(node, i))
            .collect(),
        facts,
        images: Vec::new(),
    };
    match store
        .apply_snapshot(lease, snapshot, SystemTime::now())
        .await?
    {
        Applied::Yes(_) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// 2,000 fact updates, 1,000 heartbeats and 200 events a second, and readers beside them.
async fn steady(
    store: &Arc<SqliteStore>,
    nodes: usize,
    facts: usize,
    seconds: u64,
) -> Result<(), Failure> {
    const TICK: Duration = Duration::from_millis(10);
    const DELTAS: usize = 10;
    let mut leases = Vec::new();
    for node in 0..nodes {
        leases.push(store.attach(hello(node, 2), SystemTime::now()).await?.lease);
    }
    let leases = Arc::new(leases);
    let mut tasks = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    let until = Instant::now() + Duration::from_secs(seconds);
    let readers = {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            while Instant::now() < until {
                questions(&store, "while writing").await?;
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            Ok::<_, Failure>(())
        })
    };
    let cpu = cpu_time()?;
    let mut next = 0;
    let mut revisions = vec![1_u64; nodes];
    let mut latencies = Vec::new();
    while Instant::now() < until {
        ticks.tick().await;
        for _ in 0..DELTAS {
            let node = next % nodes;
            next += 1;
            let round = revisions[node];
            revisions[node] += 1;
            let (store, lease) = (Arc::clone(store), leases[node]);
            tasks.spawn(async move {
                let count = round + 1;
                let upserts = [2 * round, 2 * round + 1];
                let upserts = upserts.map(|i| fact(node, i as usize % facts, count));
                let delta = Delta {
                    epoch: 2,
                    base_revision: round,
                    revision: round + 1,
                    upserts: upserts.into(),
                    ..Delta::default()
                };
                let start = Instant::now();
                let applied = store.apply_delta(lease, delta, SystemTime::now()).await?;
                let took = start.elapsed();
                match applied {
                    Applied::Yes(_) => Ok::<_, Failure>(took),
                    other => Err(format!("{other:?}").into()),
                }
            });
        }
        let beats = leases.iter().cycle().skip(next % nodes).take(10);
        let beats = beats.map(|lease| beat(*lease)).collect();
        let (beating, lease, sequence) = (Arc::clone(store), leases[next % nodes], next as u64);
        tasks.spawn(async move {
            let start = Instant::now();
            beating.heartbeats(beats).await?;
            let batch = EventBatch {
                stream_id: 7,
                first_sequence: sequence,
                records: vec![event(0), event(1)],
            };
            beating
                .append_events(lease.node, batch, SystemTime::now())
                .await?;
            Ok(start.elapsed() / 2)
        });
        while let Some(took) = tasks.try_join_next() {
            latencies.push(took??);
        }
    }
    while let Some(took) = tasks.join_next().await {
        latencies.push(took??);
    }
    readers.await??;
    println!(
        "steady: {} writes in {seconds} s ({:?} of CPU, readers included), {}",
        latencies.len(),
        cpu_time()? - cpu,
        spread(latencies)
    );
    Ok(())
}

async fn questions(store: &Arc<SqliteStore>, when: &str) -> Result<(), Failure> {
    let now = SystemTime::now();
    let of = |filter: Filter| FactQuery {
        selection: Selection {
            allow: vec![filter],
            ..Selection::default()
        },
        running: false,
        history: false,
        alive_since: now - Duration::from_secs(3600),
        after: None,
        limit: 1000,
    };
    let emulated = Filter {
        modes: vec![Mode::Emulated],
        ..Filter::default()
    };
    let pod = Filter {
        pods: vec!["api-7c9d8-17-3".to_owned()],
        ..Filter::default()
    };
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let found = store.facts(of(emulated.clone())).await?.len();
        times.push((start.elapsed(), found));
    }
    times.sort_unstable();
    let [fastest, .., slowest] = &times[..] else {
        return Ok(());
    };
    print!(
        "{when}: {} emulated facts {:?} to {:?}",
        fastest.1, fastest.0, slowest.0
    );
    let start = Instant::now();
    let found = store.facts(of(pod)).await?.len();
    print!("; {found} of a pod {:?}", start.elapsed());
    let start = Instant::now();
    let found = store.facts(of(Filter::default())).await?.len();
    print!("; {found} of all {:?}", start.elapsed());
    let start = Instant::now();
    store.totals(now).await?;
    print!("; totals {:?}", start.elapsed());
    let start = Instant::now();
    let query = NodeQuery {
        names: Vec::new(),
        alive_since: now,
        after: None,
        limit: 1000,
    };
    let found = store.nodes(query).await?.len();
    print!("; {found} nodes {:?}", start.elapsed());
    let start = Instant::now();
    let heads = store.heads().await?;
    print!("; {} heads {:?}", heads.len(), start.elapsed());
    let start = Instant::now();
    let some = heads.iter().take(100).map(|head| (head.node, Version(0)));
    let found = store.facts_since(some.collect()).await?.len();
    println!("; {found} facts of 100 nodes {:?}", start.elapsed());
    Ok(())
}

fn spread(mut latencies: Vec<Duration>) -> String {
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = ((latencies.len() as f64 * part) as usize).min(latencies.len() - 1);
        latencies[index]
    };
    format!("p50 {:?}, p99 {:?}, most {:?}", at(0.5), at(0.99), at(1.0))
}

/// What this process used so far, on all CPUs.
fn cpu_time() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold spaces: user and system time in hundredths of a second.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: Vec<u64> = fields
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}

/// Memory and disk.
fn told(path: &Path) -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let memory = status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    let memory: Vec<_> = memory
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let mib = |suffix: &str| {
        let file = format!("{}{suffix}", path.display());
        std::fs::metadata(file).map_or(0, |file| file.len() >> 20)
    };
    println!(
        "  {}; {} MiB, log {} MiB",
        memory.join(", "),
        mib(""),
        mib("-wal")
    );
    Ok(())
}
