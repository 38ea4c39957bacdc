//! A block of a tar archive, and the records of its extended headers.
#![no_main]

use archtrace_facts::tar::{BLOCK, Header, Pax, sparse_goes_on};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let pax = Pax::of(bytes);
    if let Some(block) = bytes.first_chunk::<BLOCK>() {
        let _ = sparse_goes_on(block);
        if let Ok(Some(mut header)) = Header::of(block) {
            header.extend(pax);
            if let Some(padded) = header.padded() {
                assert!(padded >= header.size && padded - header.size < BLOCK as u64);
            }
        }
    }
});
