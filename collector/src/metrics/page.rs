//! One page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Mode, Stage};
use archtrace_facts::finding::Id;
use archtrace_facts::fleet::{LossTotal, NodeState, SummaryRow, Totals};
use archtrace_metrics::{Names, Page, Sheet, Workloads};
use archtrace_query::{Counter, Growth, Measured, Query};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Own, Requests, names, process};
use crate::accept::Places;
use crate::kubernetes;
use crate::refusals::Refusals;
use crate::store::Store;

/// Series that one combination of namespace, workload, mode and architecture has at most.
const SERIES: usize = 5;

/// How old the number of findings may be: it takes a look at all images and nodes, half a second of CPU
/// time where there are ten thousand, and changes slowly.
const FINDINGS_AGE: Duration = Duration::from_secs(60);

/// Numbers by workload, counted from the start on.
#[derive(Debug)]
pub(crate) struct Counting {
    workloads: Mutex<Workloads>,
    most: usize,
}

impl Counting {
    /// In so many series.
    pub(crate) fn new(max_series: usize) -> Self {
        let most = max_series / SERIES;
        Self {
            workloads: Mutex::new(Workloads::new(most)),
            most,
        }
    }

    /// Each change of them is one of numbers, so that a panic elsewhere does not matter here.
    fn lock(&self) -> MutexGuard<'_, Workloads> {
        self.workloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counter for Counting {
    fn grew(&self, growth: Growth<'_>) {
        let Growth {
            namespace,
            workload,
            mode,
            arch,
            execs,
            cpu_ns,
        } = growth;
        let names = Names::new(namespace, workload, mode, arch);
        self.lock().count(names, execs, cpu_ns);
    }
}

/// All that a page is made of.
pub(crate) struct Fleet<S> {
    pub(crate) query: Query<S>,
    pub(crate) own: Arc<Own>,
    pub(crate) requests: Requests,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) places: Places,
    pub(crate) kubernetes: Arc<kubernetes::Counts>,
    pub(crate) counting: Arc<Counting>,
    pub(crate) shutdown: CancellationToken,
    /// As of when, and how many of each.
    pub(crate) findings: tokio::sync::Mutex<Option<(Instant, BTreeMap<Id, u64>)>>,
}

impl<S: Store> Page for Fleet<S> {
    async fn metrics(&self) -> String {
        let mut sheet = Sheet::default();
        let measured = self.query.measure().await;
        sheet.one(&names::CURRENT, measured.is_ok());
        match measured {
            Ok(measured) => {
                self.show_fleet(&mut sheet, &measured);
                self.show_findings(&mut sheet).await;
            }
            // What is not known is left out: a number of a while ago would look like one of now.
            Err(status) => debug!(why = status.message(), "nothing is told of the fleet"),
        }
        self.show_own(&mut sheet);
        sheet.into_text()
    }

    fn ready(&self) -> Result<(), String> {
        if self.shutdown.is_cancelled() {
            return Err("the collector is shutting down".to_owned());
        }
        self.query.is_ready()
    }
}

impl<S: Store> Fleet<S> {
    fn show_fleet(&self, sheet: &mut Sheet, measured: &Measured) {
        let Measured {
            sums,
            nodes,
            totals,
        } = measured;
        let present = sums.rows.iter().filter_map(present);
        let mut workloads = self.counting.lock();
        workloads.take(Instant::now(), present);
        show_workloads(sheet, &workloads);
        sheet.one(&names::SERIES, workloads.own());
        sheet.one(&names::MOST_SERIES, self.counting.most);
        sheet.one(&names::OVERFLOW, workloads.overflow());
        drop(workloads);
        show_nodes(sheet, nodes);
        show_totals(sheet, totals);
    }

    async fn show_findings(&self, sheet: &mut Sheet) {
        let mut findings = self.findings.lock().await;
        let is_new = |(at, _): &(Instant, _)| at.elapsed() < FINDINGS_AGE;
        if !findings.as_ref().is_some_and(is_new) {
            let counted = self.query.count_findings().await;
            *findings = counted.ok().map(|counts| (Instant::now(), counts));
        }
        let Some((_, counts)) = &*findings else {
            return;
        };
        let all = Id::ALL.iter().map(|id| {
            let severity = id.entry().map_or("", |entry| entry.severity.as_str());
            let labels = vec![
                ("finding", id.as_str().into()),
                ("severity", severity.into()),
            ];
            (labels, counts.get(id).copied().unwrap_or(0))
        });
        sheet.many(&names::FINDINGS, all);
    }

