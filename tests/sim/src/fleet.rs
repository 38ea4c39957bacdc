//! Many agents, and what happens to them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::agent::Agent;
use crate::check::Expected;
use crate::plan::Plan;
use crate::random::Random;
use crate::targets::Targets;

/// How often things happen, in all of the fleet, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Facts that get new numbers.
    pub updates: f64,
    /// Events.
    pub events: f64,
    /// Losses in the kernel's buffer.
    pub losses: f64,
    /// Pods that are replaced.
    pub pods: f64,
    /// Streams that are cut; their agents connect again.
    pub cuts: f64,
    /// Agents that move to another collector.
    pub moves: f64,
    /// Agents that end like kill -9 and start again.
    pub restarts: f64,
    /// Clocks of nodes that jump.
    pub jumps: f64,
}

/// How often things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each counts the rate of this name")]
pub struct Happened {
    pub updates: u64,
    pub events: u64,
    pub losses: u64,
    pub pods: u64,
    pub cuts: u64,
    pub moves: u64,
    pub restarts: u64,
    pub jumps: u64,
}

/// The agents of a cluster.
#[derive(Debug)]
pub struct Fleet {
    agents: Vec<Agent>,
    targets: Targets,
    random: Random,
    happened: Happened,
    due: Due,
    /// Whose turn it is to be looked at.
    settling: usize,
}

/// What should have happened and did not yet: less than one of each, after a tick.
#[derive(Clone, Copy, Debug, Default)]
struct Due([f64; 8]);

/// How often things are looked after: shorter than anything that is measured.
const TICK: Duration = Duration::from_millis(20);

impl Fleet {
    /// `nodes` agents that report to nobody yet. Events are kept in memory only without a `state_dir`.
    #[must_use]
    pub fn new(plan: Plan, nodes: usize, targets: Targets, state_dir: Option<&Path>) -> Self {
        let random = Random::new(plan.seed, &[30]);
        let plan = Arc::new(plan);
        Self {
            agents: (0..nodes)
                .map(|index| Agent::new(&plan, index, state_dir))
                .collect(),
            targets,
            random,
            happened: Happened::default(),
            due: Due::default(),
            settling: 0,
        }
    }

    /// Its agents.
    #[must_use]
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// What a collector has to have, once all is told.
    pub fn expected(&self) -> impl Iterator<Item = Expected<'_>> {
        self.agents.iter().map(|agent| Expected {
            node: agent.name(),
            ledger: agent.ledger(),
            stream: agent.stream(),
            held: agent.held(),
        })
    }

    /// What happened so far.
    #[must_use]
    pub fn happened(&self) -> Happened {
        self.happened
    }

    /// All agents report, spread over the collectors. Those that did already start again, all at once.
    ///
    /// # Errors
    /// If there is no collector.
    pub fn connect(&mut self) -> Result<()> {
        let collectors = self.targets.len().max(1);
        let mut agents = self.agents.iter_mut().enumerate();
        agents.try_for_each(|(index, agent)| agent.report_to(index % collectors, &self.targets))
    }

    /// All agents are replaced, as by a new version, and report to nobody yet.
    pub fn renew(&mut self) {
        self.agents.iter_mut().for_each(Agent::renew);
    }

    /// Lets things happen for as long as `until` takes.
    ///
    /// # Errors
    /// If there is no collector.
    pub async fn run<T>(&mut self, rates: Rates, until: impl Future<Output = T>) -> Result<T> {
        let mut until = std::pin::pin!(until);
        let mut ticks = tokio::time::interval(TICK);
        // Where the machine cannot keep up, what is due is made up for by the next tick.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut before = Instant::now();
        loop {
            tokio::select! {
                result = &mut until => return Ok(result),
                _ = ticks.tick() => {}
            }
            let now = Instant::now();
            self.tick(rates, now - before).await?;
            before = now;
        }
    }

    /// Waits until all that agents had to tell is acknowledged. Returns how many agents still wait,
    /// which are none unless `deadline` passed.
    pub async fn settle(&mut self, deadline: Duration) -> usize {
        let start = Instant::now();
        loop {
            let waiting = self
                .agents
                .iter_mut()
                .filter_map(|agent| (!agent.settle()).then_some(()));
            let waiting = waiting.count();
            if waiting == 0 || start.elapsed() > deadline {
                return waiting;
            }
            tokio::time::sleep(TICK).await;
        }
    }

    async fn tick(&mut self, rates: Rates, passed: Duration) -> Result<()> {
        let times = self.due.take(rates, passed);
        let [updates, events, losses, pods, cuts, moves, restarts, jumps] = times;
        for (times, act) in [
            (updates, Agent::count as fn(&mut Agent)),
            (events, Agent::event),
            (losses, Agent::lose),
            (pods, Agent::replace_pod),
            (jumps, Agent::jump),
        ] {
            self.each(times, |agent, _| {
                act(agent);
                Ok(())
            })?;
        }
        for _ in 0..restarts {
            let index = self.random.below(self.agents.len());
            if let Some(agent) = self.agents.get_mut(index) {
                agent.restart(&self.targets).await?;
            }
        }
        self.each(cuts, |agent, targets| {
            agent.report_to(agent.collector(), targets)
        })?;
        self.each(moves, |agent, targets| {
            agent.report_to(agent.collector() + 1, targets)
        })?;
        self.happened.add(times);
        // A round takes a second.
        let some = self.agents.len().div_ceil(50);
        for _ in 0..some {
            self.settling = (self.settling + 1) % self.agents.len();
            self.agents[self.settling].settle();
        }
        Ok(())
    }

    /// Does something to so many agents, each chosen at random.
    fn each(
        &mut self,
        times: u64,
        mut act: impl FnMut(&mut Agent, &Targets) -> Result<()>,
    ) -> Result<()> {
        for _ in 0..times {
            let index = self.random.below(self.agents.len());
            if let Some(agent) = self.agents.get_mut(index) {
                act(agent, &self.targets)?;
            }
        }
        Ok(())
    }
}

impl Due {
    /// How often each thing is to happen now.
    fn take(&mut self, rates: Rates, passed: Duration) -> [u64; 8] {
        let Rates {
            updates,
            events,
            losses,
            pods,
            cuts,
            moves,
            restarts,
            jumps,
        } = rates;
        let rates = [updates, events, losses, pods, cuts, moves, restarts, jumps];
        let mut times = [0; 8];
        for ((due, rate), times) in self.0.iter_mut().zip(rates).zip(&mut times) {
            *due += rate * passed.as_secs_f64();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "rates are not negative, and nobody waits long enough for 2^53 of them"
            )]
            let whole = due.floor().max(0.0) as u64;
            *times = whole;
            *due -= whole as f64;
        }
        times
    }
}

impl Happened {
    fn add(&mut self, times: [u64; 8]) {
        let Self {
            updates,
            events,
            losses,
            pods,
            cuts,
            moves,
            restarts,
            jumps,
        } = self;
        let sums = [updates, events, losses, pods, cuts, moves, restarts, jumps];
        for (sum, more) in sums.into_iter().zip(times) {
            *sum += more;
        }
    }
}
