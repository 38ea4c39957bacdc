//! `cargo xtask bench collector`: what a collector costs, and how fast it is, as the fleet grows.
//!
//! Measurements, not tests: goals that are missed are marked, and nothing fails by them.

mod asking;
mod pages;
mod table;
mod usage;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::collector::{self, Collector, Config};
use crate::figures::percentile;
use crate::fleet::{Fleet, Rates};
use crate::odd::{Odd, Oddity};
use crate::plan::Plan;
use crate::query::Client;
use crate::targets::{Targets, Tls};
use asking::{Steady, ask};
use pages::Pages;
use table::Row;
use usage::Usage;

/// Measures a collector with fleets of several sizes beside it.
#[derive(Clone, Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Args {
    /// The collector's program; else the one beside this program
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,

    /// Sizes of fleets
    #[arg(
        long,
        value_name = "NODES",
        value_delimiter = ',',
        default_value = "100,1000,10000"
    )]
    pub nodes: Vec<usize>,

    /// Sizes of fleets that report by TLS, each with a certificate of its own
    #[arg(
        long,
        value_name = "NODES",
        value_delimiter = ',',
        default_value = "1000"
    )]
    pub tls_nodes: Vec<usize>,

    /// Facts of each node
    #[arg(long, default_value_t = 30)]
    pub facts: usize,

    /// Facts that get new numbers, in all of the fleet, per second
    #[arg(long, value_name = "RATE", default_value_t = 2000.0)]
    pub updates_per_second: f64,

    /// How long each steady measurement takes, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub seconds: u64,

    /// Ask for pages too, and for coverage by a policy of twelve agents, which the collector then has
    #[arg(long)]
    pub pages: bool,

    /// Where the collector keeps what it is told: a store such as postgres://..., emptied before by
    /// who starts this; else a file of SQLite's for each size
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
}

/// Agents that measure how long acknowledgements take, each of which sends ten deltas a second: they are
/// part of the rate.
const PROBES: usize = 20;
const PROBE_PAUSE: Duration = Duration::from_millis(100);
/// A full resync may take so long; the goal is far below.
const RESYNC: Duration = Duration::from_secs(600);
/// After a resync, until what it left behind (logs of the database, memory) is as it stays.
const CALM: Duration = Duration::from_secs(3);

/// Measures all sizes, and prints a table.
///
/// # Errors
/// If a collector does not start, or something is not told.
pub async fn run(args: &Args) -> Result<()> {
    crate::limits::raise_descriptors()?;
    let program = args.program.clone().map_or_else(collector::program, Ok)?;
    let directory = tempfile::tempdir().context("make a directory")?;
    let mut rows = Vec::new();
    let plain = args.nodes.iter().map(|&nodes| (nodes, false));
    let tls = args.tls_nodes.iter().map(|&nodes| (nodes, true));
    for (nodes, tls) in plain.chain(tls) {
        let kind = if tls { "TLS" } else { "plaintext" };
        eprintln!("{nodes} nodes x {} facts, {kind} ...", args.facts);
        let directory = directory.path().join(format!("{nodes}-{kind}"));
        std::fs::create_dir(&directory).context("make a directory")?;
        let bench = Bench {
            args,
            program: &program,
            directory: &directory,
            nodes,
            tls,
        };
        let row = bench
            .measure()
            .await
            .with_context(|| format!("{nodes} nodes, {kind}"))?;
        eprintln!("  {row:?}");
        rows.push(row);
    }
    println!("{}", table::table(args, &rows));
    Ok(())
}

/// One size.
struct Bench<'a> {
    args: &'a Args,
    program: &'a Path,
    directory: &'a Path,
    nodes: usize,
    tls: bool,
}

