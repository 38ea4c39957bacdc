//! The start of a file that somebody wants executed: its kind, its headers, why it was refused.
#![no_main]

use archtrace_facts::arch::Arch;
use archtrace_facts::elf::header::Header;
use archtrace_facts::elf::{Head, shebang};
use archtrace_facts::emulator;
use archtrace_facts::failure::{FileStart, Refused, cause};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let head = Head::of(bytes);
    let script = shebang(bytes);
    if let Some(header) = Header::of(bytes) {
        assert!(head.ident().is_some(), "a header has an identification");
        let segments = header.segments(bytes).count();
        assert!(segments <= usize::from(header.phnum));
        let _ = header.end();
        for address in [0, header.phoff, u64::MAX] {
            let _ = header.code_offset(bytes, header.phoff, address);
        }
    }
    for range in emulator::ranges(bytes) {
        assert!(range.start <= range.end);
    }
    for errno in [0, 2, 8, 80] {
        for size in [None, Some(bytes.len() as u64), Some(u64::MAX)] {
            let _ = cause(
                Arch::Amd64,
                Some(false),
                &Refused {
                    errno,
                    head: Some(head),
                    file: Some(FileStart { bytes, size }),
                    interpreter: script,
                    claimed: false,
                },
            );
        }
    }
});
