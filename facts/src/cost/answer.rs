//! Sums of CPU time, split by the kind of machine they were used on.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::fact::words;

words! {
    /// What CPU time is summed up by.
    CostDimension, "dimension" {
        /// The cluster's name.
        Cluster = "cluster",
        /// The node's name.
        Node = "node",
        /// The pod's namespace.
        Namespace = "namespace",
        /// The workload as kind and name; of a pod without one `Pod/` and its name, of a process
        /// outside of pods its unit of systemd.
        Workload = "workload",
        /// What machine the node is, such as `m7g.large`.
        InstanceType = "instance-type",
        /// The part of a region that the node is in.
        Zone = "zone",
        /// The day in UTC.
        Day = "day",
    }
}

/// What a store tells: the CPU time of one combination of values on one kind of machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostPart {
    /// One for each dimension asked for, in the order of asking; empty where nothing is known.
    pub values: Vec<String>,
    /// And on how many machines of which kind.
    pub share: Share,
}

/// CPU time that was used on one kind of machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Which kind, such as `m7g.large`; empty if that was never told.
    pub instance_type: String,
    /// How much, in nanoseconds.
    pub cpu_ns: u64,
    /// On how many nodes.
    pub nodes: u64,
}

/// CPU time of one combination of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostRow {
    /// One for each dimension asked for, in the order of asking; empty where nothing is known.
    pub values: Vec<String>,
    /// In nanoseconds: the sum of the shares.
    pub cpu_ns: u64,
    /// By kind of machine, in the order of their names.
    pub shares: Vec<Share>,
}

/// The CPU time that emulation used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Those that used most first; by day, if that is asked for, the oldest day first.
    pub rows: Vec<CostRow>,
    /// How many rows were left out: those that used least.
    pub more_rows: u64,
    /// All of it, rows that were left out included, by kind of machine in the order of their names.
    pub shares: Vec<Share>,
    /// Nodes of which it is not known what machines they are, in order; [`Cost::NAMES`] at most.
    pub untyped_nodes: Vec<String>,
    /// From when on.
    pub since: SystemTime,
    /// Up to when.
    pub until: SystemTime,
}

impl Cost {
    /// How many names of nodes are told.
    pub const NAMES: usize = 100;

    /// Makes an answer of `parts`, which are by `by`, and of `nodes`, the same CPU time by node.
    #[must_use]
    pub fn of(
        parts: Vec<CostPart>,
        nodes: &[CostPart],
        by: &[CostDimension],
        max_rows: usize,
        (since, until): (SystemTime, SystemTime),
    ) -> Self {
        let mut kinds: BTreeMap<String, Share> = BTreeMap::new();
        let mut groups: BTreeMap<Vec<String>, CostRow> = BTreeMap::new();
        for CostPart { values, share } in parts {
            let kind = kinds.entry(share.instance_type.clone()).or_default();
            kind.cpu_ns = kind.cpu_ns.saturating_add(share.cpu_ns);
            let row = groups.entry(values).or_default();
            row.cpu_ns = row.cpu_ns.saturating_add(share.cpu_ns);
            row.shares.push(share);
        }
        let mut untyped = Vec::new();
        for CostPart { values, share } in nodes {
            if share.instance_type.is_empty() {
                untyped.extend(values.last().cloned());
            }
            if let Some(kind) = kinds.get_mut(&share.instance_type) {
                kind.nodes = kind.nodes.saturating_add(share.nodes);
            }
        }
        untyped.sort_unstable();
        untyped.dedup();
        untyped.truncate(Self::NAMES);
        let mut rows: Vec<_> = groups
            .into_iter()
            .map(|(values, row)| CostRow { values, ..row })
            .collect();
        rows.sort_by(|a, b| b.cpu_ns.cmp(&a.cpu_ns).then(a.values.cmp(&b.values)));
        let more_rows = u64::try_from(rows.len().saturating_sub(max_rows)).unwrap_or(u64::MAX);
        rows.truncate(max_rows);
        if let Some(day) = by.iter().position(|by| *by == CostDimension::Day) {
            // Stable: within a day, those that used most stay first.
            rows.sort_by(|a, b| a.values.get(day).cmp(&b.values.get(day)));
        }
        for row in &mut rows {
            row.shares
                .sort_by(|a, b| a.instance_type.cmp(&b.instance_type));
        }
        let shares = kinds.into_iter().map(|(instance_type, share)| Share {
            instance_type,
            ..share
        });
        Self {
            rows,
            more_rows,
            shares: shares.collect(),
            untyped_nodes: untyped,
            since,
            until,
        }
    }

    /// All of it, rows that were left out included, in nanoseconds.
    #[must_use]
    pub fn cpu_ns(&self) -> u64 {
        let shares = self.shares.iter().map(|share| share.cpu_ns);
        shares.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(values: &[&str], instance_type: &str, cpu_ns: u64) -> CostPart {
        CostPart {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            share: Share {
                instance_type: instance_type.to_owned(),
                cpu_ns,
                nodes: 1,
            },
        }
    }

    fn rows(cost: &Cost) -> Vec<(String, u64)> {
        let rows = cost.rows.iter();
        rows.map(|row| (row.values.join(" "), row.cpu_ns)).collect()
    }

    const ALWAYS: (SystemTime, SystemTime) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);

    #[test]
    fn parts_become_rows_and_nothing_is_left_out_of_the_sum() {
        let parts = vec![
            part(&["a"], "m7g.large", 5),
            part(&["b"], "", 4),
            part(&["a"], "c7g.large", 1),
            part(&["c"], "", 1),
        ];
        let nodes = [
            part(&["c", "n2"], "", 3),
            part(&["c", "n1"], "", 2),
            part(&["d", "n2"], "", 1),
            part(&["c", "n3"], "m7g.large", 5),
            part(&["c", "n4"], "c7g.large", 1),
        ];
        let by = [CostDimension::Workload];
        let cost = Cost::of(parts, &nodes, &by, 2, ALWAYS);
        assert_eq!(rows(&cost), [("a".to_owned(), 6), ("b".to_owned(), 4)]);
        assert_eq!(cost.rows[0].shares[0].instance_type, "c7g.large");
        assert_eq!((cost.more_rows, cost.cpu_ns()), (1, 11));
        let kinds: Vec<_> = cost
            .shares
            .iter()
            .map(|kind| (kind.instance_type.as_str(), kind.cpu_ns, kind.nodes))
            .collect();
        assert_eq!(
            kinds,
            [("", 5, 3), ("c7g.large", 1, 1), ("m7g.large", 5, 1)]
        );
        assert_eq!(cost.untyped_nodes, ["n1", "n2"]);
    }

    #[test]
    fn days_come_in_their_order_and_the_rest_by_size() {
        let parts = vec![
            part(&["b", "2026-01-02"], "", 9),
            part(&["a", "2026-01-01"], "", 1),
            part(&["b", "2026-01-01"], "", 2),
        ];
        let by = [CostDimension::Workload, CostDimension::Day];
        let told = rows(&Cost::of(parts, &[], &by, 9, ALWAYS));
        let told: Vec<_> = told.iter().map(|(values, _)| values.as_str()).collect();
        assert_eq!(told, ["b 2026-01-01", "a 2026-01-01", "b 2026-01-02"]);
    }
}