impl Bench<'_> {
    async fn measure(&self) -> Result<Row> {
        let plan = Plan {
            seed: 1,
            cluster: "bench".to_owned(),
            prefix: "node-".to_owned(),
            facts: self.args.facts,
        };
        let sqlite = || format!("sqlite:{}", self.directory.join("store.db").display());
        let mut config = Config {
            program: self.program.to_owned(),
            store: self.args.store.clone().unwrap_or_else(sqlite),
            options: ["--log", "warn,archtrace_collector::serve=info"]
                .map(str::to_owned)
                .to_vec(),
            log: self.directory.join("collector.log"),
        };
        let has_pages = self.args.pages && !self.tls;
        if has_pages {
            let policy = pages::policy(self.directory)?;
            let policy = ["--policy".to_owned(), policy.display().to_string()];
            config.options.extend(policy);
            let web = ["--web-listen", "127.0.0.1:0"].map(str::to_owned);
            config.options.extend(web);
        }
        let tls = self
            .tls
            .then(|| self.certificates(&plan, &mut config))
            .transpose()?;
        let collector = Collector::start(&config)?;
        let page = match has_pages {
            true => Some(collector.page(&config.log)?),
            false => None,
        };
        let scheme = if self.tls { "https" } else { "http" };
        let targets = Targets::new(vec![format!("{scheme}://{}", collector.address())], tls)?;
        let mut fleet = Fleet::new(plan.clone(), self.nodes, targets.clone(), None);

        let before = Usage::of(collector.pid())?;
        let start = Instant::now();
        fleet.connect()?;
        let first = self.resync(&mut fleet, start).await?;
        let first_cpu = Usage::of(collector.pid())?.cpu - before.cpu;
        tokio::time::sleep(CALM).await;
        let connected = Usage::of(collector.pid())?.resident;
        // As when all agents are upgraded at once: new epochs, and nothing can be resumed.
        fleet.renew();
        let start = Instant::now();
        fleet.connect()?;
        let again = self.resync(&mut fleet, start).await?;
        tokio::time::sleep(CALM).await;

        let steady = self
            .steady(&plan, &mut fleet, &targets, (&collector, page))
            .await?;
        let status = Client::connect(&targets.reader(0)?).await?.status().await?;
        let usage = Usage::of(collector.pid())?;
        let facts = (self.nodes + PROBES) as u64 * self.args.facts as u64;
        ensure!(
            status.totals.facts >= facts,
            "{} facts are stored, not {facts}",
            status.totals.facts
        );
        let Steady {
            commits,
            emulated,
            by_arch,
            by_workload,
            by_node,
            views,
            rate,
            cpu,
        } = steady;
        Ok(Row {
            nodes: self.nodes,
            tls: self.tls,
            facts: status.totals.facts,
            first,
            first_cpu,
            again,
            rate,
            commits: [percentile(&commits, 50), percentile(&commits, 99)],
            emulated: [percentile(&emulated, 50), percentile(&emulated, 99)],
            by_arch: [percentile(&by_arch, 50), percentile(&by_arch, 99)],
            by_workload: [percentile(&by_workload, 50), percentile(&by_workload, 99)],
            by_node: [percentile(&by_node, 50), percentile(&by_node, 99)],
            views: page
                .map(|_| views.map(|times| [percentile(&times, 50), percentile(&times, 99)])),
            cpu,
            connected,
            resident: usage.resident,
            peak: usage.peak,
            store: status.totals.bytes,
        })
    }

    /// How long it takes until everything is told.
    async fn resync(&self, fleet: &mut Fleet, start: Instant) -> Result<Duration> {
        let waiting = fleet.settle(RESYNC).await;
        ensure!(
            waiting == 0,
            "{waiting} agents have more to tell after {RESYNC:?}"
        );
        Ok(start.elapsed())
    }

    /// Updates at a steady rate, with questions meanwhile.
    async fn steady(
        &self,
        plan: &Plan,
        fleet: &mut Fleet,
        targets: &Targets,
        (collector, page): (&Collector, Option<SocketAddr>),
    ) -> Result<Steady> {
        let over = CancellationToken::new();
        let mut probes = JoinSet::new();
        for number in 0..PROBES {
            let node = self.nodes + number;
            let mut probe = Odd::new(Arc::new(plan.clone()), node, Oddity::Probe);
            let endpoint = targets.endpoint(number, &probe.name())?;
            let over = over.clone();
            probes.spawn(async move {
                let result = probe.run(&endpoint, PROBE_PAUSE, &over, RESYNC).await;
                (probe, result)
            });
        }
        // On a thread of its own, as whoever asks is another process: what ten thousand agents have to do is
        // not what an answer waits for.
        let asking = {
            let (reader, over) = (targets.reader(0)?, over.clone());
            tokio::task::spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(async {
                    let pages = match page {
                        Some(page) => Some(Pages::new(page).await?),
                        None => None,
                    };
                    let mut client = Client::connect(&reader).await?;
                    ask(&mut client, pages.as_ref(), &over).await
                })
            })
        };
        let own = PROBES as f64 / PROBE_PAUSE.as_secs_f64();
        let rates = Rates {
            updates: (self.args.updates_per_second - own).max(0.0),
            events: 20.0,
            ..Rates::default()
        };
        // What starts is not steady yet.
        fleet.run(rates, tokio::time::sleep(CALM)).await?;
        let before = (
            Usage::of(collector.pid())?,
            fleet.happened().updates,
            Instant::now(),
        );
        fleet
            .run(
                rates,
                tokio::time::sleep(Duration::from_secs(self.args.seconds)),
            )
            .await?;
        let seconds = before.2.elapsed().as_secs_f64();
        let cpu = (Usage::of(collector.pid())?.cpu - before.0.cpu).as_secs_f64() / seconds;
        let updates = fleet.happened().updates - before.1;
        over.cancel();
        let mut steady = asking.await.context("a question panicked")??;
        while let Some(ended) = probes.join_next().await {
            let (probe, result) = ended.context("a probe panicked")?;
            result?;
            steady.commits.extend(&probe.seen.commits);
        }
        steady.rate =
            updates as f64 / seconds + steady.commits.len() as f64 / (seconds + CALM.as_secs_f64());
        steady.cpu = cpu;
        Ok(steady)
    }

    /// Makes certificates for all nodes, by the collector itself.
    fn certificates(&self, plan: &Plan, config: &mut Config) -> Result<Tls> {
        let out = self.directory.join("certificates");
        let mut command = std::process::Command::new(self.program);
        command.arg("dev-certs").arg("--out").arg(&out);
        for node in 0..self.nodes + PROBES {
            command.args(["--node", &plan.node_name(node)]);
        }
        let made = command.output().context("start dev-certs")?;
        ensure!(
            made.status.success(),
            "dev-certs: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        for (option, file) in [
            ("--tls-cert", "server.crt"),
            ("--tls-key", "server.key"),
            ("--client-ca", "ca.crt"),
        ] {
            config
                .options
                .extend([option.to_owned(), out.join(file).display().to_string()]);
        }
        Ok(Tls {
            ca: out.join("ca.crt"),
            reader: Some((out.join("reader.crt"), out.join("reader.key"))),
            nodes: Some(out),
            server_name: None,
        })
    }
}
