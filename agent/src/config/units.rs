//! Sizes and spans of time as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number of bytes: `64MiB`, `1GiB`, `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "String")]
pub struct Bytes(pub u64);

/// A span of time: `24h`, `90m`, `7d` (of 24 hours each).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "String")]
pub struct Span(pub Duration);

/// In files and the environment, what looks like a number is one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

const UNITS: [(&str, u64); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit));
        let (digits, factor) = unit.map_or((text, 1), |(unit, factor)| {
            (text.trim_end_matches(unit).trim_end(), *factor)
        });
        let number = digits.parse().ok();
        number
            .and_then(|number: u64| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| format!("'{text}' is no number of bytes such as 64MiB"))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no span of time such as 24h");
        let span: jiff::Span = text.parse().map_err(|_| wrong())?;
        let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
        let span = span.ok().and_then(|span| Duration::try_from(span).ok());
        span.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS
            .iter()
            .rev()
            .find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        match whole {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => self.0.fmt(f),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds if seconds.is_multiple_of(3600) && self.0.subsec_nanos() == 0 => {
                write!(f, "{}h", seconds / 3600)
            }
            seconds => write!(f, "{seconds}s"),
        }
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.to_string()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl TryFrom<Written> for Bytes {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => Ok(Self(number)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl TryFrom<Written> for Span {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => Err(format!("'{number}' is no span of time such as 24h")),
            Written::Text(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [
            ("64MiB", Some(64 << 20)),
            ("1 GiB", Some(1 << 30)),
            ("4096", Some(4096)),
            ("0", Some(0)),
            ("64MB", None),
            ("-1", None),
            ("99999999999TiB", None),
            ("MiB", None),
        ] {
            let read = text.parse::<Bytes>().ok();
            assert_eq!(read.map(|Bytes(bytes)| bytes), bytes, "{text}");
            if let Some(read) = read {
                assert_eq!(read.to_string().parse(), Ok(read), "{text}");
            }
        }
    }

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds) in [
            ("24h", Some(86_400)),
            ("7d", Some(7 * 86_400)),
            ("90s", Some(90)),
            ("1h 30m", Some(5400)),
            ("24", None),
            ("soon", None),
            ("-1h", None),
        ] {
            let read = text.parse::<Span>().ok();
            assert_eq!(read.map(|Span(span)| span.as_secs()), seconds, "{text}");
            if let Some(read) = read {
                assert_eq!(read.to_string().parse(), Ok(read), "{text}");
            }
        }
    }
}
