//! `/proc/cpuinfo`.
#![no_main]

use archtrace_facts::arch::Arch;
use archtrace_facts::cpu::{Cpu, has};
use archtrace_facts::text::is_printable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|info: &str| {
    let cpu = Cpu::parse(info);
    for text in cpu.features.iter().chain([&cpu.model, &cpu.generation]) {
        assert!(text.chars().all(is_printable), "{text:?}");
    }
    assert!(cpu.features.is_sorted());
    for extension in ["AVX512F", "SVE", info] {
        for arch in [Arch::Amd64, Arch::Arm64, Arch::Riscv64] {
            let _ = has(extension, &cpu.features, arch);
        }
    }
});
