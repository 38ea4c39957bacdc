//! What emulation costs.

use std::time::Duration;

use archtrace_facts::cost::{Cost, CostDimension, CostRow, Money, Share};
use serde::{Serialize, Serializer};

use crate::show::human::{seconds, utc};

/// Money is null where nobody asked for it, and where nothing has a price.
#[derive(Serialize)]
pub(crate) struct Row<'a> {
    #[serde(flatten)]
    values: Values<'a>,
    cpu_seconds: f64,
    avoidable_cpu_seconds: Option<f64>,
    cost: Option<f64>,
    avoidable_cost: Option<f64>,
    currency: Option<&'a str>,
    machine_seconds: Option<f64>,
    unpriced_cpu_seconds: Option<f64>,
    shares: Vec<Part<'a>>,
    since: String,
    until: String,
}

#[derive(Serialize)]
struct Part<'a> {
    instance_type: &'a str,
    nodes: u64,
    cpu_seconds: f64,
    cost: Option<f64>,
    cost_of_cpu_second: Option<f64>,
}

/// A field for each dimension, in the order that was asked for.
struct Values<'a>(&'a [CostDimension], &'a [String]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(by, values) = self;
        let names = by.iter().map(|by| by.as_str().replace('-', "_"));
        serializer.collect_map(names.zip(*values))
    }
}

pub(crate) fn cost<'a>(cost: &'a Cost, row: &'a CostRow, by: &'a [CostDimension]) -> Row<'a> {
    let bill = row.bill.as_ref();
    let known = bill.filter(|bill| bill.is_known());
    Row {
        values: Values(by, &row.values),
        cpu_seconds: secs(row.cpu_ns),
        avoidable_cpu_seconds: row.avoidable_cpu_ns.map(secs),
        cost: known.map(|bill| bill.cost.to_f64()),
        avoidable_cost: known.and_then(|bill| bill.avoidable.map(Money::to_f64)),
        currency: bill.map(|_| cost.currency.as_str()),
        machine_seconds: known.map(|bill| seconds(bill.machine_time)),
        unpriced_cpu_seconds: bill.map(|bill| secs(bill.unpriced_cpu_ns)),
        shares: row.shares.iter().map(part).collect(),
        since: utc(cost.since),
        until: utc(cost.until),
    }
}

fn part(share: &Share) -> Part<'_> {
    let price = share.price;
    Part {
        instance_type: &share.instance_type,
        nodes: share.nodes,
        cpu_seconds: secs(share.cpu_ns),
        cost: price.map(|price| price.cost.to_f64()),
        cost_of_cpu_second: price.map(|price| price.cpu_second.to_f64()),
    }
}

fn secs(nanos: u64) -> f64 {
    seconds(Duration::from_nanos(nanos))
}
