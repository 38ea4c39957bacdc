//! Compares what a collector has with what agents produced.

use std::collections::{HashMap, HashSet};
use std::fmt;

use anyhow::Result;
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Fact, FactId, Stage};
use archtrace_facts::fleet::{NodeEvent, NodeFact};
use archtrace_facts::report::Record;

use crate::ledger::{Bounds, Ledger};
use crate::query::Client;

/// What one agent produced, once all of it is told.
#[derive(Debug)]
pub struct Expected<'a> {
    /// Name of its node.
    pub node: &'a str,
    /// What it produced.
    pub ledger: &'a Ledger,
    /// Its last stream of events, and the sequence behind the last.
    pub stream: (u64, u64),
    /// The digest of facts that the collector has acknowledged; nothing if it is not asked.
    pub held: Option<Digest>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Agents that were compared.
    pub agents: u64,
    /// Events that agents produced.
    pub produced: u64,
    /// Of these, those that are stored.
    pub events: u64,
    /// Sequences that are not stored, but named by a loss.
    pub named: u64,
    /// Events that were dropped before they had a sequence, as losses count them.
    pub counted: u64,
    /// Losses that are stored, those of the collector's own streams left out.
    pub losses: u64,
    /// Facts that were compared.
    pub facts: u64,
    /// Agents whose digest, as the collector acknowledged it, is that of what they produced.
    pub acknowledged: u64,
    /// Agents whose digest is that of the facts that the collector lists.
    pub digests: u64,
    /// Agents with a fact of which an earlier run may have counted more than it could tell: without a
    /// digest, their numbers are within bounds.
    pub bounded: u64,
    /// What the collector says of sequences that nobody explained.
    pub unexplained_gap: u64,
    /// What is wrong; the first of each kind for each node.
    pub wrong: Vec<String>,
}

/// What is stored of one node.
#[derive(Debug, Default)]
struct Stored {
    sequences: HashMap<u64, HashSet<u64>>,
    events: HashSet<u64>,
    ranges: Vec<(u64, u64, u64)>,
    losses: u64,
    /// Sums of losses, by stage.
    queue: u64,
    kernel: u64,
    facts: HashMap<FactId, NodeFact>,
    twice: u64,
}

/// Asks for everything, and compares.
///
/// # Errors
/// If the collector does not answer.
pub async fn check(client: &mut Client, agents: &[Expected<'_>]) -> Result<Report> {
    let mut stored: HashMap<String, Stored> = HashMap::new();
    client
        .events(|event| {
            stored
                .entry(event.node.clone())
                .or_default()
                .take_event(&event);
        })
        .await?;
    client
        .facts(|fact| {
            let node = stored.entry(fact.node.clone()).or_default();
            if node.facts.insert(fact.fact.key.id(), fact).is_some() {
                node.twice += 1;
            }
        })
        .await?;
    let mut report = Report {
        unexplained_gap: client.status().await?.totals.unexplained_gap,
        ..Report::default()
    };
    if report.unexplained_gap > 0 {
        report
            .wrong
            .push(format!("unexplained_gap is {}", report.unexplained_gap));
    }
    for agent in agents {
        let found = stored.remove(agent.node).unwrap_or_default();
        report.compare(agent, &found);
    }
    if let Some(node) = stored.keys().next() {
        report.wrong.push(format!(
            "{} nodes that do not exist, such as {node}",
            stored.len()
        ));
    }
    Ok(report)
}

impl Stored {
    fn take_event(&mut self, event: &NodeEvent) {
        if event.stream_id == 0 {
            // The collector's own: that an agent was down.
            return;
        }
        let new = self
            .sequences
            .entry(event.stream_id)
            .or_default()
            .insert(event.sequence);
        self.twice += u64::from(!new);
        match &event.record {
            Record::Event(event) => self.twice += u64::from(!self.events.insert(event.count)),
            Record::Loss(loss) => {
                self.losses += 1;
                if loss.stage == Stage::RingBuffer.as_str() {
                    self.kernel += loss.count;
                } else if let Some(range) = loss.range {
                    self.ranges.push((range.stream_id, range.first, range.last));
                } else {
                    self.queue += loss.count;
                }
            }
            Record::Handler(_) => {}
        }
    }

    /// Of `first..next` of a stream: how many are neither stored nor named, and how many are named;
    /// those that are both or named twice count as neither.
    fn missing(&self, stream: u64, next: u64) -> (u64, u64) {
        let none = HashSet::new();
        let stored = self.sequences.get(&stream).unwrap_or(&none);
        let (mut missing, mut named) = (0, 0);
        for sequence in 1..next {
            let names = self
                .ranges
                .iter()
                .filter(|(id, first, last)| *id == stream && (*first..=*last).contains(&sequence));
            match (stored.contains(&sequence), names.count()) {
                (true, 0) => {}
                (false, 1) => named += 1,
                _ => missing += 1,
            }
        }
        (missing, named)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            agents,
            produced,
            events,
            named,
            counted,
            losses,
            facts,
            acknowledged,
            digests,
            bounded,
            unexplained_gap,
            wrong,
        } = self;
        write!(
            f,
            "{agents} agents: {produced} events produced, {events} stored once, {counted} counted and {named} \
             sequences named by {losses} losses, unexplained_gap {unexplained_gap}; {facts} facts; \
             {acknowledged} digests acknowledged, {digests} equal to what is listed, {bounded} nodes within bounds; {} things wrong",
            wrong.len()
        )?;
        wrong
            .iter()
            .take(SHOWN)
            .try_for_each(|what| write!(f, "\n  {what}"))
    }
}

