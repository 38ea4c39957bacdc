//! The watching side: moves what the kernel tells into the outbox.

mod counters;
mod deaths;
mod direct;
mod handlers;
mod looks;
mod losses;
mod old;
mod owners;
mod records;
mod sweep;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use archtrace_ebpf::Item;
use archtrace_ebpf::abi::CellKey;
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{FactKey, Stage};
use archtrace_facts::node::NodeInfo;
use archtrace_sink::Outbox;
use tokio::time::{MissedTickBehavior, interval};

use self::direct::Direct;
use self::handlers::{Changes, changed};
use self::looks::{Looks, Scan, Scans};
use self::losses::Losses;
use self::owners::Launches;
use crate::enrich::audits::Audits;
use crate::enrich::cgroup::Cgroups;
use crate::enrich::clock::Clock;
use crate::enrich::names::{self, Names};
use crate::readable;
use crate::source::interpreters::Interpreters;
use crate::source::sensor::Sensor;
use crate::source::{tasks, usage};

/// Counters of what is not native: exact within a second, so looked at more often than that.
const FOREIGN_INTERVAL: Duration = Duration::from_millis(400);
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

/// Where the watching side looks.
pub(crate) struct Config {
    /// Where procfs is mounted.
    pub(crate) proc: PathBuf,
    /// Where names of pods come from.
    pub(crate) names: names::Config,
    /// Whether images are looked through.
    pub(crate) image_audit: bool,
}

/// What the watching side keeps.
pub(crate) struct Watch {
    sensor: Sensor,
    outbox: Outbox<CellKey>,
    node: Arch,
    page_size: u32,
    runs_32bit: Option<bool>,
    /// Extensions of the CPU's instruction set.
    features: Vec<String>,
    proc: PathBuf,
    cgroups: Cgroups,
    looks: Looks,
    scans: Scans,
    /// Files that were looked through for the marks of an emulator, by inode and device.
    scanned: HashSet<(u64, u32)>,
    /// Those of them that are being looked through, and execs of each that were seen meanwhile.
    scanning: HashMap<(u64, u32), Vec<Scan>>,
    /// Those of them that are emulators.
    emulators: HashSet<(u64, u32)>,
    direct: Direct,
    /// Processes older than the agent that are yet to be looked at.
    old: Vec<u32>,
    /// Processes whose tasks are to count for a guest.
    adopting: Vec<(u32, CellKey)>,
    /// Counters of execs that failed with ENOENT although the file is there (tracepoints only).
    not_found: HashSet<CellKey>,
    interpreters: Interpreters,
    changes: Option<Changes>,
    /// When the last record of anything but a native binary came.
    recorded: Option<Instant>,
    /// Whether emulated processes were alive at the last look.
    alive: bool,
    losses: Losses,
    names: Names,
    /// Questions for names that were dropped when it was last looked.
    names_lost: u64,
    audits: Audits,
    launches: Launches,
    /// Cgroups that the last sweep did not find; gone for good if the next does not either.
    missing: HashSet<u64>,
}

impl Watch {
    /// Has everything looked at that is there already. To be called within a runtime of tokio.
    pub(crate) fn new(
        sensor: Sensor,
        outbox: Outbox<CellKey>,
        node: &NodeInfo,
        config: Config,
    ) -> Self {
        let Config {
            proc,
            names,
            image_audit,
        } = config;
        let audits = Audits::new(&proc, image_audit);
        let cgroups = Cgroups::new(&proc);
        let losses = Losses::new(sensor.attached_at);
        let mut watch = Self {
            sensor,
            outbox,
            node: node.arch,
            page_size: node.page_size,
            runs_32bit: node.runs_32bit,
            features: node.cpu_features.clone(),
            proc,
            cgroups,
            looks: looks::looks(),
            scans: looks::scans(),
            scanned: HashSet::new(),
            scanning: HashMap::new(),
            emulators: HashSet::new(),
            direct: Direct::default(),
            old: Vec::new(),
            adopting: Vec::new(),
            not_found: HashSet::new(),
            interpreters: Interpreters::default(),
            changes: Changes::watch(),
            recorded: None,
            alive: false,
            losses,
            names: Names::start(names),
            names_lost: 0,
            audits,
            launches: Launches::new(),
            missing: HashSet::new(),
        };
        watch.tell_interpreters();
        if !watch.cgroups.is_visible() {
            let line = "cgroup v2 is not mounted: facts have no cgroup".to_owned();
            watch.outbox.lock().preflight.missing.push(line);
        }
        watch.ask_all_old();
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
                (ticket, answer) = self.looks.next() => {
                    self.take_answer(ticket, answer);
                    self.ask_some_old();
                }
                (scan, answer) = self.scans.next() => self.take_scan(&scan, answer),
                news = self.names.next() => self.take_news(news),
                (image, outcome) = self.audits.next() => self.take_audit(&image, outcome),
                () = until(self.direct.next()) => self.look_at_due(),
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
            match Item::split(&bytes) {
                Some(Item::Exec(record, path)) => self.take_record(record, path, clock),
                Some(Item::Signal(signal, path)) => self.take_signal(&signal, path),
                Some(Item::Cgroup(made, path)) => {
                    let path = self.cgroups.learn(made.id, path);
                    self.ask_owner(&path);
                }
                // Never seen; but whatever is dropped is counted.
                None => self.losses.add(Stage::RingBuffer, 1),
            }
        }
        self.outbox.notify();
        true
    }

    /// Names a counter, or counts a loss.
    fn name(&mut self, counter: CellKey, key: FactKey, time: SystemTime) {
        let named = self.outbox.lock().table.name(counter, key, time);
        if named.is_err() {
            self.losses.add(Stage::FactTable, 1);
        }
    }

    /// Takes a reading of one counter.
    fn read_counter(&mut self, counter: CellKey) {
        if let Some(reading) = self.sensor.maps.read_one(&counter, Clock::look()) {
            let reading = self.direct.correct(&counter, reading);
            self.outbox.lock().table.read(counter, reading);
        }
    }

    /// Samples the CPU time of emulated tasks, if there are any, and looks at everything.
    fn sample(&mut self) {
        if self.sensor.iterates
            && self.sensor.maps.has_tasks()
            && let Err(error) = tasks::iterate(&mut self.sensor.ebpf)
        {
            tracing::warn!(error, "CPU time of live tasks was not sampled");
        }
        self.look_after_owners();
        self.read_foreign();
        let usage = usage::read(&self.proc, self.page_size);
        let mut contents = self.outbox.lock();
        contents.usage = usage.unwrap_or(contents.usage);
        contents.looked = Some(Instant::now());
    }
}

/// Waits until then; for ever if there is no such time.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
