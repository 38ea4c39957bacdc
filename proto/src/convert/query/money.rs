//! Money: what machines cost, and what CPU time was worth.

use archtrace_facts::cost::{Bill, Money, Price, PriceTable, Pricing, Slowdown, is_currency};

use crate::convert::{
    ConvertError, at_most, each, from_duration, required, some, to_duration, to_text,
};
use crate::v1;

impl From<Money> for v1::Money {
    fn from(money: Money) -> Self {
        let (units, nanos) = money.to_units();
        Self { units, nanos }
    }
}

impl TryFrom<v1::Money> for Money {
    type Error = ConvertError;

    fn try_from(v1::Money { units, nanos }: v1::Money) -> Result<Self, ConvertError> {
        if nanos >= 1_000_000_000 {
            return Err(ConvertError::new("nanos", "is a unit or more"));
        }
        Ok(Self::of_units(units, nanos))
    }
}

impl From<&Bill> for v1::CostBill {
    fn from(bill: &Bill) -> Self {
        let Bill {
            cost,
            machine_time,
            unpriced_cpu_ns,
            avoidable,
        } = *bill;
        let is_known = bill.is_known();
        let known = |money: Money| is_known.then(|| money.into());
        Self {
            cost: known(cost),
            machine_time: Some(from_duration(machine_time)),
            unpriced_cpu_nanoseconds: unpriced_cpu_ns,
            avoidable_cost: avoidable.and_then(known),
        }
    }
}

impl TryFrom<v1::CostBill> for Bill {
    type Error = ConvertError;

    fn try_from(bill: v1::CostBill) -> Result<Self, ConvertError> {
        let v1::CostBill {
            cost,
            machine_time,
            unpriced_cpu_nanoseconds,
            avoidable_cost,
        } = bill;
        Ok(Self {
            cost: some("cost", cost)?.unwrap_or_default(),
            machine_time: to_duration("machine_time", machine_time)?,
            unpriced_cpu_ns: unpriced_cpu_nanoseconds,
            avoidable: some("avoidable_cost", avoidable_cost)?,
        })
    }
}

impl From<&PriceTable> for v1::PriceTable {
    fn from(PriceTable { currency, prices }: &PriceTable) -> Self {
        let machine = |(instance_type, price): (&String, &Price)| v1::MachinePrice {
            instance_type: instance_type.clone(),
            per_hour: Some(price.per_hour().into()),
            cpus: price.cpus(),
        };
        Self {
            currency: currency.clone(),
            machines: prices.iter().map(machine).collect(),
        }
    }
}

impl TryFrom<v1::PriceTable> for PriceTable {
    type Error = ConvertError;

    fn try_from(table: v1::PriceTable) -> Result<Self, ConvertError> {
        let v1::PriceTable { currency, machines } = table;
        if !is_currency(&currency) {
            let what = "is no word of 8 characters at most, such as USD";
            return Err(ConvertError::new("currency", what));
        }
        at_most("machines", machines.len(), Self::MOST)?;
        let count = machines.len();
        let machine = |machine: v1::MachinePrice| {
            let v1::MachinePrice {
                instance_type,
                per_hour,
                cpus,
            } = machine;
            if instance_type.is_empty() {
                return Err(ConvertError::missing("instance_type"));
            }
            let price = Price::of_hour(required("per_hour", per_hour)?, cpus);
            let price = price.map_err(|error| ConvertError::new("per_hour", error.to_string()))?;
            Ok((to_text("instance_type", instance_type)?, price))
        };
        let prices: std::collections::BTreeMap<_, _> =
            each("machines", machines, machine)?.into_iter().collect();
        if prices.len() < count {
            return Err(ConvertError::new("machines", "name a kind twice"));
        }
        Ok(Self { currency, prices })
    }
}

/// What [`v1::GetCostRequest`] says of how CPU time becomes money.
///
/// # Errors
/// If a price is none, or the slowdown is.
pub fn decode_pricing(
    prices: Option<v1::PriceTable>,
    slowdown_thousandths: u32,
) -> Result<Pricing, ConvertError> {
    let slowdown = match slowdown_thousandths {
        0 => None,
        factor => Some(
            Slowdown::of_thousandths(factor)
                .map_err(|error| ConvertError::new("slowdown_thousandths", error.to_string()))?,
        ),
    };
    Ok(Pricing {
        prices: some("prices", prices)?,
        slowdown,
    })
}
