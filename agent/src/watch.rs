//! The watching side: moves what the kernel tells into the outbox.

mod handlers;
mod losses;
mod sweep;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use archtrace_ebpf::abi::{Record, mode};
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Stage;
use tokio::time::{MissedTickBehavior, interval};

use self::handlers::{Changes, changed};
use self::losses::Losses;
use crate::enrich::cgroup::Cgroups;
use crate::enrich::clock::Clock;
use crate::enrich::exec;
use crate::readable;
use crate::sink::outbox::Outbox;
use crate::source::interpreters::Interpreters;
use crate::source::maps::MAX_ADOPTED;
use crate::source::sensor::Sensor;
use crate::source::{procs, tasks};

/// Counters of what is not native: exact within a second, so looked at more often than that.
const FOREIGN_INTERVAL: Duration = Duration::from_millis(400);
/// A record of a key is followed by execs that send none for a second; the rest is for a busy node.
const RECORDED_LATELY: Duration = Duration::from_secs(3);
/// Counters of native binaries, which may be thousands.
const NATIVE_INTERVAL: Duration = Duration::from_secs(20);
/// CPU time of emulated tasks that are alive: a look at every task of the node. Losses are told no
/// later than that.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);
/// Handlers of `binfmt_misc`, where changes are not told.
const REGISTRY_INTERVAL: Duration = Duration::from_secs(10);
/// Counters of cgroups that are gone.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Records taken at once before others get their turn.
const BATCH: usize = 256;

/// What the watching side keeps.
pub(crate) struct Watch {
    sensor: Sensor,
    outbox: Outbox,
    node: Arch,
    proc: PathBuf,
    cgroups: Cgroups,
    interpreters: Interpreters,
    changes: Option<Changes>,
    /// When the last record of anything but a native binary came.
    recorded: Option<Instant>,
    /// Whether emulated processes were alive at the last look.
    alive: bool,
    losses: Losses,
    /// Cgroups that the last sweep did not find; gone for good if the next does not either.
    missing: HashSet<u64>,
}

impl Watch {
    /// `proc` is where procfs is mounted.
    pub(crate) fn new(sensor: Sensor, outbox: Outbox, node: Arch, proc: PathBuf) -> Self {
        let cgroups = Cgroups::new(&proc);
        let losses = Losses::new(sensor.attached_at);
        let mut watch = Self {
            sensor,
            outbox,
            node,
            proc,
            cgroups,
            interpreters: Interpreters::default(),
            changes: Changes::watch(),
            recorded: None,
            alive: false,
            losses,
            missing: HashSet::new(),
        };
        watch.tell_interpreters();
        if !watch.cgroups.is_visible() {
            let line = "cgroup v2 is not mounted: facts have no cgroup".to_owned();
            watch.outbox.lock().preflight.missing.push(line);
        }
        watch.adopt();
        watch
    }

