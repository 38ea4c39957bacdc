//! One page.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{FactId, Mode, Stage};
use archtrace_facts::identity::of_cgroup;
use archtrace_facts::node::{Health, Preflight};
use archtrace_metrics::{Names, Page, Sheet, Workloads};
use archtrace_sink::outbox::{Contents, Link};
use archtrace_sink::{Identity, Outbox};

use super::names;

/// Series that one combination of namespace, workload, mode and architecture has at most.
const SERIES: usize = 2;

/// Facts that are looked at while the outbox is locked: some ten microseconds.
const AT_ONCE: usize = 256;

/// The watching side looks at everything every five seconds; so long without a look, and it hangs.
const LOOKED_WITHIN: Duration = Duration::from_secs(30);

/// This node, for Prometheus.
pub(super) struct Node<C> {
    version: String,
    kernel: String,
    arch: Arch,
    attached_at: SystemTime,
    outbox: Outbox<C>,
    workloads: Mutex<Workloads>,
}

impl<C> Node<C> {
    pub(super) fn new(identity: &Identity, outbox: Outbox<C>, max_series: usize) -> Self {
        let node = &identity.node;
        Self {
            version: node.agent_version.clone(),
            kernel: node.kernel_release.clone(),
            arch: node.arch,
            attached_at: identity.attached_at,
            outbox,
            workloads: Mutex::new(Workloads::new(max_series / SERIES)),
        }
    }

    /// Each change of them is one of numbers, so that a panic elsewhere does not matter here.
    fn workloads(&self) -> MutexGuard<'_, Workloads> {
        self.workloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Copy + Eq + Hash + Send + 'static> Page for Node<C> {
    async fn metrics(&self) -> String {
        let present = self.present().await;
        let mut sheet = Sheet::default();
        self.show_node(&mut sheet);
        self.show_workloads(&mut sheet, present);
        let contents = self.outbox.lock();
        show_execs(&mut sheet, &contents);
        show_preflight(&mut sheet, &contents.report());
        show_losses(&mut sheet, &contents);
        show_health(&mut sheet, &contents.health());
        show_link(&mut sheet, &contents.link);
        drop(contents);
        sheet.into_text()
    }

    /// A node without a collector is watched all the same.
    fn ready(&self) -> Result<(), String> {
        match self.outbox.lock().looked {
            Some(looked) if looked.elapsed() < LOOKED_WITHIN => Ok(()),
            Some(looked) => Err(format!(
                "nobody has looked at the counters for {} s",
                looked.elapsed().as_secs()
            )),
            None => Err("the first look at the counters is yet to come".to_owned()),
        }
    }
}

impl<C: Copy + Eq + Hash> Node<C> {
    /// Facts and processes by workload. Others get their turn in between.
    async fn present(&self) -> BTreeMap<Names, [u64; 3]> {
        let ids: Vec<_> = self.outbox.lock().table.ids().collect();
        let mut present = BTreeMap::new();
        for ids in ids.chunks(AT_ONCE) {
            self.add_some(ids, &mut present);
            tokio::task::yield_now().await;
        }
        present
    }

    fn add_some(&self, ids: &[FactId], present: &mut BTreeMap<Names, [u64; 3]>) {
        let contents = self.outbox.lock();
        // One that is gone meanwhile is not counted.
        for fact in ids.iter().filter_map(|id| contents.table.fact(*id)) {
            let key = &fact.key;
            let names = match contents.owners.owner(&key.cgroup) {
                Some(owner) => Names::new(&owner.namespace, &owner.workload, key.mode, key.arch),
                None => {
                    let owner = of_cgroup(&key.cgroup);
                    Names::new(&owner.namespace, &owner.workload, key.mode, key.arch)
                }
            };
            let [facts, _, processes] = present.entry(names).or_default();
            *facts += 1;
            *processes += fact.processes;
        }
    }

    fn show_node(&self, sheet: &mut Sheet) {
        let labels = vec![
            ("version", self.version.clone().into()),
            ("kernel", self.kernel.clone().into()),
            ("arch", self.arch.word().into()),
        ];
        sheet.many(&names::INFO, [(labels, 1_u64)]);
        sheet.one(&names::STARTED, seconds(self.attached_at));
    }

