//! One agent: what its node shows, through the code that real agents run, to a collector.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Loss, Stage};
use archtrace_sink::{Identity, Outbox, Queue, client, spool};
use tokio::task::JoinHandle;

use crate::ledger::Ledger;
use crate::node::{News, Node};
use crate::plan::Plan;
use crate::random::Random;
use crate::targets::Targets;

/// An agent and its node.
#[derive(Debug)]
pub struct Agent {
    node: Node,
    ledger: Ledger,
    random: Random,
    outbox: Outbox<u32>,
    identity: Identity,
    spool: Option<spool::Config>,
    reporting: Option<JoinHandle<()>>,
    /// Streams that were cut and may not have noticed yet.
    ending: Vec<JoinHandle<()>>,
    /// Which of the collectors it reports to.
    collector: usize,
}

impl Agent {
    /// The agent of node number `index`. It counts, and reports to nobody yet. Events are kept in a
    /// directory of its own in `state_dir`, if there is one.
    #[must_use]
    pub fn new(plan: &Arc<Plan>, index: usize, state_dir: Option<&Path>) -> Self {
        let mut random = Random::new(plan.seed, &[20, index as u64]);
        let node = plan.info(index);
        let spool = state_dir.map(|directory| spool::Config {
            state_dir: directory.join(&node.name),
            max_bytes: SPOOL_BYTES,
            max_age: SPOOL_AGE,
            owner: spool::Owner {
                cluster: plan.cluster.clone(),
                node: node.name.clone(),
                // Replicas are one collector, as a Service in front of them is.
                collector: "http://collectors".to_owned(),
            },
        });
        let events = queue(random.next(), spool.as_ref());
        let mut agent = Self {
            node: Node::new(Arc::clone(plan), index),
            ledger: Ledger::default(),
            outbox: Outbox::new(plan.preflight(index), events),
            identity: Identity {
                cluster: plan.cluster.clone(),
                node,
                epoch: random.next(),
                attached_at: SystemTime::now(),
            },
            random,
            spool,
            reporting: None,
            ending: Vec::new(),
            collector: 0,
        };
        agent.begin();
        agent
    }

