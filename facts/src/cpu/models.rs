//! arm64 cores by the fields of MIDR_EL1.

/// Arm Limited (Arm ARM, "MIDR_EL1, Main ID Register", Implementer).
const ARM: u16 = 0x41;

/// Part number, the name of the design, and the generation of Graviton that is made of it.
///
/// The numbers are those of arch/arm64/include/asm/cputype.h; the generations those of AWS's
/// "Graviton Technical Guide". A new generation is one more row here.
const PARTS: &[(u16, &str, &str)] = &[
    (0xd03, "Cortex-A53", ""),
    (0xd05, "Cortex-A55", ""),
    (0xd07, "Cortex-A57", ""),
    (0xd08, "Cortex-A72", "Graviton"),
    (0xd09, "Cortex-A73", ""),
    (0xd0a, "Cortex-A75", ""),
    (0xd0b, "Cortex-A76", ""),
    (0xd0c, "Neoverse-N1", "Graviton2"),
    (0xd0d, "Cortex-A77", ""),
    (0xd40, "Neoverse-V1", "Graviton3"),
    (0xd41, "Cortex-A78", ""),
    (0xd44, "Cortex-X1", ""),
    (0xd46, "Cortex-A510", ""),
    (0xd47, "Cortex-A710", ""),
    (0xd48, "Cortex-X2", ""),
    (0xd49, "Neoverse-N2", ""),
    (0xd4a, "Neoverse-E1", ""),
    (0xd4b, "Cortex-A78C", ""),
    (0xd4f, "Neoverse-V2", "Graviton4"),
    (0xd80, "Cortex-A520", ""),
    (0xd81, "Cortex-A720", ""),
    (0xd84, "Neoverse-V3", ""),
    (0xd8e, "Neoverse-N3", ""),
];

/// The model, and the generation of Graviton (or nothing).
pub(super) fn arm(implementer: u16, part: u16) -> (String, &'static str) {
    match PARTS
        .iter()
        .find(|(number, ..)| implementer == ARM && *number == part)
    {
        Some((_, name, generation)) => ((*name).to_owned(), generation),
        None => (
            format!("implementer {implementer:#04x} part {part:#05x}"),
            "",
        ),
    }
}
