//! The fleet in numbers, for a page that machines read.

use std::collections::BTreeMap;

use archtrace_facts::arch::Arch;
use archtrace_facts::finding::{Id, Severity};
use archtrace_facts::fleet::{Coverage, Dimension, ExpectedNodes, NodeState, Summary, Totals};
use archtrace_facts::select::Selection;
use tonic::Status;

use super::{Inner, Query, ask};
use crate::findings::{Findings, Wanted, evidence};
use crate::live::State;
use crate::live::summary::summarize;
use crate::live::table::Table;
use crate::read::Read;

/// The fleet in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Sums over the facts that agents keep now, by [`Measured::BY`]; all of them.
    pub sums: Summary,
    /// Nodes, by architecture and how sure this is of them.
    pub nodes: BTreeMap<(Arch, &'static str), u64>,
    /// Sums over everything that is stored.
    pub totals: Totals,
}

impl Measured {
    /// What sums are taken by.
    pub const BY: [Dimension; 4] = [
        Dimension::Namespace,
        Dimension::Workload,
        Dimension::Mode,
        Dimension::Arch,
    ];
}

impl<S: Read> Query<S> {
    /// Whether answers can be given now.
    ///
    /// # Errors
    /// Why not, in words for people.
    pub fn is_ready(&self) -> Result<(), String> {
        match *self.inner.live.state().borrow() {
            State::Current { .. } => Ok(()),
            State::Loading => Err("facts are still being read from the store".to_owned()),
            State::Away => Err("the store does not answer".to_owned()),
        }
    }

    /// The fleet in numbers, as of now.
    ///
    /// # Errors
    /// If facts are still being read, or the store does not answer.
    pub async fn measure(&self) -> Result<Measured, Status> {
        self.is_ready().map_err(Status::unavailable)?;
        let Inner {
            store,
            settings,
            live,
            ..
        } = &*self.inner;
        let facts = live.loaded().await?;
        let expected = settings.expected.nodes();
        // Some milliseconds of work, which others should not wait for.
        let summed = tokio::task::spawn_blocking(move || {
            let table = facts.table();
            let everything = Selection::default();
            let sums = summarize(&table, &everything, &Measured::BY, usize::MAX);
            (sums, nodes(&table, &expected))
        });
        let totals = store.totals(self.inner.alive_since()).await;
        let (sums, nodes) = summed
            .await
            .map_err(|error| Status::internal(format!("the sums failed: {error}")))?;
        Ok(Measured {
            sums,
            nodes,
            totals: totals.map_err(ask::unavailable)?,
        })
    }

    /// How many findings there are of each kind; those of which there are none are left out.
    ///
    /// # Errors
    /// If facts are still being read, or the store does not answer.
    pub async fn count_findings(&self) -> Result<BTreeMap<Id, u64>, Status> {
        self.is_ready().map_err(Status::unavailable)?;
        let facts = self.inner.live.loaded().await?;
        let recent = facts.recent(self.inner.alive_since()).await;
        let recent = recent.map_err(ask::unavailable)?;
        let counted = tokio::task::spawn_blocking(move || {
            let (ids, least) = (Vec::new(), Severity::Info);
            let mut findings = Findings::new(Wanted { ids, least });
            let everything = Selection::default();
            for fact in facts.table().facts() {
                if let Some(evidence) = evidence::of_fact(&fact, &everything) {
                    findings.add(evidence);
                }
            }
            recent.add(&everything, &mut findings);
            findings.counts()
        });
        counted
            .await
            .map_err(|error| Status::internal(format!("finding failed: {error}")))
    }
}

/// Nodes by architecture and state. Of those that never reported the architecture is not known.
fn nodes(table: &Table, expected: &ExpectedNodes) -> BTreeMap<(Arch, &'static str), u64> {
    let mut by_arch: BTreeMap<Arch, Vec<_>> = BTreeMap::new();
    for node in &table.nodes {
        let heard = (table.texts.text(node.cluster), &*node.name, node.current);
        by_arch.entry(node.arch).or_default().push(heard);
    }
    let mut counts = BTreeMap::new();
    for (arch, heard) in &by_arch {
        let Coverage {
            reporting, stale, ..
        } = Coverage::of(heard, expected, &[]);
        counts.insert((*arch, NodeState::Reporting.as_str()), reporting);
        counts.insert((*arch, NodeState::Stale.as_str()), stale);
    }
    let all: Vec<_> = by_arch.into_values().flatten().collect();
    let Coverage { unknown, .. } = Coverage::of(&all, expected, &[]);
    counts.insert((Arch::Unknown, NodeState::Unknown.as_str()), unknown);
    counts
}
