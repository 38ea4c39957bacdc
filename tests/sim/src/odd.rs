//! Agents that do what real ones should not: they send twice, go back to an epoch that is over, or do
//! not read answers.

mod ended;
mod said;
mod seen;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail};
use archtrace_facts::fact::Fact;
use archtrace_facts::report::{EventBatch, Hello, Record, UpdateKind};
use archtrace_proto::v1;
use archtrace_proto::v1::sync_request::Message as Request;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use crate::ledger::{Ledger, Sums};
use crate::plan::Plan;
use crate::random::Random;
use crate::raw::{Answer, Raw};
use ended::Ended;
use said::update;
pub use seen::Seen;

/// What is odd about an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing: it measures how long acknowledgements of deltas take.
    Probe,
    /// Each batch of events is sent twice, and once more with others.
    Duplicates,
    /// Again and again, the agent of an epoch that is over says Hello after the new one's.
    OldEpochs,
    /// For a while answers are not read, while more is sent.
    SlowReader,
}

/// An agent that speaks the protocol by hand.
#[derive(Debug)]
pub struct Odd {
    plan: Arc<Plan>,
    node: usize,
    oddity: Oddity,
    ledger: Ledger,
    facts: Vec<Fact>,
    random: Random,
    begun: SystemTime,
    revision: u64,
    /// First sequence that is not known to be stored.
    stored: u64,
    /// Sequence of the next event.
    next: u64,
    old_epoch_told: bool,
    /// What was seen.
    pub seen: Seen,
}

/// Epoch and stream of the agent, and those of its predecessor.
const EPOCHS: [u64; 2] = [1_000_001, 1_000_000];
const STREAMS: [u64; 2] = [3, 1];
/// Facts of the node.
const FACTS: usize = 30;
/// Events of one batch.
const BATCH: u64 = 8;
/// Requests that are sent without reading an answer: more than both sides' windows hold.
const UNREAD: usize = 64;
/// How long a node waits after its stream ended.
const PAUSE: Duration = Duration::from_millis(200);

impl Odd {
    /// The agent of node number `node`, which no agent of [`crate::fleet::Fleet`] may have.
    #[must_use]
    pub fn new(plan: Arc<Plan>, node: usize, oddity: Oddity) -> Self {
        let mut odd = Self {
            random: Random::new(plan.seed, &[40, node as u64]),
            facts: Vec::new(),
            begun: SystemTime::now(),
            plan,
            node,
            oddity,
            ledger: Ledger::default(),
            revision: 0,
            stored: 1,
            next: 1,
            old_epoch_told: false,
            seen: Seen::default(),
        };
        let now = SystemTime::now();
        let places = 0..odd.plan.places();
        let cgroups = places.map(|place| (place, odd.plan.place(node, place, 0).cgroup));
        let keys = cgroups.flat_map(|(place, cgroup)| {
            (0..odd.plan.facts_of(place)).map(move |fact| (place, fact, cgroup.clone()))
        });
        let keys = keys.map(|(place, fact, cgroup)| odd.plan.key(node, place, 0, fact, &cgroup));
        odd.facts = keys
            .take(FACTS)
            .map(|key| Fact {
                key,
                count: 1,
                processes: 0,
                cpu_ns: 0,
                first_seen: now,
                last_seen: now,
            })
            .collect();
        odd
    }

    /// Name of its node.
    #[must_use]
    pub fn name(&self) -> String {
        self.plan.node_name(self.node)
    }

    /// Its stream of events, and the sequence behind the last.
    #[must_use]
    pub fn stream(&self) -> (u64, u64) {
        (STREAMS[0], self.next)
    }