    fn show_workloads(&self, sheet: &mut Sheet, present: BTreeMap<Names, [u64; 3]>) {
        let mut workloads = self.workloads();
        workloads.take(Instant::now(), present);
        // What is gone is shown by whoever is asked over time; the agent is a guest and keeps its page short.
        let rows = || workloads.rows().filter(|(_, row)| row.facts > 0);
        let facts = rows().map(|(names, row)| (names.labels(), row.facts));
        sheet.many(&names::FACTS, facts);
        let emulated = rows().filter(|(names, _)| names.mode == Mode::Emulated);
        let processes = emulated.map(|(names, row)| (names.labels(), row.processes));
        sheet.many(&names::PROCESSES, processes);
        sheet.one(&names::SERIES, workloads.own());
        sheet.one(&names::OVERFLOW, workloads.overflow());
    }
}

fn show_execs<C: Copy + Eq + Hash>(sheet: &mut Sheet, contents: &Contents<C>) {
    let totals = contents.table.totals();
    let execs = totals.iter().map(|((mode, arch), total)| {
        let labels = vec![("mode", mode.as_str().into()), ("arch", (*arch).into())];
        (labels, total.execs)
    });
    sheet.many(&names::EXECS, execs);
    let emulated = totals
        .iter()
        .filter(|((mode, _), _)| *mode == Mode::Emulated);
    let cpu = emulated.map(|((_, arch), total)| {
        let cpu = Duration::from_nanos(total.cpu_ns);
        (*arch, cpu.as_secs_f64())
    });
    sheet.by(&names::EMULATED, "arch", cpu);
}

fn show_preflight(sheet: &mut Sheet, preflight: &Preflight) {
    let Preflight {
        hooks,
        missing,
        handlers,
        binfmt: _,
        uncovered,
        names: _,
    } = preflight;
    let mut emulators: BTreeMap<&'static str, u64> = BTreeMap::new();
    let enabled = handlers.iter().filter(|handler| handler.enabled);
    for arch in enabled.filter_map(|handler| handler.arch) {
        *emulators.entry(arch.word()).or_default() += 1;
    }
    sheet.by(&names::EMULATORS, "arch", emulators);
    let mut runtimes: BTreeMap<String, u64> = BTreeMap::new();
    for sandbox in uncovered {
        *runtimes.entry(sandbox.runtime.clone()).or_default() += 1;
    }
    sheet.by(&names::UNCOVERED, "runtime", runtimes);
    let tiers = hooks.iter().map(|hook| {
        let labels = vec![
            ("hook", hook.name.clone().into()),
            ("mechanism", hook.mechanism.clone().into()),
        ];
        (labels, u64::from(hook.tier))
    });
    sheet.many(&names::TIER, tiers);
    let proven = hooks.iter().map(|hook| (hook.name.clone(), hook.proven));
    sheet.by(&names::PROVEN, "hook", proven);
    sheet.one(&names::MISSING, missing.len());
}

fn show_losses<C: Copy + Eq + Hash>(sheet: &mut Sheet, contents: &Contents<C>) {
    let lost = contents.events.lost();
    let stages = Stage::ALL.iter().map(|stage| {
        let count = lost.get(stage.as_str()).copied().unwrap_or(0);
        (stage.as_str(), count)
    });
    // That no agent was attached is told by who holds both ends: the collector.
    let stages = stages.filter(|(stage, _)| *stage != Stage::AgentDown.as_str());
    sheet.by(&names::LOSSES, "stage", stages);
}

fn show_health(sheet: &mut Sheet, health: &Health) {
    let Health {
        resident_bytes,
        cpu_ns,
        queued_records,
        spooled_bytes,
        spool,
    } = health;
    sheet.one(&names::RESIDENT, *resident_bytes);
    sheet.one(&names::USED, Duration::from_nanos(*cpu_ns).as_secs_f64());
    sheet.one(&names::QUEUED, *queued_records);
    sheet.one(&names::SPOOLED, *spooled_bytes);
    sheet.one(&names::ON_DISK, spool == "disk");
}

fn show_link(sheet: &mut Sheet, link: &Link) {
    let Link {
        connected,
        streams,
        failures,
        resyncs,
        throttles,
        stored_at,
    } = *link;
    sheet.one(&names::CONNECTED, connected);
    sheet.one(&names::STREAMS, streams);
    sheet.one(&names::FAILURES, failures);
    sheet.one(&names::RESYNCS, resyncs);
    sheet.one(&names::THROTTLES, throttles);
    sheet.one(&names::STORED, stored_at.map_or(0.0, seconds));
}

/// Since 1970.
fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests;
