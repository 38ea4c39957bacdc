//! Medians, percentiles, and how sure they are.

/// The value below which `percent` of the sorted values lie; 0 if there are none.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last * percent).div_ceil(100))
        .copied()
        .unwrap_or(0.0)
}

/// Sorts, so that [`percentile`] can be asked.
pub(crate) fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// A median, and where the true one lies with a confidence of 95 %.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Of fewer than six values nothing is that sure: then from the least to the most.
    pub(crate) fn of(values: Vec<f64>) -> Self {
        let values = sorted(values);
        let (Some(last), outside) = (values.len().checked_sub(1), outside(values.len())) else {
            return Self::default();
        };
        Self {
            median: f64::midpoint(values[last / 2], values[last.div_ceil(2)]),
            low: values[outside],
            high: values[last - outside],
        }
    }
}

/// What was measured in turns, with something and without it, in pairs that follow each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    pub(crate) with: Vec<f64>,
    pub(crate) without: Vec<f64>,
}

impl Pairs {
    /// How many times more it is with it.
    pub(crate) fn ratio(&self) -> Spread {
        self.each(|with, without| with / without)
    }

    /// How much more it is with it.
    pub(crate) fn difference(&self) -> Spread {
        self.each(|with, without| with - without)
    }

    fn each(&self, compare: impl Fn(f64, f64) -> f64) -> Spread {
        let pairs = self.with.iter().zip(&self.without);
        Spread::of(
            pairs
                .map(|(with, without)| compare(*with, *without))
                .collect(),
        )
    }
}

/// So many of `n` sorted values may be left out at either end, and the true median still lies among the
/// rest in 95 of 100 cases, whatever their distribution: each value is as likely above it as below.
fn outside(n: usize) -> usize {
    const EITHER_END: f64 = 0.025;
    let mut probability = 0.5f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut below = 0.0;
    for k in 0..n / 2 {
        below += probability;
        if below > EITHER_END {
            return k.saturating_sub(1);
        }
        probability *= (n - k) as f64 / (k + 1) as f64;
    }
    (n / 2).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::{Pairs, Spread, outside};

    #[test]
    fn intervals_are_those_of_the_books() {
        // The ranks of order statistics, less one: Conover, Practical Nonparametric Statistics, table A3.
        for (n, expected) in [
            (6, 0),
            (9, 1),
            (10, 1),
            (16, 3),
            (20, 5),
            (30, 9),
            (100, 39),
        ] {
            assert_eq!(outside(n), expected, "of {n}");
        }
    }

    #[test]
    fn few_values_are_not_sure() {
        assert_eq!(Spread::of(Vec::new()), Spread::default());
        for n in 1..6 {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let spread = Spread::of(values);
            assert_eq!((spread.low, spread.high), (1.0, f64::from(n)));
            assert_eq!(spread.median, f64::from(n + 1) / 2.0);
        }
    }

    #[test]
    fn one_bad_pair_moves_nothing() {
        let mut with = vec![110.0; 16];
        with[3] = 900.0;
        let without = vec![100.0; 16];
        let pairs = Pairs { with, without };
        let spread = |value| Spread {
            median: value,
            low: value,
            high: value,
        };
        assert_eq!(pairs.ratio(), spread(1.1));
        assert_eq!(pairs.difference(), spread(10.0));
    }
}
