//! Hashes of names, where a file's inode is out of sight.
//!
//! Only the first 255 bytes count: two names that are alike that far share a counter.

use archtrace_ebpf::abi::{INTERP_LEN, hash_words};
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user_str};

use crate::state::Scratch;

/// The hash of a string in kernel memory.
#[inline(always)]
pub(crate) fn hash_kernel(scratch: *mut Scratch, seed: u64, string: *const u8) -> u64 {
    // SAFETY: a per-CPU map value that only this program uses while it runs. The buffer is zeroed
    // first, so that only this string counts, and is as large as said.
    unsafe {
        (*scratch).words = [0; INTERP_LEN / 8];
        let words = &raw mut (*scratch).words;
        bpf_probe_read_kernel_str(words.cast(), INTERP_LEN as u32, string.cast());
        hash_words(seed, &*words)
    }
}

/// The hash of a string in the current process's memory.
#[inline(always)]
pub(crate) fn hash_user(scratch: *mut Scratch, seed: u64, string: *const u8) -> u64 {
    // SAFETY: as in `hash_kernel`; the helper checks the source.
    unsafe {
        (*scratch).words = [0; INTERP_LEN / 8];
        let words = &raw mut (*scratch).words;
        bpf_probe_read_user_str(words.cast(), INTERP_LEN as u32, string.cast());
        hash_words(seed, &*words)
    }
}
