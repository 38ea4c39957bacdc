//! What CPU time was worth.
//!
//! A CPU second costs the price of the machine's hour, divided by its CPUs and by 3,600: as if a machine
//! was paid for by what of it is used. Money is counted in billionths, so that sums do not depend on the
//! order in which they are made.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::text::is_printable;

use super::answer::{Share, SharePrice};

const BILLION: u128 = 1_000_000_000;
const HOUR: u128 = 3_600_000_000_000;

/// An amount of whatever currency the price table is in, in billionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(pub u128);

impl Money {
    /// So many units, and billionths of one.
    #[must_use]
    pub fn of_units(units: u64, billionths: u32) -> Self {
        Self(u128::from(units) * BILLION + u128::from(billionths))
    }

    /// Whole units, and billionths of one. What does not fit is more than all money there is.
    #[must_use]
    pub fn to_units(self) -> (u64, u32) {
        let billionths = u32::try_from(self.0 % BILLION).unwrap_or_default();
        (
            u64::try_from(self.0 / BILLION).unwrap_or(u64::MAX),
            billionths,
        )
    }

    /// For JSON: as precise as a float is.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Parsing rounds correctly, which dividing two rounded numbers would not.
        let Self(billionths) = self;
        let text = format!("{}.{:09}", billionths / BILLION, billionths % BILLION);
        text.parse().unwrap_or(f64::INFINITY)
    }

    fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// With two digits behind the point; an amount below a tenth with four or nine.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: usize = match self.0 {
            0 | 100_000_000.. => 2,
            1_000_000.. => 4,
            _ => 9,
        };
        let unit = 10_u128.pow(u32::try_from(9 - digits).unwrap_or_default());
        let rounded = (self.0 + unit / 2) / unit;
        let whole = 10_u128.pow(u32::try_from(digits).unwrap_or_default());
        write!(f, "{}.{:0digits$}", rounded / whole, rounded % whole)
    }
}

/// What a machine costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    per_hour: Money,
    cpus: u32,
}

/// Why something is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Of an hour.
    #[error("a price is a number above 0, of at most a million an hour")]
    Price,
    /// Of CPUs.
    #[error("a machine has from 1 to 4096 CPUs")]
    Cpus,
    /// Of the factor of [`Slowdown`].
    #[error(
        "a slowdown is a number above 1, of at most 1000: how many times longer emulation takes"
    )]
    Slowdown,
}

impl Price {
    /// So much for an hour of a machine with so many CPUs, as its maker counts them.
    ///
    /// # Errors
    /// If no machine is like that.
    pub fn new(per_hour: f64, cpus: u32) -> Result<Self, PriceError> {
        let per_hour = scaled(per_hour, 1e9).ok_or(PriceError::Price)?;
        Self::of_hour(Money(per_hour), cpus)
    }

    /// The same, for an amount that is exact.
    ///
    /// # Errors
    /// If no machine is like that.
    pub fn of_hour(per_hour: Money, cpus: u32) -> Result<Self, PriceError> {
        if !(1..=1_000_000 * BILLION).contains(&per_hour.0) {
            return Err(PriceError::Price);
        }
        if !(1..=4096).contains(&cpus) {
            return Err(PriceError::Cpus);
        }
        Ok(Self { per_hour, cpus })
    }

    /// What an hour of the whole machine costs.
    #[must_use]
    pub fn per_hour(self) -> Money {
        self.per_hour
    }

    /// How many CPUs it has.
    #[must_use]
    pub fn cpus(self) -> u32 {
        self.cpus
    }

    /// What CPU time costs, rounded to a billionth.
    #[must_use]
    pub fn of(self, cpu_ns: u64) -> Money {
        let per = u128::from(self.cpus) * HOUR;
        Money((u128::from(cpu_ns) * self.per_hour.0 + per / 2) / per)
    }

    /// For how long the whole machine would have been busy with it.
    #[must_use]
    pub fn machine_time(self, cpu_ns: u64) -> Duration {
        Duration::from_nanos(cpu_ns / u64::from(self.cpus))
    }
}

/// Prices of kinds of machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceTable {
    /// What prices are in, such as `USD` ([`is_currency`]).
    pub currency: String,
    /// By kind, such as `m7g.large`.
    pub prices: BTreeMap<String, Price>,
}

/// Whether that is a currency: a printable word of at most 8 characters.
#[must_use]
pub fn is_currency(word: &str) -> bool {
    let is_part = |c: char| is_printable(c) && !c.is_whitespace();
    (1..=8).contains(&word.chars().count()) && word.chars().all(is_part)
}

/// What some CPU time cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// What has a price.
    pub cost: Money,
    /// For how long whole machines would have been busy with that.
    pub machine_time: Duration,
    /// CPU time of machines without a price, or of which it is not known what they are, in nanoseconds:
    /// it is not part of the cost.
    pub unpriced_cpu_ns: u64,
    /// What of the cost native execution would have saved, if anybody asked.
    pub avoidable: Option<Money>,
}

impl Bill {
    /// Whether anything of it has a price. If not, its cost is not 0 but unknown.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.unpriced_cpu_ns == 0 || !self.machine_time.is_zero()
    }
}

impl PriceTable {
    /// Machines in one table: EC2 has some 1,000 kinds, and three clouds fit well.
    pub const MOST: usize = 10_000;

    /// What that cost, if its kind has a price.
    #[must_use]
    pub(super) fn of(&self, share: &Share) -> Option<SharePrice> {
        let price = self.prices.get(&share.instance_type)?;
        Some(SharePrice {
            cost: price.of(share.cpu_ns),
            cpu_second: price.of(1_000_000_000),
        })
    }

