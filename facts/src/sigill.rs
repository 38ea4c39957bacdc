//! What a process died of when it died of SIGILL, in words.

use crate::arch::Arch;
use crate::cpu;
use crate::fact::{IllegalInstruction, Mode, Origin};
use crate::isa;

/// Instructions whose only purpose is to be illegal: `__builtin_trap` and what languages make of it.
const TRAPS: &[&str] = &["ud0", "ud1", "ud2", "udf"];

impl IllegalInstruction {
    /// One of which nothing is known but who raised the signal.
    #[must_use]
    pub const fn unread(origin: Origin) -> Self {
        Self {
            origin,
            code: 0,
            sender: None,
            address: 0,
            bytes: Vec::new(),
            mnemonic: None,
            extension: None,
            cpu_has: None,
            module: None,
            offset: None,
        }
    }

    /// Fills in what its bytes say: mnemonic, extension, and whether this CPU has that.
    ///
    /// `arch` is that of the process, `features` are the CPU's ([`cpu::Cpu::features`]). Of several
    /// extensions the one is named that the CPU does not have. Bytes are only looked at where the CPU
    /// raised the signal: elsewhere they are not those of an illegal instruction.
    #[must_use]
    pub fn decoded(mut self, arch: Arch, features: &[String]) -> Self {
        let decoded = match self.origin {
            Origin::Cpu => isa::decode(arch, &self.bytes),
            Origin::Itself | Origin::Process => None,
        };
        (self.mnemonic, self.extension, self.cpu_has) = match decoded {
            None => (None, None, None),
            Some(decoded) => {
                let has = |extension: &&str| cpu::has(extension, features, arch);
                let needed = &decoded.extensions;
                // What it lacks explains more than what cannot be told, and that more than what it has.
                let blamed = needed.iter().min_by_key(|extension| match has(extension) {
                    Some(false) => 0,
                    None => 1,
                    Some(true) => 2,
                });
                let cpu_has = blamed.and_then(has);
                (
                    decoded.mnemonic,
                    blamed.map(|word| (*word).to_owned()),
                    cpu_has,
                )
            }
        };
        self
    }

    /// Why it was refused, as the sentence that a person needs. The instruction itself and its place are
    /// left to whoever shows them next to it. `mode` is how the process ran.
    #[must_use]
    pub fn sentence(&self, mode: Mode) -> String {
        match (self.origin, mode) {
            (Origin::Process, _) => match self.sender {
                Some(sender) => format!("sent by process {sender}"),
                None => "sent by another process".to_owned(),
            },
            (_, Mode::Emulated) => {
                "the guest died of SIGILL under its emulator; the instruction is not available"
                    .to_owned()
            }
            (Origin::Itself, _) => "the process sent it to itself".to_owned(),
            (Origin::Cpu, _) => match (&self.extension, self.cpu_has) {
                (Some(extension), Some(false)) => {
                    format!("needs {extension}, this CPU has none")
                }
                (Some(extension), Some(true)) => format!(
                    "needs {extension}, which this CPU has: the kernel or the sandbox may not let it"
                ),
                (Some(extension), None) => {
                    format!("needs {extension}; the kernel does not tell whether this CPU has it")
                }
                (None, _) => self.without_extension().to_owned(),
            },
        }
    }

