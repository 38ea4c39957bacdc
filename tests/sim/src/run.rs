//! `archtrace-sim`: a fleet for a while, and what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::args::Args;
use crate::check::{self, Expected};
use crate::fleet::{Fleet, Rates};
use crate::odd::{Odd, Oddity, Seen};
use crate::plan::Plan;
use crate::query::Client;
use crate::targets::{Targets, Tls};

/// How long an odd agent pauses between two rounds.
const PAUSE: Duration = Duration::from_millis(250);

/// Runs it, and prints what happened.
///
/// # Errors
/// If not everything was told in time, or something is not right.
pub async fn run(args: &Args) -> Result<()> {
    let plan = Plan {
        seed: args.seed,
        cluster: args.cluster.clone(),
        prefix: args.prefix.clone(),
        facts: args.facts,
    };
    let targets = Targets::new(args.collectors.clone(), tls(args))?;

    let until = Instant::now() + args.duration;
    let over = CancellationToken::new();
    let mut odd = JoinSet::new();
    for (index, oddity) in oddities(args).enumerate() {
        // They come behind the nodes of the fleet.
        let mut agent = Odd::new(Arc::new(plan.clone()), args.nodes + index, oddity);
        let collector = targets.endpoint(index, &agent.name())?;
        let (over, settle) = (over.clone(), args.settle);
        odd.spawn(async move {
            let result = agent.run(&collector, PAUSE, &over, settle).await;
            (agent, result)
        });
    }

    let mut fleet = Fleet::new(plan, args.nodes, targets.clone(), args.state_dir.as_deref());
    let start = Instant::now();
    fleet.connect()?;
    let rates = rates(args);
    while Instant::now() < until {
        let end = args
            .rates
            .storm_every
            .map_or(until, |every| until.min(Instant::now() + every));
        fleet
            .run(rates, tokio::time::sleep_until(end.into()))
            .await?;
        if end < until {
            fleet.connect()?;
        }
    }
    over.cancel();
    let waiting = fleet.settle(args.settle).await;
    println!(
        "happened in {:.1} s: {:?}",
        start.elapsed().as_secs_f64(),
        fleet.happened()
    );

    let mut others = Vec::new();
    let mut seen = Seen::default();
    while let Some(ended) = odd.join_next().await {
        let (agent, result) = ended.context("an odd agent ended")?;
        result?;
        seen.add(&agent.seen);
        others.push(agent);
    }
    println!("odd agents: {seen}");
    ensure!(
        waiting == 0,
        "{waiting} agents have more to tell after {:?}",
        args.settle
    );

    let names: Vec<String> = others.iter().map(Odd::name).collect();
    let mut expected: Vec<_> = fleet.expected().collect();
    expected.extend(others.iter().zip(&names).map(|(agent, node)| Expected {
        node,
        ledger: agent.ledger(),
        stream: agent.stream(),
        held: None,
    }));
    let report = check::check(&mut Client::connect(&targets.reader(0)?).await?, &expected).await?;
    println!("{report}");
    ensure!(report.is_right(), "{} things are wrong", report.wrong.len());
    Ok(())
}

fn oddities(args: &Args) -> impl Iterator<Item = Oddity> {
    let crate::args::Odd {
        duplicates,
        old_epochs,
        slow_readers,
        probes,
    } = args.odd;
    let of = |oddity, number| std::iter::repeat_n(oddity, number);
    of(Oddity::Duplicates, duplicates)
        .chain(of(Oddity::OldEpochs, old_epochs))
        .chain(of(Oddity::SlowReader, slow_readers))
        .chain(of(Oddity::Probe, probes))
}

fn tls(args: &Args) -> Option<Tls> {
    let crate::args::Tls {
        tls_ca,
        tls_nodes,
        tls_reader_cert,
        tls_reader_key,
        tls_server_name,
    } = &args.tls;
    Some(Tls {
        ca: tls_ca.clone()?,
        nodes: tls_nodes.clone(),
        reader: tls_reader_cert.clone().zip(tls_reader_key.clone()),
        server_name: tls_server_name.clone(),
    })
}

fn rates(args: &Args) -> Rates {
    let crate::args::Rates {
        updates_per_second,
        events_per_second,
        losses_per_second,
        pods_per_second,
        cuts_per_second,
        moves_per_second,
        restarts_per_second,
        jumps_per_second,
        storm_every: _,
    } = args.rates;
    Rates {
        updates: updates_per_second,
        events: events_per_second,
        losses: losses_per_second,
        pods: pods_per_second,
        cuts: cuts_per_second,
        moves: moves_per_second,
        restarts: restarts_per_second,
        jumps: jumps_per_second,
    }
}