    /// Watches until something that must not fail does.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let records = readable::watch(&self.sensor.maps.records)?;
        let mut foreign = every(FOREIGN_INTERVAL);
        let mut native = every(NATIVE_INTERVAL);
        let mut sample = every(SAMPLE_INTERVAL);
        let mut reread = every(REGISTRY_INTERVAL);
        let mut sweep = every(SWEEP_INTERVAL);
        loop {
            tokio::select! {
                ready = records.readable() => {
                    let mut ready = ready?;
                    if !self.take_records() {
                        ready.clear_ready();
                    }
                }
                () = changed(self.changes.as_ref()) => self.read_registry(),
                _ = foreign.tick() => {
                    if self.may_have_counted() {
                        self.read_foreign();
                    }
                }
                _ = native.tick() => self.read_native(),
                _ = sample.tick() => self.sample(),
                _ = reread.tick() => {
                    self.read_registry();
                    self.losses.read_missed(&self.sensor);
                }
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    /// Takes what is in the ring buffer; whether there may be more.
    fn take_records(&mut self) -> bool {
        let clock = Clock::look();
        for _ in 0..BATCH {
            let Some(item) = self.sensor.maps.records.next() else {
                self.outbox.notify();
                return false;
            };
            // Copied, so that the slot is free again before files are looked at.
            let bytes = item.to_vec();
            drop(item);
            match Record::split(&bytes) {
                Some((record, path)) => self.take_record(&record, path, clock),
                // Never seen; but whatever is dropped is counted.
                None => self.losses.add(Stage::RingBuffer, 1),
            }
        }
        self.outbox.notify();
        true
    }

    fn take_record(&mut self, record: &Record, path: &[u8], clock: Clock) {
        if record.key.mode != mode::NATIVE {
            self.recorded = Some(Instant::now());
        }
        if record.key.mode == mode::INTERPRETED {
            // Asked what an interpreter is; the answer must not be older than the question.
            self.refresh_registry();
        }
        let rules = self.sensor.registry.rules();
        let told = exec::tell(
            record,
            path,
            self.node,
            rules,
            &self.proc,
            &mut self.cgroups,
            clock,
        );
        let time = clock.wall(record.time_ns);
        let full = {
            let mut contents = self.outbox.lock();
            let named = contents.table.name(record.key, told.key, time);
            if let Some(event) = told.event {
                contents.events.push_event(event);
            }
            named.is_err()
        };
        if full {
            self.losses.add(Stage::FactTable, 1);
        }
        if told.reads_scripts
            && let Some(name) = record.interpreter()
            && self.interpreters.learn_plain(self.sensor.hash_seed, name)
        {
            self.tell_interpreters();
        }
        // What is new is told with its count, not half a second later.
        if let Some(reading) = self.sensor.maps.read_one(&record.key, clock) {
            self.outbox.lock().table.read(record.key, reading);
        }
    }

    /// Whether what is not native may have been counted since the last look. An exec that sends no
    /// record follows one that did within a second, and what ends was alive before.
    fn may_have_counted(&self) -> bool {
        self.alive
            || self
                .recorded
                .is_some_and(|recorded| recorded.elapsed() < RECORDED_LATELY)
    }

    fn read_foreign(&mut self) {
        let mut alive = false;
        let dropped = self.outbox.lock().table.take_dropped();
        self.losses.add(Stage::FactTable, dropped);
        let losses = self.losses.take(&self.sensor);
        let mut contents = self.outbox.lock();
        for loss in losses {
            contents.events.push_loss(loss);
        }
        self.sensor
            .maps
            .read_foreign(Clock::look(), |key, reading| {
                alive |= reading.processes > 0;
                contents.table.read(key, reading);
            });
        self.alive = alive;
        let news = contents.table.has_changes() || !contents.events.is_empty();
        drop(contents);
        if news {
            self.outbox.notify();
        }
    }

    fn read_native(&mut self) {
        let mut contents = self.outbox.lock();
        self.sensor
            .maps
            .read_native(SystemTime::now(), |key, reading| {
                contents.table.read(key, reading);
            });
        drop(contents);
        self.outbox.notify();
    }

    /// Samples the CPU time of emulated tasks, if there are any, and looks at everything.
    fn sample(&mut self) {
        if self.sensor.iterates
            && self.sensor.maps.has_tasks()
            && let Err(error) = tasks::iterate(&mut self.sensor.ebpf)
        {
            tracing::warn!(error, "CPU time of live tasks was not sampled");
        }
        self.read_foreign();
    }

    /// Takes in the processes that were there before.
    fn adopt(&mut self) {
        if !self.sensor.iterates {
            return;
        }
        let rules = self.sensor.registry.rules();
        let found = procs::emulated(&self.proc, self.node, rules, &mut self.cgroups);
        if found.is_empty() {
            return;
        }
        tracing::info!(
            processes = found.len(),
            "emulated processes older than the agent"
        );
        for some in found.chunks(MAX_ADOPTED) {
            let groups: Vec<_> = some
                .iter()
                .map(|process| (process.pid, process.cell))
                .collect();
            let Sensor { maps, ebpf, .. } = &mut self.sensor;
            if let Err(error) = maps.adopt(&groups, || tasks::iterate(ebpf)) {
                tracing::warn!(error, "processes older than the agent were not taken in");
                self.losses.add(Stage::TaskMap, groups.len() as u64);
            }
        }
        let now = SystemTime::now();
        for process in found {
            // One that has ended meanwhile, or is known by another counter, has none of its own.
            if self
                .sensor
                .maps
                .read_one(&process.cell, Clock::look())
                .is_none()
            {
                continue;
            }
            if self
                .outbox
                .lock()
                .table
                .name(process.cell, process.key, now)
                .is_err()
            {
                self.losses.add(Stage::FactTable, 1);
            }
        }
        self.read_foreign();
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
