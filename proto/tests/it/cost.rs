//! What emulation costs, in CPU time and in money.

use std::time::Duration;

use archtrace_facts::cost::{
    Bill, Cost, CostDimension, CostRow, Money, Price, PriceTable, Pricing, Share, SharePrice,
    Slowdown,
};
use archtrace_proto::convert::{decode_cost_dimensions, decode_pricing};
use archtrace_proto::v1;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::values::{text, time};

fn money() -> impl Strategy<Value = Money> {
    (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(units, nanos)| Money::of_units(units, nanos))
}

prop_compose! {
    fn share()(
        instance_type in text(),
        numbers: [u64; 2],
        price in of((money(), money())),
    ) -> Share {
        let [cpu_ns, nodes] = numbers;
        let price = price.map(|(cost, cpu_second)| SharePrice { cost, cpu_second });
        Share { instance_type, cpu_ns, nodes, price }
    }
}

prop_compose! {
    // Something has a price; else no cost is told.
    fn bill()(
        cost in money(),
        seconds in 1_u32..,
        unpriced_cpu_ns: u64,
        avoidable in of(money()),
    ) -> Bill {
        Bill { cost, machine_time: Duration::from_secs(seconds.into()), unpriced_cpu_ns, avoidable }
    }
}

prop_compose! {
    fn cost_row()(
        values in vec(text(), 0..4),
        cpu_ns: u64,
        shares in vec(share(), 0..3),
        bill in of(bill()),
        avoidable_cpu_ns: Option<u64>,
    ) -> CostRow {
        CostRow { values, cpu_ns, shares, bill, avoidable_cpu_ns }
    }
}

prop_compose! {
    fn cost()(
        rows in vec(cost_row(), 0..3),
        more_rows: u64,
        shares in vec(share(), 0..3),
        untyped_nodes in vec(text(), 0..3),
        times in (time(), time()),
        bill in of(bill()),
        avoidable_cpu_ns: Option<u64>,
        currency in text(),
    ) -> Cost {
        let (since, until) = times;
        Cost {
            rows, more_rows, shares, untyped_nodes, since, until, bill, avoidable_cpu_ns, currency,
        }
    }
}

fn price() -> impl Strategy<Value = Price> {
    let price = |(per_hour, cpus)| Price::new(per_hour, cpus).expect("a price");
    (1e-9..1e6, 1_u32..=4096).prop_map(price)
}

prop_compose! {
    fn pricing()(
        currency in "[A-Z]{1,8}",
        prices in of(btree_map("[a-z0-9.]{1,12}", price(), 0..4)),
        factor in of(1_001_u32..=1_000_000),
    ) -> Pricing {
        let prices = prices.map(|prices| PriceTable { currency, prices });
        let slowdown = factor.and_then(|factor| Slowdown::of_thousandths(factor).ok());
        Pricing { prices, slowdown }
    }
}

proptest! {
    #[test]
    fn costs_come_back(cost in cost(), by in vec(select(CostDimension::ALL), 0..8)) {
        prop_assert_eq!(Cost::try_from(v1::GetCostResponse::from(&cost)), Ok(cost));
        let numbers = by.iter().map(|by| v1::CostDimension::from(*by).into()).collect();
        prop_assert_eq!(decode_cost_dimensions(numbers), Ok(by));
    }

    #[test]
    fn prices_come_back_to_the_billionth(pricing in pricing()) {
        let table = pricing.prices.as_ref().map(Into::into);
        let factor = pricing.slowdown.map(Slowdown::thousandths).unwrap_or_default();
        prop_assert_eq!(decode_pricing(table, factor), Ok(pricing));
    }
}

fn machine(instance_type: &str, units: u64, nanos: u32, cpus: u32) -> v1::MachinePrice {
    v1::MachinePrice {
        instance_type: instance_type.to_owned(),
        per_hour: Some(v1::Money { units, nanos }),
        cpus,
    }
}

#[test]
fn what_is_no_price_table_is_refused_by_name() {
    let table = |currency: &str, machines| {
        Some(v1::PriceTable {
            currency: currency.to_owned(),
            machines,
        })
    };
    let one = |machine| table("USD", vec![machine]);
    for (table, factor, part) in [
        (table("", vec![]), 0, "prices.currency: "),
        (table("US D", vec![]), 0, "prices.currency: "),
        (
            one(machine("", 1, 0, 1)),
            0,
            "prices.machines[0].instance_type",
        ),
        (one(machine("a", 0, 0, 1)), 0, "a number above 0"),
        (one(machine("a", 1_000_000, 1, 1)), 0, "a million an hour"),
        (one(machine("a", 1, 1_000_000_000, 1)), 0, "per_hour.nanos"),
        (one(machine("a", 1, 0, 0)), 0, "CPUs"),
        (
            table("USD", vec![machine("a", 1, 0, 1), machine("a", 2, 0, 1)]),
            0,
            "name a kind twice",
        ),
        (
            table("USD", vec![machine("a", 1, 0, 1); PriceTable::MOST + 1]),
            0,
            "has 10001 elements",
        ),
        (None, 1000, "slowdown_thousandths: "),
    ] {
        let error = decode_pricing(table, factor).expect_err(part).to_string();
        assert!(error.contains(part), "{error} has no {part}");
    }
}

#[test]
fn what_nothing_is_known_of_costs_nothing_that_is_told() {
    let bill = Bill {
        unpriced_cpu_ns: 7,
        avoidable: Some(Money::default()),
        ..Bill::default()
    };
    let told = v1::CostBill::from(&bill);
    assert_eq!((told.cost, told.avoidable_cost), (None, None));
}
