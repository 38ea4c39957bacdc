//! Names as numbers: both sides hash them alike.

use super::INTERP_LEN;

/// Hashes names for [`super::ident::HASHED`] keys: `bytes` zero-padded to whole words.
///
/// A multiply-and-rotate hash with a secret seed; good enough to tell names apart, and short
/// enough for the verifier.
#[must_use]
#[inline(always)]
pub fn hash_words<const N: usize>(seed: u64, words: &[u64; N]) -> u64 {
    let mut hash = seed;
    let mut i = 0;
    while i < N {
        hash = (hash.rotate_left(5) ^ words[i]).wrapping_mul(0x517c_c1b7_2722_0a95);
        i += 1;
    }
    hash ^ (hash >> 32)
}

/// [`hash_words`] of an interpreter string, as the programs compute it.
#[must_use]
pub fn hash_interpreter(seed: u64, name: &[u8]) -> u64 {
    let mut words = [0_u64; INTERP_LEN / 8];
    // The kernel's copy ends with a NUL within INTERP_LEN.
    for (i, byte) in name.iter().take(INTERP_LEN - 1).enumerate() {
        words[i / 8] |= u64::from(*byte) << (8 * (i % 8));
    }
    hash_words(seed, &words)
}

const _: () = assert!(
    cfg!(target_endian = "little"),
    "interpreter strings are hashed as little-endian words"
);

#[cfg(test)]
mod tests {
    use super::hash_interpreter;

    #[test]
    fn interpreters_hash_apart_and_are_cut_where_the_kernel_cuts_them() {
        let long = [b'a'; 300];
        assert_ne!(
            hash_interpreter(1, b"/bin/sh"),
            hash_interpreter(1, b"/bin/sh2")
        );
        assert_ne!(
            hash_interpreter(1, b"/bin/sh"),
            hash_interpreter(2, b"/bin/sh")
        );
        assert_eq!(
            hash_interpreter(1, &long),
            hash_interpreter(1, &long[..255])
        );
    }
}
