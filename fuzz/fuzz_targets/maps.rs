//! `/proc/<pid>/maps`.
#![no_main]

use archtrace_facts::maps;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for mapping in maps::parse(bytes) {
        assert_eq!(mapping.offset_of(mapping.end), None);
        let _ = mapping.offset_of(mapping.start);
        if mapping.start < mapping.end {
            assert!(maps::at(bytes, mapping.start).is_some());
        }
    }
});
