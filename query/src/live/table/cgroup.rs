//! Paths of cgroups: what differs between those of a fleet are the digits of pods' UIDs and of containers. So a path is
//! kept as a pattern, which many have, and as these digits, in half of their letters.

use std::fmt::Write as _;

/// Stands for two hexadecimal digits in a pattern. No path has it.
const PAIR: char = '\0';

/// Fewer digits in a row may be part of a word.
const FEWEST: usize = 4;

/// The path's pattern, and its digits.
pub(super) fn pack(path: &str) -> (String, Box<[u8]>) {
    let mut pattern = String::with_capacity(path.len());
    let mut digits = Vec::new();
    if path.contains(PAIR) {
        // Foreign data may be anything: it is its own pattern.
        return (path.to_owned(), digits.into());
    }
    let mut rest = path;
    while !rest.is_empty() {
        let run = length(rest, true);
        let packed = if run < FEWEST { 0 } else { run / 2 * 2 };
        // Of an odd number the first one stays: it is the last letter of "pod", before its UID.
        let (before, behind) = rest.split_at(run - packed);
        let (run, behind) = behind.split_at(packed);
        let pairs = run
            .as_bytes()
            .chunks(2)
            .map(|pair| pair.iter().fold(0, shifted));
        digits.extend(pairs);
        pattern.push_str(before);
        pattern.extend(std::iter::repeat_n(PAIR, packed / 2));
        let (other, behind) = behind.split_at(length(behind, false));
        pattern.push_str(other);
        rest = behind;
    }
    (pattern, digits.into())
}

/// The path.
pub(super) fn unpack(pattern: &str, digits: &[u8]) -> String {
    let mut path = String::with_capacity(pattern.len() + digits.len());
    let mut digits = digits.iter();
    for letter in pattern.chars() {
        let pair = (letter == PAIR).then(|| digits.next()).flatten();
        match pair {
            // Writing to a String cannot fail.
            Some(pair) => drop(write!(path, "{pair:02x}")),
            None => path.push(letter),
        }
    }
    path
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// How many bytes at the start of the text are digits, or are none. A letter of several bytes has no digit in it.
fn length(text: &str, digits: bool) -> usize {
    let mut bytes = text.bytes();
    bytes
        .position(|byte| is_digit(byte) != digits)
        .unwrap_or(text.len())
}

/// The number with one more digit.
fn shifted(number: u8, digit: &u8) -> u8 {
    let digit = match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit - b'a' + 10,
    };
    (number << 4) | digit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_of_one_form_have_one_pattern() {
        let id = "0123456789abcdef".repeat(4);
        let other = "fedcba9876543210".repeat(4);
        for (path, same, bytes) in [
            (
                format!(
                    "/kubepods.slice/kubepods-pod01234567_89ab_cdef_0123_456789abcdef.slice/cri-containerd-{id}.scope"
                ),
                format!(
                    "/kubepods.slice/kubepods-pod11111111_2222_3333_dddd_eeeeeeeeeeee.slice/cri-containerd-{other}.scope"
                ),
                16 + 32,
            ),
            (
                format!("/kubepods/burstable/pod01234567-89ab-cdef-0123-456789abcdef/{id}"),
                format!("/kubepods/burstable/pod11111111-2222-3333-dddd-eeeeeeeeeeee/{other}"),
                16 + 32,
            ),
            (
                "/system.slice/containerd.service".to_owned(),
                "/system.slice/containerd.service".to_owned(),
                0,
            ),
        ] {
            let (packed, like) = (pack(&path), pack(&same));
            assert_eq!((&packed.0, packed.1.len()), (&like.0, bytes), "{path}");
            assert_eq!(packed.1 == like.1, path == same, "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_path_comes_back(words in prop::collection::vec("[0-9a-f]{0,9}|[-_./A-Z]|pod|é|\0|.{0,3}", 0..9)) {
            let path = words.concat();
            let (pattern, digits) = pack(&path);
            prop_assert_eq!(unpack(&pattern, &digits), path);
        }

        /// So that a cgroup is found again by both.
        #[test]
        fn no_two_paths_are_packed_alike(a in "[0-9a-fx\0/]{0,12}", b in "[0-9a-fx\0/]{0,12}") {
            prop_assert_eq!(pack(&a) == pack(&b), a == b);
        }
    }
}
