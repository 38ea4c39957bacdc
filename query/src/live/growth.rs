//! How facts grow, for whoever counts it.
//!
//! A fact's numbers are sums that go away with it. What is counted here is each step from one number to the
//! next, under the names that are known at that moment, so that counters never go back: neither when a fact
//! ends, nor when its names come late, nor when an agent starts again.

use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Mode;

use super::table::Table;
use crate::read::FactChange;

/// Takes in how facts grow.
pub trait Counter: Send + Sync + 'static {
    /// A fact grew. Called by the one task that follows the store, while others wait for it.
    fn grew(&self, growth: Growth<'_>);
}

/// From one number of a fact to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth<'a> {
    /// The pod's namespace, as far as it is known now.
    pub namespace: &'a str,
    /// What the pod belongs to, as far as that is known now.
    pub workload: &'a str,
    /// How the binary ran.
    pub mode: Mode,
    /// Its instruction set.
    pub arch: Arch,
    /// Execs.
    pub execs: u64,
    /// Emulated CPU time in nanoseconds.
    pub cpu_ns: u64,
}

/// A node's clock may be so much behind. A fact that is known to be new counts from its first exec on; one
/// that was there before and comes back has a history that was counted already, or nobody knows.
const CLOCKS: Duration = Duration::from_secs(60);

/// What `change` adds to what the table holds, which does not have it yet. `looked` is when changes were
/// looked for before.
pub(super) fn of<'a>(
    table: &Table,
    change: &'a FactChange,
    looked: SystemTime,
) -> Option<Growth<'a>> {
    let (fact, identity) = (&change.fact.fact, &change.fact.identity);
    let node = table.node(change.node)?;
    let row = node.rows.binary_search_by_key(&change.id, |row| row.id);
    let row = row.ok().and_then(|i| node.rows.get(i));
    let (count, cpu_ns) = match row {
        Some(row) => (row.count, row.cpu_ns),
        None if fact.first_seen + CLOCKS >= looked => (0, 0),
        None => return None,
    };
    let growth = Growth {
        namespace: &identity.namespace,
        workload: &identity.workload,
        mode: fact.key.mode,
        arch: fact.key.arch,
        execs: fact.count.saturating_sub(count),
        cpu_ns: fact.cpu_ns.saturating_sub(cpu_ns),
    };
    (growth.execs > 0 || growth.cpu_ns > 0).then_some(growth)
}
