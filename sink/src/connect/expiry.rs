//! Until when a certificate is valid: for error messages, so that no parser of X.509 is needed.

/// When the certificate (DER) ends, in UTC, such as `2031-01-31 23:59:59`; `None` if this is no
/// certificate.
pub(super) fn expiry(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = element(&mut &*certificate)?;
    let (_, mut fields) = element(&mut &*certificate)?;
    let fields = &mut fields;
    // The version, where there is one, and a serial number behind it; then algorithm and issuer.
    let (tag, _) = element(fields)?;
    let skipped = if tag == 0xa0 { 3 } else { 2 };
    for _ in 0..skipped {
        element(fields)?;
    }
    let (_, mut validity) = element(fields)?;
    element(&mut validity)?;
    let (tag, time) = element(&mut validity)?;
    let text = str::from_utf8(time).ok().filter(|text| text.is_ascii())?;
    // RFC 5280, 4.1.2.5: two digits of a year until 2049, four from then on.
    let text = match tag {
        0x17 => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        0x18 => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| text.get(from..to);
    Some(format!(
        "{}-{}-{} {}:{}:{}",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    ))
}

/// The next element: its tag and what is in it.
fn element<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let digits;
        (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        // Nothing here is longer than four digits of 256 say.
        length = match digits.len() {
            1..=4 => digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit)),
            _ => return None,
        };
    }
    let (content, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some((tag, content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn garbage_is_no_certificate(bytes: Vec<u8>) {
            let _ = expiry(&bytes);
        }
    }
}