    /// Name of its node.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.node.name
    }

    /// What it produced.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Which collector it reports to.
    #[must_use]
    pub fn collector(&self) -> usize {
        self.collector
    }

    /// Its stream of events, and the sequence behind the last.
    #[must_use]
    pub fn stream(&self) -> (u64, u64) {
        let contents = self.outbox.lock();
        (contents.events.stream_id(), contents.events.next())
    }

    /// The digest of its facts that the collector has acknowledged; nothing while one is on its way.
    #[must_use]
    pub fn held(&self) -> Option<Digest> {
        self.outbox.lock().held().map(|(_, digest)| digest)
    }

    /// Whether the collector has acknowledged all that there is to tell.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let contents = self.outbox.lock();
        contents.held().is_some()
            && !contents.table.has_changes()
            && !contents.owners.has_changes()
            && contents.events.is_empty()
    }

    /// Notes in the ledger what is acknowledged, if everything is.
    pub fn settle(&mut self) -> bool {
        let settled = self.is_settled();
        if settled {
            self.ledger.settle();
        }
        settled
    }

    /// Reports to a collector from now on: the one of this number, counted round. A stream that it has
    /// is cut.
    ///
    /// # Errors
    /// If there is no collector.
    pub fn report_to(&mut self, collector: usize, targets: &Targets) -> Result<()> {
        self.cut();
        self.collector = collector;
        let collectors = [targets.collector(collector, self.name())?];
        let (identity, outbox) = (self.identity.clone(), self.outbox.clone());
        self.reporting = Some(tokio::spawn(async move {
            match client::run(&collectors, &identity, &outbox).await {}
        }));
        Ok(())
    }

    /// Ends like kill -9, and starts again as a new agent of the node. What is in memory only is lost,
    /// which without a state directory includes events: then nothing happens.
    ///
    /// # Errors
    /// If there is no collector.
    pub async fn restart(&mut self, targets: &Targets) -> Result<()> {
        if self.spool.is_none() {
            return Ok(());
        }
        self.cut();
        for task in self.ending.drain(..) {
            // It has ended when it no longer holds the spool.
            let _ = task.await;
        }
        self.renew();
        self.report_to(self.collector, targets)
    }

    /// Starts again as a new agent of the node, which reports to nobody yet. Events that are in memory only
    /// are lost.
    pub fn renew(&mut self) {
        self.cut();
        self.settle();
        let (stream, next) = self.stream();
        self.ledger.restart(stream, next);
        let preflight = self.outbox.lock().preflight.clone();
        // One holds the spool at a time.
        self.outbox = Outbox::new(preflight.clone(), Queue::new(1));
        let events = queue(self.random.next(), self.spool.as_ref());
        self.outbox = Outbox::new(preflight, events);
        self.identity.epoch = self.random.next();
        self.identity.attached_at = SystemTime::now();
        self.begin();
    }

    /// Ends the stream without a word.
    pub fn cut(&mut self) {
        if let Some(task) = self.reporting.take() {
            task.abort();
            self.ending.retain(|task| !task.is_finished());
            self.ending.push(task);
        }
    }

    /// Something is executed, or computes.
    pub fn count(&mut self) {
        self.node
            .count(&mut self.outbox.lock().table, &mut self.ledger);
        self.outbox.notify();
    }

    /// Something happens that is told at once.
    pub fn event(&mut self) {
        let event = self.node.event(&mut self.ledger);
        self.outbox.lock().events.push_event(event);
        self.outbox.notify();
    }

    /// The kernel's buffer overflows.
    pub fn lose(&mut self) {
        let count = 1 + self.random.next() % 100;
        let now = self.node.now();
        self.ledger.lost += count;
        self.outbox.lock().events.push_loss(Loss {
            stage: Stage::RingBuffer,
            count,
            since: now,
            until: now,
        });
        self.outbox.notify();
    }

    /// A pod is replaced.
    pub fn replace_pod(&mut self) {
        let news = self
            .node
            .replace_pod(&mut self.outbox.lock().table, &mut self.ledger);
        if let Some(news) = news {
            self.tell(vec![news]);
        }
    }

    /// The node's clock jumps.
    pub fn jump(&mut self) {
        self.node.jump();
    }

    fn begin(&mut self) {
        let news = self
            .node
            .begin(&mut self.outbox.lock().table, &mut self.ledger);
        self.tell(news);
    }

    fn tell(&mut self, news: Vec<News>) {
        let mut contents = self.outbox.lock();
        for News { owner, image, gone } in news {
            // There is room for more containers and images than a node has, as long as those that
            // are gone are forgotten.
            if let Some((cgroup, owner)) = owner {
                let _ = contents.owners.set(&cgroup, owner);
            }
            if let Some(image) = image {
                let _ = contents.owners.set_image(image);
            }
            if !gone.is_empty() {
                contents
                    .owners
                    .note_ended(|cgroup| !gone.iter().any(|gone| gone == cgroup));
                contents.owners.sweep();
            }
        }
        drop(contents);
        self.outbox.notify();
    }
}

/// Nothing is evicted in a run: what is, real agents lose too, and tests of the spool show how.
const SPOOL_BYTES: u64 = 16 << 20;
const SPOOL_AGE: Duration = Duration::from_secs(24 * 3600);

/// A spool is free a moment after its last owner: a collector that is being started holds what this process has
/// open, the lock too, until its exec.
const SPOOL_PATIENCE: Duration = Duration::from_secs(10);

fn queue(random: u64, spool: Option<&spool::Config>) -> Queue {
    // No stream has the id 0.
    let stream = random | 1;
    let Some(config) = spool else {
        return Queue::new(stream);
    };
    let begun = Instant::now();
    loop {
        let queue = Queue::with_spool(stream, config.clone());
        // Without its spool, the next restart would lose what is in memory.
        if queue.missing().is_none() || begun.elapsed() > SPOOL_PATIENCE {
            return queue;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.cut();
    }
}