/// So many things that are wrong are shown: one mistake may be seen on all nodes.
const SHOWN: usize = 20;

impl Report {
    /// Whether everything is as it should be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }

    fn compare(&mut self, agent: &Expected<'_>, stored: &Stored) {
        let Expected {
            node,
            ledger,
            stream,
            held,
        } = agent;
        match held {
            None => {}
            Some(held) if *held == ledger.digest() => self.acknowledged += 1,
            Some(_) => self
                .wrong
                .push(format!("{node}: another digest was acknowledged")),
        }
        self.agents += 1;
        self.produced += ledger.events;
        self.events += stored.events.len() as u64;
        self.losses += stored.losses;
        self.counted += stored.queue;
        if stored.twice > 0 {
            self.wrong.push(format!(
                "{node}: {} records or facts are there twice",
                stored.twice
            ));
        }
        let mut named = 0;
        for (id, next) in ledger.streams.iter().chain([stream]) {
            let (missing, these) = stored.missing(*id, *next);
            named += these;
            if missing > 0 {
                self.wrong.push(format!(
                    "{node}: of 1..{next} of stream {id:x}, {missing} are neither stored once nor named by one loss"
                ));
            }
        }
        self.named += named;
        let absent = ledger.events.saturating_sub(stored.events.len() as u64);
        // What is named may have been a loss itself.
        if absent < stored.queue || absent > stored.queue + named {
            self.wrong.push(format!(
                "{node}: {absent} of {} events are not there, but losses count {} and name {named}",
                ledger.events, stored.queue
            ));
        }
        if stored.kernel > ledger.lost
            || named == 0 && ledger.restarts == 0 && stored.kernel != ledger.lost
        {
            self.wrong.push(format!(
                "{node}: {} records of the kernel's were told as lost, not {}",
                stored.kernel, ledger.lost
            ));
        }
        self.compare_facts(node, ledger, stored);
    }

    fn compare_facts(&mut self, node: &str, ledger: &Ledger, stored: &Stored) {
        let mut wrong = None;
        let mut known = 0;
        let mut digest = Some(Digest::default());
        for (id, bounds) in ledger.facts() {
            self.facts += 1;
            let found = stored.facts.get(&id);
            known += usize::from(found.is_some());
            if let Err(what) = fits(&bounds, found) {
                wrong.get_or_insert_with(|| format!("{node}: fact {id:?}: {what}"));
            }
            if let Some(found) = found.filter(|_| !bounds.ended) {
                let of = ledger.earlier(id).map(|earlier| {
                    let Fact {
                        count,
                        cpu_ns,
                        processes,
                        ..
                    } = found.fact;
                    let (count, cpu_ns) = (
                        count.wrapping_sub(earlier.count),
                        cpu_ns.wrapping_sub(earlier.cpu_ns),
                    );
                    Digest::of(id, count, processes, cpu_ns)
                });
                digest = digest.zip(of).map(|(sum, more)| sum.plus(more));
            }
        }
        if known < stored.facts.len() {
            let more = stored.facts.len() - known;
            wrong.get_or_insert_with(|| format!("{node}: {more} facts that it never told"));
        }
        match digest {
            None => self.bounded += 1,
            Some(digest) if digest == ledger.digest() => self.digests += 1,
            Some(_) => {
                wrong.get_or_insert_with(|| format!("{node}: the digest is another one"));
            }
        }
        self.wrong.extend(wrong);
    }
}

fn fits(bounds: &Bounds, found: Option<&NodeFact>) -> Result<(), String> {
    let Bounds {
        least,
        most,
        processes,
        ended,
    } = *bounds;
    let Some(found) = found else {
        // A fact that an earlier run had and never told is none.
        let untold = ended && least.count == 0;
        return if untold {
            Ok(())
        } else {
            Err("it is not there".to_owned())
        };
    };
    let Fact { count, cpu_ns, .. } = found.fact;
    if !(least.count..=most.count).contains(&count) {
        return Err(format!(
            "count {count} is not within {}..={}",
            least.count, most.count
        ));
    }
    if !(least.cpu_ns..=most.cpu_ns).contains(&cpu_ns) {
        return Err(format!(
            "CPU time {cpu_ns} is not within {}..={}",
            least.cpu_ns, most.cpu_ns
        ));
    }
    if found.ended != ended {
        return Err(format!("ended is {}", found.ended));
    }
    if found.current && found.fact.processes != processes {
        return Err(format!(
            "{} processes, not {processes}",
            found.fact.processes
        ));
    }
    Ok(())
}
