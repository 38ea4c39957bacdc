//! `archtrace verify`: watches pods, and says by the exit code whether they run natively.

mod nodes;
mod progress;

use std::process::ExitCode;
use std::time::Duration;

use archtrace_facts::fleet::{Coverage, FactUpdate, NodeFact, RemovedFact};
use archtrace_facts::gate::{self, Doubt, DoubtKind, Member, Report, Verdict, Wanted};
use archtrace_facts::select::Selection;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::nodes::{Ask, Nodes};
use self::progress::Progress;
use super::known::Known;
use super::resume::Resume;
use super::{print, warn};
use crate::args::{Connection, Output, VerifyArgs};
use crate::client::{Client, Updates};
use crate::failure::Failure;
use crate::show;

/// How often progress is looked at, and nodes are asked for that pods came to.
const TICK: Duration = Duration::from_secs(2);

/// Watches, prints what is known in the end, and says it by the exit code.
pub(super) async fn verify(
    connection: &Connection,
    output: Output,
    args: &VerifyArgs,
) -> Result<ExitCode, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let began = Instant::now();
    let watching = watch(connection, args.wanted(), began + args.duration);
    let (wanted, report, coverage) = tokio::select! {
        told = watching => told?,
        _ = interrupt.recv() => return Err(interrupted(SignalKind::interrupt())),
        _ = terminate.recv() => return Err(interrupted(SignalKind::terminate())),
    };
    warn(&coverage);
    let verified = show::Verified {
        wanted: &wanted,
        report: &report,
        coverage: &coverage,
        watched: began.elapsed(),
    };
    match print(&show::verified(&verified, output)) {
        // The exit code still says it.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    Ok(match report.verdict {
        Verdict::Native => ExitCode::SUCCESS,
        Verdict::NotNative => 2.into(),
        Verdict::Unknown => 3.into(),
    })
}

fn interrupted(signal: SignalKind) -> Failure {
    Failure::Interrupted(u8::try_from(signal.as_raw_value()).unwrap_or_default())
}

/// Watches until the time is over or something is not native. A collector that goes away is waited for,
/// if it was there once.
async fn watch(
    connection: &Connection,
    wanted: Wanted,
    until: Instant,
) -> Result<(Wanted, Report, Coverage), Failure> {
    // What is there has to be told, even if there is nothing to wait for.
    let latest = until + connection.timeout;
    let mut watch = Watch {
        selection: wanted.selection(),
        wanted,
        until,
        known: Known::default(),
        is_whole: false,
        may_be_bad: false,
        coverage: None,
        nodes: Nodes::default(),
        progress: Progress::new(until),
    };
    let mut resume = Resume::new();
    loop {
        let ended = tokio::select! {
            ended = watch.stream(connection, &mut resume) => ended,
            () = sleep_until(latest) => Ok(None),
        };
        let ended = match ended {
            Ok(Some(report)) => return Ok(watch.told(report)),
            Ok(None) if Instant::now() >= latest => return Ok(watch.away()),
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
        };
        tokio::select! {
            resumed = resume.after(ended) => resumed?,
            () = sleep_until(latest) => return Ok(watch.away()),
        }
    }
}

struct Watch {
    wanted: Wanted,
    selection: Selection,
    /// When the watch ends, if everything was told.
    until: Instant,
    known: Known,
    /// All facts were told on this stream.
    is_whole: bool,
    /// Something was told that is not native.
    may_be_bad: bool,
    coverage: Option<Coverage>,
    nodes: Nodes,
    progress: Progress,
}

impl Watch {
    /// One stream, to its end (`None`), or until it is decided.
    async fn stream(
        &mut self,
        connection: &Connection,
        resume: &mut Resume,
    ) -> Result<Option<Report>, Failure> {
        let client = Client::connect(connection).await?;
        let mut updates = client.watch_facts(&self.selection).await?;
        resume.works();
        self.known.begin();
        (self.is_whole, self.coverage) = (false, None);
        let ended = self.follow(&client, &mut updates).await;
        self.is_whole = false;
        ended
    }

    async fn follow<M>(
        &mut self,
        client: &Client,
        updates: &mut Updates<M, FactUpdate>,
    ) -> Result<Option<Report>, Failure> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_ready = self.is_whole && self.coverage.is_some();
            if is_ready && self.may_be_bad {
                let report = self.report(client, Ask::All).await?;
                if report.verdict == Verdict::NotNative {
                    return Ok(Some(report));
                }
                // It is gone again.
                self.may_be_bad = false;
            }
            tokio::select! {
                update = updates.next() => match update? {
                    Some(update) => self.take(update),
                    None => return Ok(None),
                },
                () = sleep_until(self.until), if is_ready => {
                    return self.report(client, Ask::All).await.map(Some);
                }
                _ = ticks.tick(), if is_ready => {
                    let report = self.report(client, Ask::New).await?;
                    self.progress.tell(&report);
                }
            }
        }
    }

    fn take(&mut self, update: FactUpdate) {
        match update {
            FactUpdate::Upsert(fact) => self.upsert(*fact),
            FactUpdate::Removed(name) => drop(self.known.remove(&name)),
            FactUpdate::SnapshotBegin(_) => {
                self.known.begin();
                self.is_whole = false;
            }
            FactUpdate::SnapshotEnd(_) => {
                self.known.end().for_each(drop);
                self.is_whole = true;
            }
            FactUpdate::Coverage(coverage) => self.coverage = Some(coverage),
        }
    }

    fn upsert(&mut self, fact: NodeFact) {
        let member = self.wanted.member(&fact.cluster, &fact.identity);
        if member == Member::No {
            // It may have been kept before its names were known.
            self.known.remove(&RemovedFact {
                cluster: fact.cluster,
                node: fact.node,
                id: fact.fact.key.id(),
            });
            return;
        }
        self.may_be_bad |= member == Member::Yes && gate::why(&fact, self.wanted.arch).is_some();
        self.known.upsert(fact);
    }

    /// What is known now.
    async fn report(&mut self, client: &Client, ask: Ask) -> Result<Report, Failure> {
        self.nodes.ask(client, self.known.facts(), ask).await?;
        let coverage = self.coverage.clone().unwrap_or_default();
        let watched = self.nodes.watched();
        Ok(gate::decide(
            &self.wanted,
            self.known.facts(),
            &watched,
            &coverage,
        ))
    }

    fn told(self, report: Report) -> (Wanted, Report, Coverage) {
        (self.wanted, report, self.coverage.unwrap_or_default())
    }

    /// The time is over, and nobody tells what is there.
    fn away(self) -> (Wanted, Report, Coverage) {
        let coverage = self.coverage.clone().unwrap_or_default();
        let watched = self.nodes.watched();
        let report = gate::decide(&self.wanted, self.known.facts(), &watched, &coverage);
        let doubt = Doubt {
            kind: DoubtKind::Away,
            what: "whoever tells the facts was away, or did not tell all of them in time"
                .to_owned(),
        };
        let report = report.doubted(doubt);
        self.told(report)
    }
}
