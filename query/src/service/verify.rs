//! Whether pods run natively: watches them until it is known, and tells what is known meanwhile.
//!
//! It follows facts as anybody who watches them does. Twice in a while, and before it answers, it looks
//! into the store for what died and what was lost since it began.

mod deaths;
mod held;
mod nodes;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::fleet::{Coverage, FactUpdate, NodeFact, RemovedFact};
use archtrace_facts::gate::{self, Known, Member, Question, Report, Verdict, Verified, Wanted};
use archtrace_proto::v1;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_stream::StreamExt as _;
use tonic::Status;

use self::deaths::Deaths;
pub(super) use self::held::Held;
use self::held::HeldFacts;
use self::nodes::{Ask, Nodes};
use super::follow::{Ends, Gone};
use super::{Answers, Inner, ask, watch};
use crate::page::MAX_BYTES;
use crate::read::Read;

/// How often it is looked at what is known: a pod that starts takes longer.
const TICK: Duration = Duration::from_secs(2);

/// How often at least that is told: it is a sign of life, too.
const AT_LEAST: Duration = Duration::from_secs(10);

pub(super) fn verify<S: Read>(
    query: &Arc<Inner<S>>,
    request: v1::VerifyPodsRequest,
    deadline: Option<Instant>,
) -> Result<Answers<v1::VerifyPodsResponse>, Status> {
    ask::few("pods", request.pods.len())?;
    ask::few("workloads", request.workloads.len())?;
    let question = Question::try_from(request);
    let question = question.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let now = SystemTime::now();
    let gap = question.gap(now);
    let Question {
        wanted,
        duration,
        since,
        unwatched: _,
    } = question;
    let oldest = now.checked_sub(Question::LONGEST);
    let since = since.unwrap_or(now).min(now);
    let updates = watch::updates(query, wanted.selection(), None)?;
    let (answers, ends, stream) = Ends::open(query, deadline);
    let watching = Watching {
        query: Arc::clone(query),
        answers,
        wanted,
        since: oldest.map_or(since, |oldest| since.max(oldest)),
        gap,
        until: Instant::now() + duration,
        facts: HeldFacts::new(&query.held),
        is_whole: false,
        begun: 0,
        may_be_bad: false,
        coverage: None,
        nodes: Nodes::default(),
        deaths: Deaths::default(),
        told: None,
    };
    tokio::spawn(async move { ends.race(watching.watch(updates)).await });
    Ok(stream)
}

/// An update as it is.
struct Update(FactUpdate);

impl From<&FactUpdate> for Update {
    fn from(update: &FactUpdate) -> Self {
        Self(update.clone())
    }
}

struct Watching<S> {
    query: Arc<Inner<S>>,
    answers: mpsc::Sender<Result<v1::VerifyPodsResponse, Status>>,
    wanted: Wanted,
    /// When the watch began.
    since: SystemTime,
    /// For how long nobody watched before this stream, if that is too long.
    gap: Option<Duration>,
    /// When it ends.
    until: Instant,
    /// All that may be of the pods.
    facts: HeldFacts,
    /// All facts were told.
    is_whole: bool,
    /// How often it was begun to tell all facts.
    begun: u64,
    /// Something was told that is not native.
    may_be_bad: bool,
    coverage: Option<Coverage>,
    nodes: Nodes,
    deaths: Deaths,
    /// What was told last, and when.
    told: Option<(Report, Coverage, Instant)>,
}

