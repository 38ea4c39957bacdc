//! Numbers and times as people read them.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// RFC 3339 in UTC, as precise as it is.
#[must_use]
pub fn utc(time: SystemTime) -> String {
    // Conversion keeps times between 1970 and 2262.
    Timestamp::try_from(time).unwrap_or_default().to_string()
}

/// `12s ago`, in its largest unit.
#[must_use]
pub fn age(time: SystemTime, now: SystemTime) -> String {
    // A node's clock may be ahead.
    let secs = now.duration_since(time).unwrap_or_default().as_secs();
    match secs {
        0 => "now".to_owned(),
        1..120 => format!("{secs}s ago"),
        120..7200 => format!("{}m ago", secs / 60),
        7200..172_800 => format!("{}h ago", secs / 3600),
        _ => format!("{}d ago", secs / 86_400),
    }
}

/// `3m 12s`: three digits or so.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let (secs, millis) = (duration.as_secs(), duration.as_millis());
    match secs {
        0 if duration.is_zero() => "0s".to_owned(),
        0 if millis == 0 => "<1ms".to_owned(),
        0 => format!("{millis}ms"),
        1..10 => format!("{:.2}s", duration.as_secs_f64()),
        10..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h {:02}m", secs / 3600, secs / 60 % 60),
        _ => format!("{}d {:02}h", secs / 86_400, secs / 3600 % 24),
    }
}

/// `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12.3 MiB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    // Four digits are shown, so that a float is precise enough.
    let mut value = number as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"KiB");
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// The number and, if it has one, the name of an error (`errno(3)`) that `execve` may return.
#[must_use]
pub fn errno(number: i32) -> String {
    // Kernels of all architectures that archtrace runs on agree on these (asm-generic/errno-base.h).
    let name = match number {
        0 => return "errno unknown".to_owned(),
        1 => "EPERM",
        2 => "ENOENT",
        5 => "EIO",
        7 => "E2BIG",
        8 => "ENOEXEC",
        12 => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        20 => "ENOTDIR",
        21 => "EISDIR",
        22 => "EINVAL",
        26 => "ETXTBSY",
        36 => "ENAMETOOLONG",
        40 => "ELOOP",
        80 => "ELIBBAD",
        _ => return format!("errno {number}"),
    };
    name.to_owned()
}

/// `0f0b`: bytes as a hexadecimal dump has them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whole and parts of a second.
#[must_use]
pub fn seconds(duration: Duration) -> f64 {
    SignedDuration::try_from(duration).map_or(f64::INFINITY, |duration| duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [(0, "0 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(bytes(number), text);
        }
        for (nanos, text) in [
            (0, "0s"),
            (1000, "<1ms"),
            (12_000_000, "12ms"),
            (1_240_000_000, "1.24s"),
            (72_000_000_000, "1m 12s"),
            (7_380_000_000_000, "2h 03m"),
            (180_000_000_000_000, "2d 02h"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn ages_are_told_in_one_unit() {
        let then = SystemTime::UNIX_EPOCH;
        for (secs, text) in [
            (0, "now"),
            (12, "12s ago"),
            (600, "10m ago"),
            (7200, "2h ago"),
            (259_200, "3d ago"),
        ] {
            assert_eq!(age(then, then + Duration::from_secs(secs)), text);
        }
        assert_eq!(age(then + Duration::from_secs(5), then), "now");
    }
}
