//! Sums of CPU time, split by the kind of machine they were used on.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::prices::{Bill, Money, PriceTable, Slowdown};
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
    /// What it cost, if that kind has a price.
    pub price: Option<SharePrice>,
}

/// What CPU time on one kind of machine cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharePrice {
    /// All of it.
    pub cost: Money,
    /// A CPU second.
    pub cpu_second: Money,
}

/// How CPU time becomes money.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pricing {
    /// What machines cost; nothing is told of money if `None`.
    pub prices: Option<PriceTable>,
    /// What emulation is compared with; nothing is told of what could be avoided if `None`.
    pub slowdown: Option<Slowdown>,
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
    /// What it cost, if anybody asked.
    pub bill: Option<Bill>,
    /// What native execution would not have used of it, in nanoseconds, if anybody asked.
    pub avoidable_cpu_ns: Option<u64>,
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
    /// What all of it cost, if anybody asked.
    pub bill: Option<Bill>,
    /// What native execution would not have used of all of it, in nanoseconds, if anybody asked.
    pub avoidable_cpu_ns: Option<u64>,
    /// What money is in; empty if nobody asked for any.
    pub currency: String,
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
            bill: None,
            avoidable_cpu_ns: None,
            currency: String::new(),
        }
    }

    /// The same with what it was worth.
    #[must_use]
    pub fn priced(mut self, pricing: &Pricing) -> Self {
        let Pricing { prices, slowdown } = pricing;
        let (cpu_ns, slowdown) = (self.cpu_ns(), *slowdown);
        let avoidable = |cpu_ns| slowdown.map(|factor| factor.avoidable_cpu(cpu_ns));
        self.avoidable_cpu_ns = avoidable(cpu_ns);
        for row in &mut self.rows {
            row.avoidable_cpu_ns = avoidable(row.cpu_ns);
        }
        let Some(prices) = prices else {
            return self;
        };
        self.currency.clone_from(&prices.currency);
        self.bill = Some(prices.bill(&self.shares, slowdown));
        for share in &mut self.shares {
            share.price = prices.of(share);
        }
        for row in &mut self.rows {
            row.bill = Some(prices.bill(&row.shares, slowdown));
            for share in &mut row.shares {
                share.price = prices.of(share);
            }
        }
        self
    }

    /// What has no price, though somebody asked for money.
    pub fn without_price(&self) -> impl Iterator<Item = &Share> {
        let asked = self.bill.is_some();
        let shares = self.shares.iter();
        shares.filter(move |share| asked && share.price.is_none())
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
    use super::super::Price;
    use super::*;

    fn part(values: &[&str], instance_type: &str, cpu_ns: u64) -> CostPart {
        CostPart {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            share: Share {
                instance_type: instance_type.to_owned(),
                cpu_ns,
                nodes: 1,
                price: None,
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

    #[test]
    fn money_is_that_of_all_rows_and_says_what_is_not_in_it() {
        let price = |per_hour| Price::new(per_hour, 1).expect("a price");
        let pricing = Pricing {
            prices: Some(PriceTable {
                currency: "EUR".to_owned(),
                prices: [("m7g.large".to_owned(), price(3600.0))].into(),
            }),
            slowdown: Slowdown::new(2.0).ok(),
        };
        let parts = || {
            vec![
                part(&["a"], "m7g.large", 5_000_000_000),
                part(&["b"], "", 4_000_000_000),
            ]
        };
        let of =
            |pricing| Cost::of(parts(), &[], &[CostDimension::Workload], 9, ALWAYS).priced(pricing);
        let cost = of(&pricing);
        let money = |bill: Option<Bill>| bill.map(|bill| bill.cost.to_string());
        assert_eq!(money(cost.bill).as_deref(), Some("5.00"));
        let rows: Vec<_> = cost
            .rows
            .iter()
            .map(|row| {
                let bill = row.bill.expect("there are prices");
                (bill.cost.to_f64(), bill.is_known(), row.avoidable_cpu_ns)
            })
            .collect();
        assert_eq!(
            rows,
            [
                (5.0, true, Some(2_500_000_000)),
                (0.0, false, Some(2_000_000_000))
            ]
        );
        let without: Vec<_> = cost.without_price().map(|share| share.cpu_ns).collect();
        assert_eq!((without, &*cost.currency), (vec![4_000_000_000], "EUR"));
        let free = of(&Pricing::default());
        assert_eq!((free.bill, free.without_price().count()), (None, 0));
        assert_eq!(
            free,
            Cost::of(parts(), &[], &[CostDimension::Workload], 9, ALWAYS)
        );
    }
}
