//! Sums over all nodes, by kind, kept up to date with every node that changes.

use super::super::texts::index;
use super::node::Cell;

/// Sums over facts. Numbers of hostile agents do not overflow them, so that what was added can be taken
/// away again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KindSum {
    pub(crate) facts: u64,
    processes: u128,
    count: u128,
    cpu_ns: u128,
}

impl KindSum {
    pub(crate) fn processes(&self) -> u64 {
        narrow(self.processes)
    }

    pub(crate) fn count(&self) -> u64 {
        narrow(self.count)
    }

    pub(crate) fn cpu_ns(&self) -> u64 {
        narrow(self.cpu_ns)
    }
}

fn narrow(sum: u128) -> u64 {
    u64::try_from(sum).unwrap_or(u64::MAX)
}

/// By kind.
#[derive(Debug, Default)]
pub(crate) struct KindSums(Vec<KindSum>);

impl KindSums {
    /// Sums over all facts of each kind.
    pub(crate) fn all(&self) -> &[KindSum] {
        &self.0
    }

    /// Adds what a node has; its processes count if it reports now.
    pub(super) fn add(&mut self, cells: &[Cell], current: bool) {
        for cell in cells {
            let sum = self.sum(cell.kind);
            sum.facts += u64::from(cell.facts);
            sum.count += u128::from(cell.count);
            sum.cpu_ns += u128::from(cell.cpu_ns);
            sum.processes += processes(cell, current);
        }
    }

    /// Takes away what was added.
    pub(super) fn take(&mut self, cells: &[Cell], current: bool) {
        for cell in cells {
            let sum = self.sum(cell.kind);
            sum.facts -= u64::from(cell.facts);
            sum.count -= u128::from(cell.count);
            sum.cpu_ns -= u128::from(cell.cpu_ns);
            sum.processes -= processes(cell, current);
        }
    }

    fn sum(&mut self, kind: u32) -> &mut KindSum {
        let kind = index(kind);
        if kind >= self.0.len() {
            self.0.resize(kind + 1, KindSum::default());
        }
        &mut self.0[kind]
    }
}

fn processes(cell: &Cell, current: bool) -> u128 {
    if current { cell.processes.into() } else { 0 }
}
