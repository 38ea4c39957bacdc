//! What an answer's values look like in each form.

use std::time::{Duration, SystemTime};

use archtrace_facts::human::{count, duration, seconds, utc};
use archtrace_proto::v1;
use serde_json::Value;

/// A value of an answer.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Text(String),
    Number(u64),
    Nanos(u64),
    Money(Option<v1::Money>),
    Time(Option<SystemTime>),
}

impl Told {
    /// As JSON has it. What is not known is null, or an empty text.
    pub(super) fn is_json(&self, value: &Value) -> bool {
        let is_number = |number: f64| value.as_f64() == Some(number);
        match self {
            Self::Text(text) => value.as_str().unwrap_or_default() == text,
            Self::Number(number) => match value {
                Value::Array(values) => values.len() as u64 == *number,
                value => value.as_u64() == Some(*number),
            },
            Self::Nanos(nanos) => is_number(seconds(Duration::from_nanos(*nanos))),
            Self::Money(None) => value.is_null(),
            Self::Money(Some(money)) => {
                let text = format!("{}.{:09}", money.units, money.nanos);
                is_number(text.parse().expect("a number"))
            }
            Self::Time(None) => value.is_null(),
            Self::Time(Some(time)) => value.as_str() == Some(&*utc(*time)),
        }
    }

    /// As a table has it; `None` for times, of which it tells how long ago they are.
    pub(super) fn in_table(&self) -> Option<String> {
        Some(match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => count(*number),
            Self::Nanos(nanos) => duration(Duration::from_nanos(*nanos)),
            Self::Money(None) => String::new(),
            Self::Money(Some(money)) => {
                // All that the test has is at least a tenth, which is shown with two digits.
                let cents = (u64::from(money.nanos) + 5_000_000) / 10_000_000;
                format!("{}.{:02}", money.units + cents / 100, cents % 100)
            }
            Self::Time(_) => return None,
        })
    }
}
