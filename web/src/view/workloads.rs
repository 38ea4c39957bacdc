//! Which architectures each workload really runs, and how.

use std::collections::BTreeMap;

use archtrace_facts::fact::Mode;
use archtrace_facts::fleet::{Coverage, Summary};
use archtrace_facts::human::count;
use askama::Template;

use super::{Cover, Frame, Name, Pager, cpu, cut};
use crate::link;

#[derive(Template)]
#[template(path = "workloads.html")]
pub(crate) struct Workloads {
    frame: Frame,
    cover: Cover,
    rows: Vec<Row>,
    pager: Pager,
    /// Combinations that did not come with the answer; empty if none.
    left_out: String,
}

struct Row {
    cluster: String,
    namespace: String,
    name: Name,
    verdict: Verdict,
    kinds: Vec<Kind>,
    cpu: String,
}

struct Kind {
    arch: String,
    mode: String,
    pods: String,
}

/// What matters most of a workload; in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Failed,
    Emulated,
    Mixed,
    Native,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Emulated => "emulated",
            Self::Mixed => "several",
            Self::Native => "native",
        }
    }

    fn of(kinds: &[Kind]) -> Self {
        let has = |mode: Mode| kinds.iter().any(|kind| kind.mode == mode.as_str());
        let mut archs: Vec<_> = kinds.iter().map(|kind| &kind.arch).collect();
        archs.sort_unstable();
        archs.dedup();
        match (has(Mode::Failed), has(Mode::Emulated), archs.len()) {
            (true, _, _) => Self::Failed,
            (_, true, _) => Self::Emulated,
            (_, _, 0 | 1) => Self::Native,
            _ => Self::Mixed,
        }
    }
}

impl Workloads {
    /// Of sums by cluster, namespace, workload, architecture and mode.
    pub(crate) fn new(summary: &Summary, coverage: &Coverage, page: usize) -> Self {
        let mut found = BTreeMap::<_, (Vec<Kind>, u64)>::new();
        for row in &summary.rows {
            let [cluster, namespace, workload, arch, mode] = row.values.as_slice() else {
                continue;
            };
            if workload.is_empty() {
                continue;
            }
            let (kinds, cpu_ns) = found.entry((cluster, namespace, workload)).or_default();
            kinds.push(Kind {
                arch: arch.clone(),
                mode: mode.clone(),
                pods: count(row.pods),
            });
            *cpu_ns = cpu_ns.saturating_add(row.cpu_ns);
        }
        let mut rows: Vec<_> = found.into_iter().collect();
        rows.sort_by_cached_key(|(_, (kinds, cpu_ns))| {
            (Verdict::of(kinds), std::cmp::Reverse(*cpu_ns))
        });
        let (rows, pager) = cut(rows, page, link::WORKLOADS);
        let rows = rows.into_iter().map(|(names, (kinds, cpu_ns))| {
            let (cluster, namespace, workload) = names;
            Row {
                cluster: cluster.clone(),
                namespace: namespace.clone(),
                name: Name::workload(cluster, namespace, workload),
                verdict: Verdict::of(&kinds),
                kinds,
                cpu: if cpu_ns == 0 {
                    String::new()
                } else {
                    cpu(cpu_ns)
                },
            }
        });
        Self {
            frame: Frame::new("Workloads", link::WORKLOADS),
            cover: Cover::new(coverage),
            rows: rows.collect(),
            pager,
            left_out: match summary.more_rows {
                0 => String::new(),
                more => count(more),
            },
        }
    }
}