    /// What it produced.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Reports until `until` is cancelled, `pause` after each round, then until all is told, for which
    /// there is `patience`.
    ///
    /// # Errors
    /// If something was not told until then, or the collector answered what it must not.
    pub async fn run(
        &mut self,
        collector: &Endpoint,
        pause: Duration,
        until: &CancellationToken,
        patience: Duration,
    ) -> Result<()> {
        let mut over: Option<Instant> = None;
        loop {
            if until.is_cancelled() {
                over.get_or_insert_with(Instant::now);
            }
            let result = self.talk(collector, pause, until).await;
            match result {
                Ok(()) if until.is_cancelled() => break,
                Ok(()) => {}
                Err(Ended::Wrong(error)) => return Err(error),
                Err(Ended::Stream(error)) if over.is_some_and(|over| over.elapsed() > patience) => {
                    bail!("{}: not all is told: {error:#}", self.name());
                }
                Err(Ended::Stream(error)) => {
                    tracing::debug!(node = self.name(), "{error:#}");
                    self.seen.end(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        for fact in &self.facts {
            let sums = Sums {
                count: fact.count,
                cpu_ns: fact.cpu_ns,
            };
            self.ledger.set(fact.key.id(), sums, fact.processes);
        }
        Ok(())
    }

    /// One stream. Returns without an error when all is told and `until` is cancelled.
    async fn talk(
        &mut self,
        collector: &Endpoint,
        pause: Duration,
        until: &CancellationToken,
    ) -> Result<(), Ended> {
        let (mut raw, welcome) = Raw::attach(collector, &self.hello(0)).await?;
        self.stored = welcome.next_sequence;
        self.snapshot(&mut raw).await?;
        loop {
            self.events(&mut raw).await?;
            if until.is_cancelled() {
                return Ok(());
            }
            self.delta(&mut raw).await?;
            match self.oddity {
                Oddity::Probe | Oddity::Duplicates => {}
                Oddity::OldEpochs if self.random.per_mille(200) => {
                    self.go_back(collector).await?;
                    // Whoever speaks for the node since, this stream does not.
                    self.delta(&mut raw).await?;
                    let error = anyhow::anyhow!("{}: two streams report for it", self.name());
                    return Err(Ended::Wrong(error));
                }
                Oddity::SlowReader if self.random.per_mille(200) => return self.stall(raw).await,
                Oddity::OldEpochs | Oddity::SlowReader => {}
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = until.cancelled() => {}
            }
        }
    }

    fn hello(&self, which: usize) -> Hello {
        let age = Duration::from_secs(60 * which as u64);
        Hello {
            cluster: self.plan.cluster.clone(),
            node: self.plan.info(self.node),
            epoch: EPOCHS[which],
            attached_at: SystemTime::now() - age,
            event_stream_id: STREAMS[which],
            oldest_sequence: if which == 0 { self.stored } else { 1 },
            next_sequence: if which == 0 { self.next } else { 1 },
            preflight: self.plan.preflight(self.node),
            held: None,
            earlier_streams: Vec::new(),
        }
    }

    async fn snapshot(&mut self, raw: &mut Raw) -> Result<(), Ended> {
        self.revision += 1;
        let facts = self.facts.clone();
        let update = update(
            EPOCHS[0],
            UpdateKind::SnapshotEnd,
            0,
            self.revision,
            facts.clone(),
            &facts,
        );
        loop {
            match raw.update(&update).await? {
                Answer::Ack { revision, .. } if revision == self.revision => return Ok(()),
                Answer::Throttle(after) => tokio::time::sleep(after).await,
                other => return Err(Ended::stream(format!("{other:?} for a snapshot"))),
            }
        }
    }

    async fn delta(&mut self, raw: &mut Raw) -> Result<(), Ended> {
        let index = self.random.below(self.facts.len());
        let Some(fact) = self.facts.get_mut(index) else {
            return Ok(());
        };
        fact.count += 1;
        fact.last_seen = SystemTime::now();
        let changed = vec![fact.clone()];
        let base = self.revision;
        self.revision += 1;
        let update = update(
            EPOCHS[0],
            UpdateKind::Delta,
            base,
            self.revision,
            changed,
            &self.facts,
        );
        let sent = Instant::now();
        match raw.update(&update).await? {
            Answer::Ack { revision, .. } if revision == self.revision => {
                self.seen.commits.push(sent.elapsed());
                Ok(())
            }
            Answer::Throttle(after) => {
                tokio::time::sleep(after).await;
                self.snapshot(raw).await
            }
            Answer::Resync | Answer::Ack { .. } => self.snapshot(raw).await,
        }
    }

    /// Produces a batch, and sends what is not stored.
    async fn events(&mut self, raw: &mut Raw) -> Result<(), Ended> {
        if self.oddity == Oddity::Probe {
            return Ok(());
        }
        self.next += BATCH;
        self.ledger.events += BATCH;
        let first = self.stored;
        self.send(raw, first, self.next).await?;
        if self.oddity == Oddity::Duplicates {
            self.send(raw, first, self.next).await?;
            // From the middle of what is stored, on to what is not.
            self.next += BATCH;
            self.ledger.events += BATCH;
            self.send(raw, self.next - BATCH - BATCH / 2, self.next)
                .await?;
            self.seen.duplicates += 2;
        }
        Ok(())
    }

    /// Sends events `first..next`, after which all before `next` have to be stored.
    async fn send(&mut self, raw: &mut Raw, first: u64, next: u64) -> Result<(), Ended> {
        let records = (first..next).map(|sequence| {
            Record::Event(said::event(self.plan.arch(self.node), self.begun, sequence))
        });
        let batch = EventBatch {
            stream_id: STREAMS[0],
            first_sequence: first,
            records: records.collect(),
        };
        loop {
            match raw.events(&batch).await? {
                Answer::Ack { next_sequence, .. } if next_sequence == next => break,
                Answer::Throttle(after) => tokio::time::sleep(after).await,
                other => {
                    let name = self.name();
                    let error = anyhow::anyhow!("{name}: {other:?} for events {first}..{next}");
                    return Err(Ended::Wrong(error));
                }
            }
        }
        self.stored = next;
        Ok(())
    }

    /// The predecessor says Hello again, and what it counted, which is the same each time.
    async fn go_back(&mut self, collector: &Endpoint) -> Result<(), Ended> {
        let (mut raw, _) = Raw::attach(collector, &self.hello(1)).await?;
        let mut facts = self.facts.clone();
        facts.iter_mut().for_each(|fact| fact.count = 100);
        let update = update(
            EPOCHS[1],
            UpdateKind::SnapshotEnd,
            0,
            1,
            facts.clone(),
            &facts,
        );
        if !self.old_epoch_told {
            // From here on it may be stored.
            for fact in &facts {
                self.ledger.set(
                    fact.key.id(),
                    Sums {
                        count: fact.count,
                        cpu_ns: 0,
                    },
                    0,
                );
            }
            self.ledger.restart(STREAMS[1], 1);
            self.old_epoch_told = true;
        }
        let answer = raw.update(&update).await?;
        self.seen.old_epochs += 1;
        match answer {
            Answer::Ack { .. } => Ok(()),
            other => Err(Ended::stream(format!("{other:?} for an old epoch"))),
        }
    }

    /// Sends, and does not read.
    async fn stall(&mut self, mut raw: Raw) -> Result<(), Ended> {
        self.seen.stalls += 1;
        let stalled = async {
            for _ in 0..UNREAD {
                let heartbeat = v1::Heartbeat {
                    revision: self.revision,
                    next_sequence: self.next,
                    ..v1::Heartbeat::default()
                };
                raw.tell(Request::Heartbeat(heartbeat)).await?;
            }
            anyhow::Ok(())
        };
        // Either the collector stops to read, or it keeps what it answers within bounds.
        let _ = tokio::time::timeout(Duration::from_secs(2), stalled).await;
        Ok(())
    }
}
