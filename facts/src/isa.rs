//! What an instruction is called, and which extensions of the instruction set it needs.
//!
//! Made for the few bytes at which a process died of SIGILL. amd64 is decoded in full (crate
//! `iced-x86`); arm64 is sorted by the groups of its encodings (Arm Architecture Reference Manual,
//! C4 "A64 Instruction Set Encoding"), which is enough to name the extension.

mod a64;
mod x86;

use crate::arch::Arch;

/// The bytes of one instruction that are looked at; the longest one of amd64 has 15 (Intel SDM 2.3.11).
pub const MAX_BYTES: usize = 16;

/// What an instruction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Its name in lower case, such as `vpaddd`. On arm64 without the options at its end
    /// (`ldadd`, not `ldaddalb`), and `None` where only its group is known.
    pub mnemonic: Option<String>,
    /// The extensions that it needs, all of them, in the words of the CPU's maker: `AVX512F`, `SVE`,
    /// `LSE`. Empty for what each CPU of the architecture has.
    pub extensions: Vec<&'static str>,
}

/// Decodes the instruction that `bytes` begin with, in the order they have in memory.
///
/// `None` if there is no such instruction, if it is cut off, or if the architecture is none of
/// amd64, 386 and arm64.
///
/// ```
/// use archtrace_facts::{arch::Arch, isa::decode};
/// let vpaddd_zmm = [0x62, 0xf1, 0x75, 0x48, 0xfe, 0xc2];
/// assert_eq!(decode(Arch::Amd64, &vpaddd_zmm).unwrap().extensions, ["AVX512F"]);
/// ```
#[must_use]
pub fn decode(arch: Arch, bytes: &[u8]) -> Option<Decoded> {
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    match arch {
        Arch::Amd64 | Arch::Amd64p32 => x86::decode(64, bytes),
        Arch::I386 => x86::decode(32, bytes),
        // A64 instructions are little-endian, whatever the order of data is (Arm ARM B2.6.2).
        Arch::Arm64 | Arch::Arm64be => a64::decode(u32::from_le_bytes(*bytes.first_chunk()?)),
        _ => None,
    }
}

/// Every word that [`decode`] can give as an extension of `arch`.
#[cfg(test)]
pub(crate) fn extensions(arch: Arch) -> Vec<&'static str> {
    match arch {
        Arch::Amd64 => x86::extensions(),
        Arch::Arm64 => a64::extensions(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_known_architectures_are_decoded() {
        for (arch, bytes, known) in [
            (Arch::Amd64, &[0x90][..], true),
            (Arch::I386, &[0x90], true),
            (Arch::Arm64, &[0x1f, 0x20, 0x03, 0xd5], true),
            (Arch::Arm64be, &[0x1f, 0x20, 0x03, 0xd5], true),
            (Arch::Arm64, &[0x1f, 0x20, 0x03], false),
            (Arch::Arm, &[0x1f, 0x20, 0x03, 0xd5], false),
            (Arch::Unknown, &[0x90], false),
            (Arch::Amd64, &[], false),
        ] {
            assert_eq!(decode(arch, bytes).is_some(), known, "{arch} {bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            for arch in [Arch::Amd64, Arch::I386, Arch::Arm64, Arch::Arm] {
                let decoded = decode(arch, &bytes);
                let known = extensions(if arch == Arch::I386 { Arch::Amd64 } else { arch });
                if let Some(decoded) = decoded {
                    prop_assert!(decoded.extensions.iter().all(|word| known.contains(word)));
                    let name = decoded.mnemonic.unwrap_or_default();
                    prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
                }
            }
        }
    }
}