    /// The sentence for an instruction of which no extension is known.
    fn without_extension(&self) -> &'static str {
        match self.mnemonic.as_deref() {
            Some(trap) if TRAPS.contains(&trap) => "the program ends itself so (a compiler's trap)",
            Some(_) => "needs no extension, but is not allowed here",
            None if self.bytes.is_empty() => "the instruction could not be read",
            None => "no instruction that is known: data, or an extension younger than this agent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZMM: &[u8] = &[0x62, 0xf1, 0x75, 0x48, 0xfe, 0xc2];
    const YMM_VL: &[u8] = &[0x62, 0xf1, 0x75, 0x28, 0xfe, 0xc2];
    const PTRUE: &[u8] = &[0xe0, 0xe3, 0x18, 0x25];

    fn illegal(origin: Origin, bytes: &[u8]) -> IllegalInstruction {
        IllegalInstruction {
            code: i32::from(origin == Origin::Cpu) * 2,
            sender: (origin == Origin::Process).then_some(123),
            address: 0x40_1000,
            bytes: bytes.to_vec(),
            ..IllegalInstruction::unread(origin)
        }
    }

    #[test]
    fn one_sentence_says_why() {
        use Origin::{Cpu, Itself, Process};
        let no_512 = "needs AVX512F, this CPU has none";
        let not_let = "which this CPU has: the kernel or the sandbox may not let it";
        for (arch, bytes, features, origin, mode, sentence) in [
            (Arch::Amd64, ZMM, "avx2", Cpu, Mode::Native, no_512),
            (Arch::I386, ZMM, "avx2", Cpu, Mode::Compat, no_512),
            (
                Arch::Amd64,
                YMM_VL,
                "avx512f",
                Cpu,
                Mode::Native,
                "needs AVX512VL, this CPU has none",
            ),
            (Arch::Amd64, YMM_VL, "avx512vl", Cpu, Mode::Native, no_512),
            (
                Arch::Amd64,
                ZMM,
                "avx512f",
                Cpu,
                Mode::Native,
                &format!("needs AVX512F, {not_let}"),
            ),
            (
                Arch::Arm64,
                PTRUE,
                "fp",
                Cpu,
                Mode::Native,
                "needs SVE, this CPU has none",
            ),
            (
                Arch::Arm64,
                PTRUE,
                "fp sve",
                Cpu,
                Mode::Native,
                &format!("needs SVE, {not_let}"),
            ),
            (
                Arch::Arm64,
                PTRUE,
                "",
                Cpu,
                Mode::Native,
                "needs SVE; the kernel does not tell whether this CPU has it",
            ),
            (
                Arch::Amd64,
                &[0x0f, 0x0b],
                "avx2",
                Cpu,
                Mode::Native,
                "the program ends itself so (a compiler's trap)",
            ),
            (
                Arch::Arm64,
                &[0xad, 0xde, 0, 0],
                "fp",
                Cpu,
                Mode::Native,
                "the program ends itself so (a compiler's trap)",
            ),
            (
                Arch::Arm64,
                &[0, 0, 0x38, 0xd5],
                "fp",
                Cpu,
                Mode::Native,
                "needs no extension, but is not allowed here",
            ),
            (
                Arch::Amd64,
                &[0x06, 0x06],
                "avx2",
                Cpu,
                Mode::Native,
                "no instruction that is known: data, or an extension younger than this agent",
            ),
            (
                Arch::Amd64,
                &[],
                "avx2",
                Cpu,
                Mode::Native,
                "the instruction could not be read",
            ),
            (
                Arch::Amd64,
                ZMM,
                "avx2",
                Process,
                Mode::Native,
                "sent by process 123",
            ),
            (
                Arch::Amd64,
                ZMM,
                "avx2",
                Process,
                Mode::Emulated,
                "sent by process 123",
            ),
            (
                Arch::Amd64,
                ZMM,
                "avx2",
                Itself,
                Mode::Native,
                "the process sent it to itself",
            ),
            (
                Arch::Arm64,
                ZMM,
                "fp",
                Itself,
                Mode::Emulated,
                "the guest died of SIGILL under its emulator; the instruction is not available",
            ),
        ] {
            let features: Vec<_> = features.split_whitespace().map(str::to_owned).collect();
            let instruction = illegal(origin, bytes).decoded(arch, &features);
            assert_eq!(instruction.sentence(mode), sentence);
        }
    }

    #[test]
    fn only_the_cpus_own_refusal_is_decoded() {
        let sent = illegal(Origin::Itself, ZMM).decoded(Arch::Amd64, &["avx2".to_owned()]);
        assert_eq!(sent, illegal(Origin::Itself, ZMM));
    }
}
