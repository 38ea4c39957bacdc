//! Which CPU a node has, and what it is able to do, from `/proc/cpuinfo`.

mod models;
mod words;

use crate::arch::Arch;
use crate::text::escape;

/// CPUs have a few hundred.
const MAX_FEATURES: usize = 1024;

/// The CPU of a node, by its first processor. All texts are printable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Its model: the name that amd64 CPUs carry, or for arm64 the name of the core's design
    /// (`Neoverse-V1`). Empty if nothing says.
    pub model: String,
    /// `Graviton3` and the like, by the core's design; empty for others. The design alone does not
    /// prove that the machine is AWS's: others build servers of the same cores.
    pub generation: String,
    /// What it has and the kernel lets processes use, in the kernel's words (`flags` of amd64,
    /// `Features` of arm64), sorted, each once.
    pub features: Vec<String>,
}

impl Cpu {
    /// Reads the text of `/proc/cpuinfo` (arch/x86/kernel/cpu/proc.c, arch/arm64/kernel/cpuinfo.c).
    #[must_use]
    pub fn parse(info: &str) -> Self {
        let field = |name: &str| {
            info.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key.trim() == name).then(|| value.trim())
            })
        };
        let number = |name| {
            let digits = field(name)?.strip_prefix("0x")?;
            u16::from_str_radix(digits, 16).ok()
        };
        let midr = number("CPU implementer").zip(number("CPU part"));
        let (model, generation) = match (field("model name"), midr) {
            (Some(name), None) => (name.to_owned(), ""),
            (_, Some((implementer, part))) => models::arm(implementer, part),
            (None, None) => (String::new(), ""),
        };
        let features = field("flags")
            .or_else(|| field("Features"))
            .unwrap_or_default();
        let mut features: Vec<_> = features
            .split_ascii_whitespace()
            .map(|word| escape(word.as_bytes()))
            .collect();
        features.sort_unstable();
        features.dedup();
        // No CPU has as many; more are not taken by whoever is told of them.
        features.truncate(MAX_FEATURES);
        Self {
            model: escape(model.as_bytes()),
            generation: generation.to_owned(),
            features,
        }
    }
}

/// Whether a CPU with these `features` ([`Cpu::features`]) has an extension (a word of
/// [`crate::isa::Decoded::extensions`]).
///
/// `None` if that cannot be told: the kernel has no word for it, or no features are known.
#[must_use]
pub fn has(extension: &str, features: &[String], arch: Arch) -> Option<bool> {
    if features.is_empty() {
        return None;
    }
    let needed = words::of(extension, arch)?;
    Some(
        needed
            .iter()
            .all(|word| features.iter().any(|feature| feature == word)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(info: &str, model: &str, generation: &str, features: &[&str]) {
        let cpu = Cpu::parse(info);
        assert_eq!(
            (cpu.model.as_str(), cpu.generation.as_str()),
            (model, generation)
        );
        assert_eq!(cpu.features, features);
    }

    #[test]
    fn both_families_name_their_cpu() {
        for (info, model, generation, features) in [
            (
                "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t\t: sse2 fpu fpu\n\
                 vmx flags\t: vnmi\n\nprocessor\t: 1\nmodel name\t: Another\nflags\t\t: avx\n",
                "Some CPU @ 3 GHz",
                "",
                &["fpu", "sse2"][..],
            ),
            (
                "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: sve fp asimd\nCPU implementer\t: 0x41\n\
                 CPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd40\nCPU revision\t: 1\n",
                "Neoverse-V1",
                "Graviton3",
                &["asimd", "fp", "sve"],
            ),
            (
                "CPU implementer : 0x41\nCPU part : 0xd08\n",
                "Cortex-A72",
                "Graviton",
                &[],
            ),
            (
                "CPU implementer : 0x41\nCPU part : 0xd0c\n",
                "Neoverse-N1",
                "Graviton2",
                &[],
            ),
            (
                "CPU implementer : 0x41\nCPU part : 0xd4f\n",
                "Neoverse-V2",
                "Graviton4",
                &[],
            ),
            (
                "CPU implementer : 0x41\nCPU part : 0xd07\n",
                "Cortex-A57",
                "",
                &[],
            ),
            (
                "CPU implementer : 0xc0\nCPU part : 0xd40\n",
                "implementer 0xc0 part 0xd40",
                "",
                &[],
            ),
            (
                "CPU implementer : 0x41\nCPU part : 0xfff\n",
                "implementer 0x41 part 0xfff",
                "",
                &[],
            ),
            ("CPU implementer : 65\nCPU part : ?\n", "", "", &[]),
            (
                "model name : a\u{1b}b\nflags : x\u{7}\n",
                r"a\x1bb",
                "",
                &[r"x\x07"],
            ),
            ("", "", "", &[]),
        ] {
            check(info, model, generation, features);
        }
    }

    #[test]
    fn extensions_are_looked_for_by_the_kernels_words() {
        for (extension, features, arch, has_it) in [
            ("AVX512F", &["avx512f"][..], Arch::Amd64, Some(true)),
            ("AVX512F", &["avx2"], Arch::Amd64, Some(false)),
            ("SSE4.2", &["sse4_2"], Arch::I386, Some(true)),
            ("SSE3", &["pni"], Arch::Amd64, Some(true)),
            ("SVE", &["atomics"], Arch::Arm64, Some(false)),
            ("LSE", &["atomics"], Arch::Arm64, Some(true)),
            ("PAC", &["paca", "pacg"], Arch::Arm64, Some(true)),
            ("SHA512", &["sha512"], Arch::Arm64, Some(true)),
            ("SHA512", &["sha_ni"], Arch::Amd64, None),
            ("LOR", &["atomics"], Arch::Arm64, None),
            ("SVE", &[], Arch::Arm64, None),
            ("SVE", &["avx2"], Arch::Amd64, None),
            ("no such word", &["fp"], Arch::Arm64, None),
        ] {
            let features: Vec<_> = features.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(
                has(extension, &features, arch),
                has_it,
                "{extension} in {features:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_printable_sorted_words(lines in prop::collection::vec(
            "(flags|Features|model name|CPU implementer|CPU part|x) ?:? ?(0x)?.{0,12}", 0..8
        )) {
            let cpu = Cpu::parse(&lines.join("\n"));
            prop_assert!(cpu.features.is_sorted());
            let mut texts = cpu.features.iter().chain([&cpu.model]);
            let printable = texts.all(|text| text.chars().all(crate::text::is_printable));
            prop_assert!(printable, "{cpu:?}");
        }
    }
}
