//! Dates, versions and names as people write them in a policy.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Version;
use crate::text::is_printable;

/// Bytes of one text: names of images are the longest, 255 and a digest.
pub const MAX_TEXT: usize = 512;

/// When something expires: a time, or a day, which is over at its end in UTC.
///
/// # Errors
/// What a time looks like.
pub fn expiry(text: &str) -> Result<SystemTime, String> {
    let of_day = || {
        let day: Date = text.parse().ok()?;
        let end = day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?;
        Some(end.timestamp())
    };
    let has_time = text.contains(['T', ' ']);
    let time = if has_time {
        text.parse::<Timestamp>().ok()
    } else {
        of_day()
    };
    let time = time.filter(|time| *time >= Timestamp::UNIX_EPOCH);
    time.map(SystemTime::from).ok_or_else(|| {
        "is no day such as 2027-03-31 (it ends with that day, in UTC), nor a time such as \
         2027-03-31T12:00:00Z"
            .to_owned()
    })
}

/// A version that is certified.
///
/// # Errors
/// What one looks like.
pub fn version(text: &str) -> Result<Version, String> {
    let Some(digits) = text.strip_prefix("sha256:") else {
        // https://github.com/opencontainers/distribution-spec: a tag has no colon and no slash.
        if text.is_empty() || text.contains([':', '/', '@']) {
            return Err(
                "is neither a tag such as 7.18.0 or 7.18.* nor a digest, sha256: and 64 hex digits; \
                 names of images belong into match"
                    .to_owned(),
            );
        }
        return Ok(Version::Tag(text.to_owned()));
    };
    let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if digits.len() != 64 || !digits.chars().all(is_hex) {
        return Err("is no digest: sha256: is followed by 64 hex digits in lower case".to_owned());
    }
    Ok(Version::Digest(text.to_owned()))
}

/// A text that stands for something, or a pattern.
///
/// # Errors
/// What is wrong with it.
pub fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("is empty; give a value, or leave it out".to_owned());
    }
    if text.len() > MAX_TEXT {
        return Err(format!("has {} bytes; {MAX_TEXT} are allowed", text.len()));
    }
    if !text.chars().all(is_printable) {
        return Err("holds characters that are not printable; leave them out".to_owned());
    }
    Ok(text.to_owned())
}
