//! Numbers and times as people read them.

use jiff::Timestamp;

pub(crate) use archtrace_facts::human::{age, bytes, count, duration, hex, seconds, utc};

/// The present time in UTC, to the second.
pub(crate) fn utc_now() -> String {
    let now = Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}
