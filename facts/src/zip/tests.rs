use super::*;
use proptest::prelude::*;

/// An archive of one empty file called `a.so`, as zip(1) writes it, behind `prefix` and with
/// `comment` at its end. `wide` has all numbers in zip64's records.
fn archive(prefix: &[u8], comment: &[u8], wide: bool) -> Vec<u8> {
    let mut bytes = prefix.to_vec();
    bytes.extend(b"PK\x03\x04\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0a.so");
    let start = bytes.len() as u64;
    bytes.extend(b"PK\x01\x02\x1e\x03\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let (size, extra) = if wide { (u32::MAX, 28u16) } else { (0, 0) };
    for number in [size, size] {
        bytes.extend(number.to_le_bytes());
    }
    for number in [4, extra, 3, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(b"a.so");
    if wide {
        bytes.extend(b"\x01\0\x18\0");
        for number in [0u64; 3] {
            bytes.extend(number.to_le_bytes());
        }
    }
    bytes.extend(b"abc");
    let len = bytes.len() as u64 - start;
    let offset = start - prefix.len() as u64;
    if wide {
        let position = bytes.len() as u64 - prefix.len() as u64;
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44u64.to_le_bytes());
        // Versions and numbers of disks.
        bytes.extend([0; 12]);
        for number in [1, 1, len, offset] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(position.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
    }
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    let count: u16 = if wide { u16::MAX } else { 1 };
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    let short = |number: u64| u32::try_from(number).expect("small");
    for number in if wide {
        [u32::MAX; 2]
    } else {
        [short(len), short(offset)]
    } {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(u16::try_from(comment.len()).expect("short").to_le_bytes());
    bytes.extend(comment);
    bytes
}

fn find(bytes: &[u8]) -> Option<Directory> {
    let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
    match end(tail, bytes.len() as u64)? {
        End::Directory(directory) => Some(directory),
        End::Zip64(places) => places
            .into_iter()
            .find_map(|at| end64(bytes.get(usize::try_from(at).ok()?..)?, at)),
    }
}

#[test]
fn the_directory_is_found_wherever_the_archive_begins() {
    for prefix in [&b""[..], b"#!/bin/sh\nexec java -jar $0\n"] {
        for comment in [
            &b""[..],
            b"PK\x05\x06 is no end",
            &[b'x'; u16::MAX as usize],
        ] {
            for wide in [false, true] {
                let what = format!("{} {} {wide}", prefix.len(), comment.len());
                let bytes = archive(prefix, comment, wide);
                let directory = find(&bytes).expect(&what);
                assert_eq!(directory.entries, 1, "{what}");
                assert_eq!(directory.shift, prefix.len() as u64, "{what}");
                let at = usize::try_from(directory.start).expect("small");
                let len = usize::try_from(directory.len).expect("small");
                let Next::Entry(entry, used) = next(&bytes[at..at + len]) else {
                    panic!("no entry: {what}");
                };
                assert_eq!(
                    (entry.name, entry.method, used),
                    (&b"a.so"[..], STORED, len)
                );
                assert_eq!((entry.packed, entry.len, entry.header), (0, 0, 0), "{what}");
                assert_eq!(next(&bytes[at..at + len - 1]), Next::More, "{what}");
                assert_eq!(data_offset(&bytes[prefix.len()..]), Some(34), "{what}");
            }
        }
    }
}

#[test]
fn what_is_no_archive_has_no_directory() {
    let whole = archive(b"", b"", false);
    let end = whole.len() - END_LEN;
    let with = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[end + at] = value;
        bytes
    };
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("the end is missing", whole[..whole.len() - 1].to_vec()),
        ("the second of two disks", with(4, 1)),
        ("longer than the file", with(14, 1)),
        ("begins behind its end", with(18, 1)),
    ] {
        assert_eq!(find(&bytes), None, "{what}");
    }
    assert_eq!(next(b""), Next::More);
    assert_eq!(next(b"PK\x05\x06"), Next::End);
    assert_eq!(next(&[0; 64]), Next::End);
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(bytes: Vec<u8>, at: u64) {
        let _ = (find(&bytes), end(&bytes, at), end64(&bytes, at), next(&bytes));
        let _ = data_offset(&bytes);
    }

    #[test]
    fn no_change_makes_it_panic(wide: bool, at: prop::sample::Index, value: u8) {
        let mut bytes = archive(b"", b"", wide);
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Some(directory) = find(&bytes) {
            let end = directory.start.checked_add(directory.len);
            prop_assert!(end.is_some_and(|end| end <= bytes.len() as u64));
            let start = usize::try_from(directory.start).expect("within the file");
            if let Next::Entry(entry, used) = next(&bytes[start..]) {
                prop_assert!(used <= MAX_ENTRY && entry.name.len() <= used);
            }
        }
    }
}
