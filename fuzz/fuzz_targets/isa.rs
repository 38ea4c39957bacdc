//! The bytes at which a process died of SIGILL.
#![no_main]

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{IllegalInstruction, Mode, Origin};
use archtrace_facts::isa::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for arch in [Arch::Amd64, Arch::I386, Arch::Arm64, Arch::Arm] {
        let decoded = decode(arch, bytes);
        let instruction = IllegalInstruction {
            bytes: bytes.to_vec(),
            ..IllegalInstruction::unread(Origin::Cpu)
        };
        let instruction = instruction.decoded(arch, &["avx2".to_owned(), "atomics".to_owned()]);
        assert_eq!(
            instruction.mnemonic,
            decoded.and_then(|decoded| decoded.mnemonic)
        );
        assert!(!instruction.sentence(Mode::Native).is_empty());
    }
});
