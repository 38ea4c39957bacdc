//! Bytes of unknown encoding as text that is safe to print, store and compare.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

/// Escapes what is not printable UTF-8 as `\xNN`, one escape per byte.
///
/// File names in Linux are bytes without NUL (`path_resolution(7)`), chosen by whoever runs the
/// container. Control characters would reach a terminal, and invalid UTF-8 cannot be put into
/// a protobuf string. The backslash itself is escaped too, so that the result is unambiguous.
///
/// ```
/// assert_eq!(archtrace_facts::text::escape(b"/bin/\xff\n\\"), r"/bin/\xff\x0a\x5c");
/// assert_eq!(archtrace_facts::text::escape("/bin/ж".as_bytes()), "/bin/ж");
/// ```
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' || !is_printable(c) {
                let mut buffer = [0; 4];
                push_escaped(&mut out, c.encode_utf8(&mut buffer).as_bytes());
            } else {
                out.push(c);
            }
        }
        push_escaped(&mut out, chunk.invalid());
    }
    out
}

/// An error and what it came of, in one line. Some name their cause themselves: that is not said twice.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Whether a character of an escaped text may stand as it is; what comes from a peer is checked
/// with this before anybody is shown it.
#[must_use]
pub fn is_printable(c: char) -> bool {
    !c.is_control() && !is_invisible(c)
}

/// Takes back what `mangle_path` (fs/seq_file.c) does for files of `/proc`: each byte of `escaped`
/// stands as a backslash and three octal digits. Other backslashes are the name's own.
pub(crate) fn unmangle<'a>(bytes: &'a [u8], escaped: &[u8]) -> Cow<'a, [u8]> {
    if !bytes.contains(&b'\\') {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| octal(behind)).flatten();
        match octal.filter(|byte| escaped.contains(byte)) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[4..];
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    Cow::Owned(out)
}

fn octal(bytes: &[u8]) -> Option<u8> {
    let digits: &[u8; 3] = bytes.first_chunk()?;
    digits.iter().try_fold(0u8, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(digit - b'0'),
        _ => None,
    })
}

/// Characters that change how the text around them is shown: the bidirectional controls and the
/// line separators. A name that holds them can pose as another one.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn push_escaped(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::{escape, unmangle, with_causes};
    use proptest::prelude::*;

    #[test]
    fn causes_are_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{said}")]
        struct Failure {
            said: &'static str,
            source: Option<Box<Failure>>,
        }
        let failure = |said, source: Option<Failure>| Failure {
            said,
            source: source.map(Box::new),
        };
        let innermost = failure("no such host", None);
        let named = failure("cannot connect: no such host", Some(innermost));
        let error = failure("cannot ask", Some(named));
        assert_eq!(
            with_causes(&error),
            "cannot ask: cannot connect: no such host"
        );
    }

    #[test]
    fn hostile_names_are_escaped() {
        for (name, shown) in [
            (&b"/usr/bin/true"[..], "/usr/bin/true"),
            (b"/tmp/a b", "/tmp/a b"),
            (b"/tmp/\x1b[31mred", r"/tmp/\x1b[31mred"),
            (b"/tmp/\x80\xc3", r"/tmp/\x80\xc3"),
            (
                "/tmp/\u{202e}gpj.exe".as_bytes(),
                r"/tmp/\xe2\x80\xaegpj.exe",
            ),
            (b"", ""),
        ] {
            assert_eq!(escape(name), shown);
        }
    }

    #[test]
    fn what_proc_mangles_is_taken_back() {
        for (shown, name) in [
            (&br"/a\040b\134c"[..], &br"/a b\c"[..]),
            (br"\040\040", b"  "),
            (br"\101\999\04", br"\101\999\04"),
            (br"\777\", br"\777\"),
            (b"/plain", b"/plain"),
            (b"", b""),
        ] {
            assert_eq!(&*unmangle(shown, b" \\"), name);
        }
    }

    proptest! {
        #[test]
        fn mangled_names_are_read_back(name: Vec<u8>) {
            let escaped = b" \t\n\\#";
            let shown: Vec<u8> = name.iter().flat_map(|byte| match byte {
                byte if escaped.contains(byte) => format!("\\{byte:03o}").into_bytes(),
                byte => vec![*byte],
            }).collect();
            prop_assert_eq!(&*unmangle(&shown, escaped), &name[..]);
        }

        #[test]
        fn any_bytes_become_one_printable_line(bytes: Vec<u8>) {
            prop_assert!(escape(&bytes).chars().all(|c| !c.is_control()));
        }

        #[test]
        fn different_names_stay_different(a: Vec<u8>, b: Vec<u8>) {
            prop_assert_eq!(a == b, escape(&a) == escape(&b));
        }
    }
}