impl<S: Read> Watching<S> {
    /// Watches until the time is over or something is not native.
    async fn watch(mut self, mut updates: Answers<Update>) -> Result<(), Gone> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_ready = self.is_whole && self.coverage.is_some();
            if is_ready && self.may_be_bad {
                let report = self.report(Ask::All).await?;
                if report.verdict == Verdict::NotNative {
                    return self.tell(report, true).await;
                }
                // It is gone again.
                self.may_be_bad = false;
            }
            tokio::select! {
                update = updates.next() => match update {
                    Some(update) => self.take(update?.0)?,
                    None => return Err(Status::unavailable("the server ends").into()),
                },
                () = sleep_until(self.until), if is_ready => {
                    let report = self.report(Ask::All).await?;
                    return self.tell(report, true).await;
                }
                _ = ticks.tick(), if is_ready => {
                    let report = self.report(Ask::New).await?;
                    if report.verdict == Verdict::NotNative {
                        self.may_be_bad = true;
                    } else {
                        self.tell(report, false).await?;
                    }
                }
            }
        }
    }

    fn take(&mut self, update: FactUpdate) -> Result<(), Status> {
        match update {
            FactUpdate::Upsert(fact) => self.upsert(*fact)?,
            FactUpdate::Removed(name) => self.facts.remove(&name),
            FactUpdate::SnapshotBegin(_) => {
                self.facts.clear();
                self.is_whole = false;
                self.begun = self.begun.saturating_add(1);
            }
            FactUpdate::SnapshotEnd(_) => self.is_whole = true,
            FactUpdate::Coverage(coverage) => self.coverage = Some(coverage),
        }
        Ok(())
    }

    fn upsert(&mut self, fact: NodeFact) -> Result<(), Status> {
        let member = self.wanted.member(&fact.cluster, &fact.identity);
        let name = RemovedFact {
            cluster: fact.cluster.clone(),
            node: fact.node.clone(),
            id: fact.fact.key.id(),
        };
        if member == Member::No {
            // It may have been kept before its names were known.
            self.facts.remove(&name);
            return Ok(());
        }
        if member == Member::Yes {
            self.nodes.note(&fact);
        }
        self.may_be_bad |= member == Member::Yes && gate::why(&fact, self.wanted.arch).is_some();
        self.facts.insert(name, fact)
    }

    /// What is known now.
    async fn report(&mut self, which: Ask) -> Result<Report, Status> {
        let query = &self.query;
        if let Some(cluster) = &self.wanted.cluster {
            // What is followed tells of all clusters.
            let of_cluster = query
                .live
                .known_coverage_of(std::slice::from_ref(cluster))
                .await?;
            self.coverage = Some(Coverage::clone(&of_cluster));
        }
        self.deaths
            .read(query, &self.wanted, self.facts.iter(), self.since, which)
            .await?;
        self.nodes
            .ask(query, self.facts.iter(), self.since, which)
            .await?;
        let coverage = self.coverage.clone().unwrap_or_default();
        let known = Known {
            deaths: &self.deaths.all(),
            since: self.since,
            nodes: &self.nodes.watched(),
            coverage: &coverage,
        };
        let report = gate::decide(&self.wanted, self.facts.iter(), known);
        let report = match self.gap {
            Some(gap) => report.unwatched(&format!("nobody watched for {} seconds", gap.as_secs())),
            None => report,
        };
        let report = if self.begun > 1 {
            report.unwatched(
                "changes came faster than they could be followed, and all was read again",
            )
        } else {
            report
        };
        Ok(report.listed(Report::LISTED))
    }

    /// Tells it, if it is the answer, or news.
    async fn tell(&mut self, report: Report, ended: bool) -> Result<(), Gone> {
        let coverage = self.coverage.clone().unwrap_or_default();
        let is_told = self.told.as_ref().is_some_and(|(told, of, at)| {
            *told == report && *of == coverage && at.elapsed() < AT_LEAST
        });
        if is_told && !ended {
            return Ok(());
        }
        self.told = Some((report.clone(), coverage.clone(), Instant::now()));
        let watched = SystemTime::now().duration_since(self.since);
        let message = message(Verified {
            report,
            coverage,
            since: self.since,
            watched: watched.unwrap_or_default(),
            ended,
        });
        let sent = self.answers.send(Ok(message)).await;
        sent.map_err(|_| Gone::Left)
    }
}

/// With as much of the lists as a message may have.
fn message(mut verified: Verified) -> v1::VerifyPodsResponse {
    let mut most = Report::LISTED;
    loop {
        let message = v1::VerifyPodsResponse::from(&verified);
        if message.encoded_len() <= MAX_BYTES || most <= 1 {
            return message;
        }
        most /= 2;
        verified.report = verified.report.listed(most);
    }
}
