//! Amounts of CPU and memory, as Kubernetes writes them.

use anyhow::{Context as _, Result};

/// Thousandths of a CPU of `20m` or `2`.
pub(super) fn millicores(text: &str) -> Result<i64> {
    let (digits, factor) = match text.strip_suffix('m') {
        Some(digits) => (digits, 1),
        None => (text, 1000),
    };
    amount(text, digits, factor)
}

/// Bytes of `64Mi` and the like.
pub(super) fn bytes(text: &str) -> Result<i64> {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let with_unit = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (digits, factor) = with_unit.unwrap_or((text, 1));
    amount(text, digits, factor)
}

fn amount(text: &str, digits: &str, factor: i64) -> Result<i64> {
    let number: Option<i64> = digits.parse().ok();
    let amount = number.and_then(|number| number.checked_mul(factor));
    amount.with_context(|| format!("{text:?} is no amount that is known here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_what_kubernetes_takes_them_for() {
        for (text, expected) in [
            ("20m", Some(20)),
            ("2", Some(2000)),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(millicores(text).ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("64Mi", Some(64 << 20)),
            ("1Gi", Some(1 << 30)),
            ("3", Some(3)),
            ("64M", None),
            ("9999999999Gi", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
    }
}
