//! The watching side: moves what the kernel tells into the outbox.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use archtrace_ebpf::abi::{CellKey, Record, mode, stat};
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Loss, Stage};
use nix::sys::inotify::Inotify;
use tokio::io::unix::AsyncFd;
use tokio::time::{MissedTickBehavior, interval};

use crate::enrich::cgroup::Cgroups;
use crate::enrich::clock::Clock;
use crate::enrich::exec;
use crate::readable;
use crate::sink::outbox::Outbox;
use crate::source::interpreters::Interpreters;
use crate::source::registry::{self, Registry};
use crate::source::sensor::{Sensor, describe_registry};
use crate::source::stats::Stats;
use crate::source::{procs, tasks};

/// Counters of what is not native: exact within a second, so looked at more often than that.
const FOREIGN_INTERVAL: Duration = Duration::from_millis(400);
/// Counters of native binaries, which may be thousands.
const NATIVE_INTERVAL: Duration = Duration::from_secs(20);
/// CPU time of emulated tasks that are alive: a look at every task of the node.
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
    stats: Stats,
    stats_read: SystemTime,
    /// Cgroups that the last sweep did not find; gone for good if the next does not either.
    missing: HashSet<u64>,
}

impl Watch {
    /// `proc` is where procfs is mounted.
    pub(crate) fn new(sensor: Sensor, outbox: Outbox, node: Arch, proc: PathBuf) -> Self {
        let cgroups = Cgroups::new(&proc);
        let stats = sensor.maps.stats().unwrap_or_default();
        let mut watch = Self {
            sensor,
            outbox,
            node,
            proc,
            cgroups,
            interpreters: Interpreters::default(),
            stats,
            stats_read: SystemTime::now(),
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
        let mut changes = watch_registry();
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
                () = changed(changes.as_ref()) => self.read_registry(),
                _ = foreign.tick() => self.read_foreign(),
                _ = native.tick() => self.read_native(),
                _ = sample.tick() => self.sample(),
                _ = reread.tick() => {
                    self.read_registry();
                    if changes.is_none() {
                        changes = watch_registry();
                    }
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
                None => tracing::error!(len = bytes.len(), "a record that does not parse"),
            }
        }
        self.outbox.notify();
        true
    }

    fn take_record(&mut self, record: &Record, path: &[u8], clock: Clock) {
        if record.key.mode == mode::INTERPRETED {
            // Asked what an interpreter is; the answer must not be older than the question.
            self.read_registry();
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
            self.lose(Stage::FactTable, 1);
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

    fn read_foreign(&mut self) {
        self.read_stats();
        let mut contents = self.outbox.lock();
        self.sensor
            .maps
            .read_foreign(Clock::look(), |key, reading| {
                contents.table.read(key, reading);
            });
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

    /// Samples the CPU time of emulated tasks, if there are any.
    fn sample(&mut self) {
        if self.sensor.iterates && self.sensor.maps.has_tasks() {
            if let Err(error) = tasks::iterate(&mut self.sensor.ebpf) {
                tracing::warn!(error, "CPU time of live tasks was not sampled");
            }
            self.read_foreign();
        }
    }

    /// What the programs dropped since the last look.
    fn read_stats(&mut self) {
        let now = SystemTime::now();
        match self.sensor.maps.stats() {
            Ok(stats) => {
                let before = std::mem::replace(&mut self.stats, stats);
                for (stage, index) in LOSSES {
                    let lost = stats[index as usize].saturating_sub(before[index as usize]);
                    if lost > 0 {
                        self.lose(stage, lost);
                    }
                }
            }
            Err(error) => tracing::error!(error, "losses in the kernel are not known"),
        }
        self.stats_read = now;
    }

    fn lose(&mut self, stage: Stage, count: u64) {
        tracing::warn!(%stage, count, "records were lost");
        let loss = Loss {
            stage,
            count,
            since: self.stats_read,
            until: SystemTime::now(),
        };
        self.outbox.lock().events.push_loss(loss);
    }

    fn read_registry(&mut self) {
        let registry = registry::read();
        if registry == self.sensor.registry {
            return;
        }
        if let Registry::Seen(rules) = &registry {
            tracing::info!(handlers = rules.len(), "binfmt_misc changed");
        }
        describe_registry(&mut self.outbox.lock().preflight, &registry);
        self.sensor.registry = registry;
        self.tell_interpreters();
    }

    fn tell_interpreters(&mut self) {
        let table = self
            .interpreters
            .table(self.sensor.hash_seed, self.sensor.registry.rules());
        self.sensor.maps.set_interpreters(&table);
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
        let groups: Vec<_> = found
            .iter()
            .map(|process| (process.pid, process.cell))
            .collect();
        let Sensor { maps, ebpf, .. } = &mut self.sensor;
        if let Err(error) = maps.adopt(&groups, || tasks::iterate(ebpf)) {
            tracing::warn!(error, "processes older than the agent were not taken in");
            return;
        }
        let now = SystemTime::now();
        for process in found {
            if self
                .outbox
                .lock()
                .table
                .name(process.cell, process.key, now)
                .is_err()
            {
                self.lose(Stage::FactTable, 1);
            }
        }
        self.read_foreign();
    }

    /// Gives up the counters of cgroups that are gone, so that a node that runs for months does
    /// not fill its maps with the dead. Twice missing, because a walk may just miss one.
    fn sweep(&mut self) {
        let alive: HashSet<u64> = self.cgroups.walk().keys().copied().collect();
        if alive.is_empty() {
            return;
        }
        let mut dead = Vec::new();
        let mut missing = HashSet::new();
        let mut contents = self.outbox.lock();
        let look = |key: CellKey, processes: u64| {
            if !alive.contains(&key.cgroup) && processes == 0 {
                if self.missing.contains(&key.cgroup) {
                    dead.push(key);
                }
                missing.insert(key.cgroup);
            }
        };
        self.sensor.maps.each_key(look);
        for key in &dead {
            // What it counted last must be in its fact before it goes.
            if let Some(reading) = self.sensor.maps.read_one(key, Clock::look()) {
                contents.table.read(*key, reading);
            }
            contents.table.forget(*key);
            self.sensor.maps.remove(key);
        }
        drop(contents);
        self.missing = missing;
        self.outbox.notify();
    }
}

/// Which statistic means a loss, and where.
const LOSSES: [(Stage, u32); 6] = [
    (Stage::KernelMap, stat::OTHER_NATIVE),
    (Stage::KernelMap, stat::OTHER_FOREIGN),
    (Stage::RingBuffer, stat::LOST_RING),
    (Stage::InFlight, stat::LOST_FLIGHT),
    (Stage::TaskMap, stat::LOST_TASK),
    (Stage::ProgramMissed, stat::MISSED_RETURN),
];

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// A handle that tells of changes of the registry, where the kernel does.
struct Changes {
    inotify: Inotify,
    readable: AsyncFd<OwnedFd>,
}

fn watch_registry() -> Option<Changes> {
    let inotify = registry::watch()?;
    let readable = readable::watch(&inotify).ok()?;
    Some(Changes { inotify, readable })
}

/// Waits until the registry was written to; for ever where that is not told.
async fn changed(changes: Option<&Changes>) {
    let Some(Changes { inotify, readable }) = changes else {
        return std::future::pending().await;
    };
    if let Ok(mut ready) = readable.readable().await {
        // What changed does not matter: all of it is read again.
        while inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
        ready.clear_ready();
    }
}
