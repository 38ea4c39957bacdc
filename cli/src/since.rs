//! `--since`: a span back from now, or a point in time.

use std::time::{Duration, SystemTime};

use jiff::{Span, Timestamp, Zoned};

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long before the question is asked.
    Ago(Duration),
    /// A fixed time.
    At(SystemTime),
    /// Everything that is stored.
    Always,
}

impl Since {
    /// Reads `24h`, `7d`, `90m`, a time in RFC 3339, or `all`.
    ///
    /// # Errors
    /// What it should look like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let help = "it is a span such as 24h or 7d, a time such as 2026-01-31T12:00:00Z, or all";
        if text == "all" {
            return Ok(Self::Always);
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self::At(time.into()));
        }
        let span: Span = text.parse().map_err(|_| help.to_owned())?;
        let now = Zoned::now();
        let ago = now
            .checked_sub(span)
            .ok()
            .map(|then| now.duration_since(&then));
        match ago.map(Duration::try_from) {
            Some(Ok(ago)) if !ago.is_zero() => Ok(Self::Ago(ago)),
            _ => Err(help.to_owned()),
        }
    }

    /// The point in time, given the present one.
    pub(crate) fn at(self, now: SystemTime) -> Option<SystemTime> {
        match self {
            Self::Ago(ago) => Some(now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)),
            Self::At(time) => Some(time),
            Self::Always => None,
        }
    }

    /// As part of a sentence.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Ago(ago) if ago.as_secs().is_multiple_of(3600) => {
                format!("in the last {} h", ago.as_secs() / 3600)
            }
            Self::Ago(ago) => format!("in the last {} s", ago.as_secs()),
            Self::At(time) => format!("since {}", crate::show::human::utc(time)),
            Self::Always => "so far".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times_are_read() {
        let ago = |secs| Some(Since::Ago(Duration::from_secs(secs)));
        let epoch = |secs| {
            Some(Since::At(
                SystemTime::UNIX_EPOCH + Duration::from_secs(secs),
            ))
        };
        for (text, since) in [
            ("24h", ago(86_400)),
            ("90m", ago(5400)),
            ("1h 30m", ago(5400)),
            ("30s", ago(30)),
            ("1970-01-01T00:01:00Z", epoch(60)),
            ("1970-01-01T01:01:00+01:00", epoch(60)),
            ("all", Some(Since::Always)),
            ("-1h", None),
            ("0s", None),
            ("yesterday", None),
            ("24", None),
            ("", None),
        ] {
            assert_eq!(Since::parse(text).ok(), since, "{text}");
        }
        assert!(
            matches!(Since::parse("7d"), Ok(Since::Ago(ago)) if ago.as_secs().abs_diff(604_800) <= 7200)
        );
    }
}