    /// What these shares cost.
    #[must_use]
    pub fn bill(&self, shares: &[Share], slowdown: Option<Slowdown>) -> Bill {
        let mut bill = Bill::default();
        for share in shares {
            match self.prices.get(&share.instance_type) {
                Some(price) => {
                    bill.cost = bill.cost.plus(price.of(share.cpu_ns));
                    let more = price.machine_time(share.cpu_ns);
                    bill.machine_time = bill.machine_time.saturating_add(more);
                }
                None => {
                    bill.unpriced_cpu_ns = bill.unpriced_cpu_ns.saturating_add(share.cpu_ns);
                }
            }
        }
        bill.avoidable = slowdown.map(|factor| factor.avoidable(bill.cost));
        bill
    }
}

/// How many times longer emulation takes than native execution, in thousandths. It is an assumption: it
/// depends on the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slowdown(u32);

impl Slowdown {
    /// So many times longer.
    ///
    /// # Errors
    /// If nothing would be gained, or it is beyond all emulators.
    pub fn new(factor: f64) -> Result<Self, PriceError> {
        let thousandths = scaled(factor, 1e3).and_then(|factor| u32::try_from(factor).ok());
        Self::of_thousandths(thousandths.ok_or(PriceError::Slowdown)?)
    }

    /// The same in thousandths.
    ///
    /// # Errors
    /// As [`Slowdown::new`].
    pub fn of_thousandths(factor: u32) -> Result<Self, PriceError> {
        let is_one = (1_001..=1_000_000).contains(&factor);
        is_one.then_some(Self(factor)).ok_or(PriceError::Slowdown)
    }

    /// In thousandths.
    #[must_use]
    pub fn thousandths(self) -> u32 {
        self.0
    }

    /// What of an amount would not have been spent on native execution.
    #[must_use]
    pub fn avoidable(self, cost: Money) -> Money {
        let factor = u128::from(self.0);
        Money(cost.0.saturating_mul(factor - 1000) / factor)
    }

    /// The same of CPU time.
    #[must_use]
    pub fn avoidable_cpu(self, cpu_ns: u64) -> u64 {
        let avoidable = self.avoidable(Money(cpu_ns.into()));
        u64::try_from(avoidable.0).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Slowdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 1000.0)
    }
}

/// A number times `scale`, rounded; `None` if it is negative or none.
fn scaled(number: f64, scale: f64) -> Option<u128> {
    let scaled = (number * scale).round();
    // Formatting an integral float is exact, where `as` would be silent about what does not fit.
    (scaled.is_finite() && scaled >= 0.0)
        .then(|| format!("{scaled:.0}").parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn share(instance_type: &str, seconds: u64) -> Share {
        Share {
            instance_type: instance_type.to_owned(),
            cpu_ns: seconds * SECOND,
            nodes: 1,
            price: None,
        }
    }

    #[test]
    fn a_cpu_second_costs_its_part_of_the_machines_hour() {
        for (per_hour, cpus, seconds, cost) in [
            (0.0816, 2, 7200, "0.0816"),
            (3.6, 2, 2000, "1.00"),
            (0.0816, 2, 3600, "0.0408"),
            (7.2, 1, 1, "0.0020"),
            (3.6, 1, 0, "0.00"),
            (1.0, 4096, 1, "0.000000068"),
            (1_000_000.0, 1, u64::MAX / SECOND, "5124095575833.33"),
        ] {
            let price = Price::new(per_hour, cpus).expect("a price");
            let told = price.of(seconds * SECOND);
            assert_eq!(told.to_string(), cost, "{per_hour} {cpus} {seconds}");
        }
        let price = Price::new(0.0816, 2).expect("a price");
        assert_eq!(
            price.machine_time(7200 * SECOND),
            Duration::from_secs(3600),
            "two CPUs are busy for an hour"
        );
        assert_eq!(price.of(3600 * SECOND).to_f64(), 0.0408);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for (per_hour, cpus, error) in [
            (0.0, 2, PriceError::Price),
            (-1.0, 2, PriceError::Price),
            (f64::NAN, 2, PriceError::Price),
            (f64::INFINITY, 2, PriceError::Price),
            (1_000_001.0, 2, PriceError::Price),
            (1e-12, 2, PriceError::Price),
            (1.0, 0, PriceError::Cpus),
            (1.0, 5000, PriceError::Cpus),
        ] {
            assert_eq!(Price::new(per_hour, cpus), Err(error), "{per_hour} {cpus}");
        }
        for factor in [1.0, 0.3, f64::NAN, 1001.0] {
            assert_eq!(Slowdown::new(factor), Err(PriceError::Slowdown), "{factor}");
        }
    }

    #[test]
    fn what_has_no_price_is_told_and_not_free() {
        let table = PriceTable {
            currency: "USD".to_owned(),
            prices: [("m7g.large".to_owned(), Price::new(3.6, 1).expect("a price"))].into(),
        };
        let shares = [
            share("", 5),
            share("c7g.large", 7),
            share("m7g.large", 1000),
        ];
        let factor = Slowdown::new(4.0).expect("a factor");
        let bill = table.bill(&shares, Some(factor));
        assert_eq!(
            (bill.cost.to_string().as_str(), bill.unpriced_cpu_ns),
            ("1.00", 12 * SECOND)
        );
        assert!(bill.is_known() && !table.bill(&shares[..2], None).is_known());
        assert!(table.bill(&[], None).is_known());
        let avoidable = bill.avoidable.map(|money| money.to_string());
        assert_eq!(avoidable.as_deref(), Some("0.75"));
        assert_eq!(factor.avoidable_cpu(8 * SECOND), 6 * SECOND);
        assert_eq!(
            (factor.to_string(), factor.thousandths()),
            ("4".to_owned(), 4000)
        );
    }
}
