//! Domain values as both stores keep them: integers are signed and have 64 bits.

use std::time::{Duration, SystemTime};

/// Nanoseconds since 1970; times outside of 1970 to 2262 become the nearest of these.
pub(in crate::store) fn from_time(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

pub(in crate::store) fn to_time(nanos: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos.max(0).unsigned_abs())
}

/// A number that is counted and compared; beyond 63 bits, which no honest counter reaches, it stays
/// at the highest.
pub(in crate::store) fn from_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(in crate::store) fn to_count(count: i64) -> u64 {
    count.max(0).unsigned_abs()
}

/// A random number that is only ever tested for equality: all of its bits are kept.
pub(in crate::store) fn from_random(number: u64) -> i64 {
    number.cast_signed()
}

pub(in crate::store) fn to_random(number: i64) -> u64 {
    number.cast_unsigned()
}
