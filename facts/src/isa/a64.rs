//! arm64, sorted by encoding.
//!
//! Each row is a pattern of bits as the Arm Architecture Reference Manual prints them (C4), what it is called, and the
//! extension that brought it. The first row that fits decides; what fits none is of the base
//! (Armv8.0-A with floating point and Advanced SIMD, which every server has), or of an extension
//! that is younger than these tables.

mod scalar;
mod sme;
mod sve;
#[cfg(test)]
mod tests;
mod vector;

use super::Decoded;

/// One kind of instruction.
struct Row {
    mask: u32,
    value: u32,
    mnemonic: &'static str,
    extension: Option<&'static str>,
}

/// A row: the pattern has the bits from 31 down to 0, `x` for any, blanks for the reader; those
/// left out at its end may be any too. An empty mnemonic stands for a group of instructions.
const fn row(pattern: &str, mnemonic: &'static str, extension: &'static str) -> Row {
    let (mut mask, mut value, mut bit, mut at) = (0, 0, 32, 0);
    let pattern = pattern.as_bytes();
    while at < pattern.len() {
        if pattern[at] != b' ' {
            bit -= 1;
            match pattern[at] {
                b'0' => mask |= 1 << bit,
                b'1' => (mask, value) = (mask | 1 << bit, value | 1 << bit),
                b'x' => {}
                _ => panic!("a pattern is made of 0, 1, x and blanks"),
            }
        }
        at += 1;
    }
    Row {
        mask,
        value,
        mnemonic,
        extension: if extension.is_empty() {
            None
        } else {
            Some(extension)
        },
    }
}

/// In the order in which they are asked.
const TABLES: [&[Row]; 4] = [scalar::ROWS, vector::ROWS, sme::ROWS, sve::ROWS];

/// Sorts one instruction.
pub(super) fn decode(word: u32) -> Option<Decoded> {
    let row = TABLES
        .iter()
        .copied()
        .flatten()
        .find(|row| word & row.mask == row.value);
    // The groups "reserved" and "unallocated" of C4.1: no instruction has ever been there.
    let unallocated = matches!(word >> 25 & 0xf, 1 | 3) || word >> 25 & 0xf == 0 && word >> 31 == 0;
    match row {
        None if unallocated => None,
        _ => Some(Decoded {
            mnemonic: row
                .filter(|row| !row.mnemonic.is_empty())
                .map(|row| row.mnemonic.to_owned()),
            extensions: row.and_then(|row| row.extension).into_iter().collect(),
        }),
    }
}

#[cfg(test)]
pub(super) fn extensions() -> Vec<&'static str> {
    TABLES
        .iter()
        .copied()
        .flatten()
        .filter_map(|row| row.extension)
        .collect()
}
