//! An entry of `binfmt_misc`, and the file that it is asked about; a NUL is between the two.
#![no_main]

use archtrace_facts::binfmt::Rule;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (entry, head) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[][..]),
    };
    match Rule::parse(b"entry", entry) {
        Ok(rule) => {
            let _ = (rule.claims(head), rule.arch(), rule.ident());
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
});
