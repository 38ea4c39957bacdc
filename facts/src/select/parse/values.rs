//! The words that stand for fields and values.

use std::time::SystemTime;

use super::super::{Expr, Field, NumberField, Op, TextField, TimeField, Value};
use crate::arch::Arch;
use crate::fact::{Cause, Mode, Via};
use crate::report::Record;
use crate::text::escape;

pub(super) fn field(name: &str) -> Result<Field, String> {
    let text = name.parse().map(Field::Text);
    let number = || name.parse().map(Field::Number);
    let time = || name.parse().map(Field::Time);
    text.or_else(|_| number()).or_else(|_| time()).map_err(|_| {
        let upper = name.to_uppercase();
        if ["AND", "OR", "NOT"].contains(&upper.as_str()) {
            return format!("'{name}' is no field; did you mean {upper}?");
        }
        let texts = TextField::ALL.iter().map(|field| field.as_str());
        let numbers = NumberField::ALL.iter().map(|field| field.as_str());
        let times = TimeField::ALL.iter().map(|field| field.as_str());
        unknown(name, "field", texts.chain(numbers).chain(times))
    })
}

/// `field:*`
pub(super) fn present(field: Field) -> Result<Expr, String> {
    match field {
        Field::Text(_) => Ok(Expr::Compare(
            field,
            Op::NotEqual,
            Value::Text(String::new()),
        )),
        Field::Number(_) | Field::Time(_) => Err(format!(
            "only texts can be asked whether they are there, which {field} is not"
        )),
    }
}

/// Where there are only so many words, another one would never hold: most likely it is misspelt.
pub(super) fn text_value(field: TextField, op: Op, value: String) -> Result<Value, String> {
    if op != Op::Has && !value.is_empty() && !value.contains('*') {
        let words: Vec<&str> = match field {
            TextField::Mode => Mode::ALL.iter().map(|word| word.as_str()).collect(),
            TextField::Via => Via::ALL.iter().map(|word| word.as_str()).collect(),
            TextField::Cause => Cause::ALL.iter().map(|word| word.as_str()).collect(),
            TextField::Kind => Record::kinds().collect(),
            TextField::Arch | TextField::NodeArch => {
                value.parse::<Arch>().map_err(|error| error.to_string())?;
                Vec::new()
            }
            _ => Vec::new(),
        };
        if !words.is_empty() && !words.contains(&value.as_str()) {
            return Err(unknown(&value, field.as_str(), words.into_iter()));
        }
    }
    Ok(Value::Text(value))
}

pub(super) fn number(field: NumberField, text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| {
        let text = escape(text.as_bytes());
        format!("{field} is compared with a whole number, which '{text}' is not")
    })
}

/// Nanoseconds.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    let read = || {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, unit) = digits.split_at(end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        // A power of ten, so that nothing is rounded: 18 digits of 3,600,000,000,000 fit.
        let scale = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
        let number = |text: &str| text.parse::<u64>().ok().map(i128::from);
        let nanos = number(whole)? * unit + number(part)?.checked_mul(unit)? / scale;
        i64::try_from(sign * nanos).ok()
    };
    read().ok_or_else(|| {
        let text = escape(text.as_bytes());
        format!("cpu is compared with a duration such as 1.5s, 20ms or 2h, which '{text}' is not")
    })
}

pub(super) fn time(text: &str) -> Result<SystemTime, String> {
    // Stores keep nanoseconds since 1970 in 63 bits.
    let kept = |time: &jiff::Timestamp| (0..=i128::from(i64::MAX)).contains(&time.as_nanosecond());
    let time = text.parse::<jiff::Timestamp>().ok().filter(kept);
    time.map(SystemTime::from).ok_or_else(|| {
        let text = escape(text.as_bytes());
        format!("expected a time such as 2026-11-25T00:00:00Z (RFC 3339, from 1970 to 2262), found '{text}'")
    })
}

fn unknown(text: &str, what: &str, words: impl Iterator<Item = &'static str>) -> String {
    let words: Vec<_> = words.collect();
    let near = words.iter().map(|word| (distance(text, word), word)).min();
    let escaped = escape(text.as_bytes());
    match near {
        // Two slips of the finger, one in a short word; more is another word.
        Some((slips, near)) if slips <= 2 && 2 * slips < text.chars().count() => {
            format!("'{escaped}' is no {what}; did you mean {near}?")
        }
        _ => format!(
            "'{escaped}' is no {what}; the known ones are {}",
            words.join(", ")
        ),
    }
}

/// How many characters are to be added, taken out, changed, or swapped with their neighbour (as the
/// restricted edit distance counts); long texts are far from every word.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
