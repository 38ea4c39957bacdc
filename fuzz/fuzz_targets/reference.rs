//! What pods ask for. Whatever is taken may be part of a URL, and is the same after another round.
#![no_main]

use archtrace_facts::registry::Reference;
use archtrace_facts::text::is_printable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Reference>() {
        Ok(reference) => {
            let whole = reference.to_string();
            assert!(whole.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(!whole.contains(['?', '#', '%', '\\']) && !whole.contains("/../"));
            assert_eq!(whole.parse(), Ok(reference));
        }
        Err(error) => assert!(error.to_string().chars().all(is_printable)),
    }
});