    fn show_own(&self, sheet: &mut Sheet) {
        self.own.show(sheet);
        self.requests.show(sheet);
        self.kubernetes.show(sheet);
        sheet.by(&names::REFUSALS, "reason", self.refusals.all());
        sheet.one(&names::CONNECTIONS, self.places.taken());
        sheet.one(&names::MOST_CONNECTIONS, self.places.most());
        if let Some(bytes) = process::resident_bytes() {
            sheet.one(&names::RESIDENT, bytes);
        }
        if let Some(cpu) = process::cpu() {
            sheet.one(&names::USED, cpu.as_secs_f64());
        }
    }
}

/// A row of [`Measured::sums`].
fn present(row: &SummaryRow) -> Option<(Names, [u64; 3])> {
    let [namespace, workload, mode, arch] = row.values.as_slice() else {
        return None;
    };
    let names = Names::new(namespace, workload, mode.parse().ok()?, arch.parse().ok()?);
    Some((names, [row.facts, row.pods, row.processes]))
}

fn show_workloads(sheet: &mut Sheet, workloads: &Workloads) {
    let rows = || workloads.rows();
    // Only these have processes and CPU time that anybody counts.
    let emulated = || rows().filter(|(names, _)| names.mode == Mode::Emulated);
    let facts = rows().map(|(names, row)| (names.labels(), row.facts));
    sheet.many(&names::FACTS, facts);
    let pods = rows().map(|(names, row)| (names.labels(), row.pods));
    sheet.many(&names::PODS, pods);
    let processes = emulated().map(|(names, row)| (names.labels(), row.processes));
    sheet.many(&names::PROCESSES, processes);
    let execs = rows().map(|(names, row)| (names.labels(), row.execs));
    sheet.many(&names::EXECS, execs);
    let cpu = emulated().map(|(names, row)| {
        let seconds = Duration::from_nanos(row.cpu_ns).as_secs_f64();
        (names.labels(), seconds)
    });
    sheet.many(&names::CPU, cpu);
}

/// Also of architectures that have no nodes yet: a rule about arm64 nodes is to hold before the first.
fn show_nodes(sheet: &mut Sheet, nodes: &BTreeMap<(Arch, &'static str), u64>) {
    let mut counts = BTreeMap::new();
    for arch in [Arch::Amd64, Arch::Arm64] {
        for state in [NodeState::Reporting, NodeState::Stale] {
            counts.insert((arch.word(), state.as_str()), 0);
        }
    }
    for ((arch, state), count) in nodes {
        *counts.entry((arch.word(), *state)).or_insert(0) += count;
    }
    let series = counts.into_iter().map(|((arch, state), count)| {
        let labels = vec![("arch", arch.into()), ("state", state.into())];
        (labels, count)
    });
    sheet.many(&names::NODES, series);
}

fn show_totals(sheet: &mut Sheet, totals: &Totals) {
    let Totals {
        bytes,
        nodes_reporting: _,
        nodes_stale: _,
        facts,
        emulated_facts: _,
        failed_facts: _,
        events,
        unexplained_gap,
        losses,
    } = totals;
    sheet.by(&names::LOSSES, "stage", by_stage(losses));
    sheet.one(&names::GAP, *unexplained_gap);
    sheet.one(&names::STORED, *bytes);
    sheet.one(&names::STORED_FACTS, *facts);
    sheet.one(&names::STORED_EVENTS, *events);
}

/// Stages that only a newer agent knows are one.
fn by_stage(losses: &[LossTotal]) -> BTreeMap<&'static str, u64> {
    let stages = Stage::ALL.iter().map(|stage| (stage.as_str(), 0));
    let mut counts: BTreeMap<_, u64> = stages.collect();
    for loss in losses {
        let stage = loss.stage.parse().map_or("other", Stage::as_str);
        let count = counts.entry(stage).or_default();
        *count = count.saturating_add(loss.count);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_that_nobody_knows_are_one() {
        let loss = |stage: &str, count| LossTotal {
            stage: stage.to_owned(),
            count,
            records: 1,
        };
        let counts = by_stage(&[loss("spool", 3), loss("new", 1), loss("newer", 2)]);
        assert_eq!((counts["spool"], counts["other"]), (3, 3));
        assert_eq!(counts.len(), Stage::ALL.len() + 1);
    }
}
