//! Architectures, in the words that Kubernetes uses for them (the GOARCH names).

use std::fmt;
use std::str::FromStr;

use crate::elf::{Class, Data, Ident};
use crate::text::escape;

/// `e_machine` values (`<elf.h>`, `EM_*`) that this crate gives a name.
pub mod em {
    #![expect(missing_docs, reason = "the names are those of <elf.h>")]
    pub const I386: u16 = 3;
    pub const M68K: u16 = 4;
    pub const MIPS: u16 = 8;
    pub const PARISC: u16 = 15;
    pub const PPC: u16 = 20;
    pub const PPC64: u16 = 21;
    pub const S390: u16 = 22;
    pub const ARM: u16 = 40;
    pub const SPARCV9: u16 = 43;
    pub const X86_64: u16 = 62;
    pub const AARCH64: u16 = 183;
    pub const RISCV: u16 = 243;
    pub const LOONGARCH: u16 = 258;
}

/// The instruction set of a program or of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// x86-64 with 32-bit pointers (x32).
    Amd64p32,
    /// 32-bit x86.
    I386,
    /// 64-bit Arm, little-endian.
    Arm64,
    /// 64-bit Arm, big-endian.
    Arm64be,
    /// 32-bit Arm, little-endian.
    Arm,
    /// 32-bit Arm, big-endian.
    Armbe,
    /// 64-bit RISC-V.
    Riscv64,
    /// 32-bit RISC-V.
    Riscv,
    /// IBM Z, 64-bit.
    S390x,
    /// POWER, 64-bit little-endian.
    Ppc64le,
    /// POWER, 64-bit big-endian.
    Ppc64,
    /// LoongArch, 64-bit.
    Loong64,
    /// MIPS, 64-bit big-endian.
    Mips64,
    /// MIPS, 64-bit little-endian.
    Mips64le,
    /// MIPS, 32-bit big-endian.
    Mips,
    /// MIPS, 32-bit little-endian.
    Mipsle,
    /// An ELF machine without a Kubernetes name; the value is `e_machine`.
    Other(u16),
    /// Nothing said which: the file was not ELF, or was gone before it could be read.
    Unknown,
}

/// Every architecture that has a name, with that name.
const NAMES: [(Arch, &str); 18] = [
    (Arch::Amd64, "amd64"),
    (Arch::Amd64p32, "amd64p32"),
    (Arch::I386, "386"),
    (Arch::Arm64, "arm64"),
    (Arch::Arm64be, "arm64be"),
    (Arch::Arm, "arm"),
    (Arch::Armbe, "armbe"),
    (Arch::Riscv64, "riscv64"),
    (Arch::Riscv, "riscv"),
    (Arch::S390x, "s390x"),
    (Arch::Ppc64le, "ppc64le"),
    (Arch::Ppc64, "ppc64"),
    (Arch::Loong64, "loong64"),
    (Arch::Mips64, "mips64"),
    (Arch::Mips64le, "mips64le"),
    (Arch::Mips, "mips"),
    (Arch::Mipsle, "mipsle"),
    (Arch::Unknown, "unknown"),
];

impl Arch {
    /// Its name, or `other`: one of few words, where a name that somebody else chooses would be one too many.
    #[must_use]
    pub fn word(self) -> &'static str {
        let named = NAMES.iter().find(|(arch, _)| *arch == self);
        named.map_or("other", |(_, name)| name)
    }

    /// The architecture that an ELF identification stands for.
    ///
    /// Machine, class and byte order together decide (System V gABI, "ELF Identification"):
    /// `EM_X86_64` with `ELFCLASS32` is x32, `EM_PPC64` little-endian is `ppc64le`.
    #[must_use]
    pub fn of(ident: Ident) -> Self {
        use Class::{Elf32, Elf64};
        use Data::{Big, Little};
        match (ident.machine, ident.class, ident.data) {
            (0, _, _) => Self::Unknown,
            (em::X86_64, Elf64, Little) => Self::Amd64,
            (em::X86_64, Elf32, Little) => Self::Amd64p32,
            (em::I386, Elf32, Little) => Self::I386,
            (em::AARCH64, Elf64, Little) => Self::Arm64,
            (em::AARCH64, Elf64, Big) => Self::Arm64be,
            (em::ARM, Elf32, Little) => Self::Arm,
            (em::ARM, Elf32, Big) => Self::Armbe,
            (em::RISCV, Elf64, _) => Self::Riscv64,
            (em::RISCV, Elf32, _) => Self::Riscv,
            (em::S390, Elf64, Big) => Self::S390x,
            (em::PPC64, Elf64, Little) => Self::Ppc64le,
            (em::PPC64, Elf64, Big) => Self::Ppc64,
            (em::LOONGARCH, Elf64, Little) => Self::Loong64,
            (em::MIPS, Elf64, Big) => Self::Mips64,
            (em::MIPS, Elf64, Little) => Self::Mips64le,
            (em::MIPS, Elf32, Big) => Self::Mips,
            (em::MIPS, Elf32, Little) => Self::Mipsle,
            (machine, _, _) => Self::Other(machine),
        }
    }

    /// The 32-bit architecture that CPUs of this one may run too, if any.
    #[must_use]
    pub fn compat(self) -> Option<Self> {
        match self {
            Self::Amd64 => Some(Self::I386),
            Self::Arm64 => Some(Self::Arm),
            _ => None,
        }
    }

    /// The architecture this crate was compiled for: that of the node an agent runs on.
    #[must_use]
    pub fn of_this_build() -> Self {
        match std::env::consts::ARCH {
            "x86_64" => Self::Amd64,
            "aarch64" => Self::Arm64,
            "riscv64" => Self::Riscv64,
            "s390x" => Self::S390x,
            "powerpc64" if cfg!(target_endian = "little") => Self::Ppc64le,
            _ => Self::Unknown,
        }
    }

    /// `e_machine` of this architecture, for those an agent can run on.
    #[must_use]
    pub fn machine(self) -> u16 {
        match self {
            Self::Amd64 | Self::Amd64p32 => em::X86_64,
            Self::I386 => em::I386,
            Self::Arm64 | Self::Arm64be => em::AARCH64,
            Self::Arm | Self::Armbe => em::ARM,
            Self::Riscv64 | Self::Riscv => em::RISCV,
            Self::S390x => em::S390,
            Self::Ppc64le | Self::Ppc64 => em::PPC64,
            Self::Loong64 => em::LOONGARCH,
            Self::Mips64 | Self::Mips64le | Self::Mips | Self::Mipsle => em::MIPS,
            Self::Other(machine) => machine,
            Self::Unknown => 0,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, NAMES.iter().find(|(arch, _)| arch == self)) {
            (_, Some((_, name))) => f.pad(name),
            (Self::Other(machine), None) => f.pad(&format!("em_{machine}")),
            (_, None) => f.pad("unknown"),
        }
    }
}

/// A text that names no architecture. It may be a peer's, and is told in printable form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is no architecture; Kubernetes' names are amd64, arm64, arm, 386, riscv64, s390x, ppc64le"
)]
pub struct ParseArchError(String);

impl FromStr for Arch {
    type Err = ParseArchError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((arch, _)) = NAMES.iter().find(|(_, name)| *name == text) {
            return Ok(*arch);
        }
        text.strip_prefix("em_")
            .and_then(|machine| machine.parse().ok())
            .map(Self::Other)
            .ok_or_else(|| ParseArchError(escape(text.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::is_printable;
    use proptest::prelude::*;

    #[test]
    fn machine_class_and_byte_order_decide_together() {
        for (machine, class, data, name) in [
            (em::X86_64, Class::Elf64, Data::Little, "amd64"),
            (em::X86_64, Class::Elf32, Data::Little, "amd64p32"),
            (em::X86_64, Class::Elf64, Data::Big, "em_62"),
            (em::I386, Class::Elf32, Data::Little, "386"),
            (em::AARCH64, Class::Elf64, Data::Little, "arm64"),
            (em::ARM, Class::Elf32, Data::Little, "arm"),
            (em::PPC64, Class::Elf64, Data::Little, "ppc64le"),
            (em::S390, Class::Elf64, Data::Big, "s390x"),
            (em::S390, Class::Elf32, Data::Big, "em_22"),
            (em::RISCV, Class::Elf64, Data::Little, "riscv64"),
            (0x9026, Class::Elf64, Data::Little, "em_36902"),
            (0, Class::Elf64, Data::Little, "unknown"),
        ] {
            let arch = Arch::of(Ident {
                class,
                data,
                machine,
            });
            assert_eq!(
                arch.to_string(),
                name,
                "machine {machine} {class:?} {data:?}"
            );
        }
    }

    #[test]
    fn unknown_words_are_refused_with_the_known_ones() {
        let error = "x86_64".parse::<Arch>().expect_err("not Kubernetes' word");
        assert!(error.to_string().contains("amd64"), "{error}");
        let error = "a\n\x1b[2J".parse::<Arch>().expect_err("no word at all");
        assert!(error.to_string().chars().all(is_printable), "{error}");
    }

    proptest! {
        #[test]
        fn names_are_read_back(machine: u16, wide: bool, little: bool) {
            let class = if wide { Class::Elf64 } else { Class::Elf32 };
            let data = if little { Data::Little } else { Data::Big };
            let arch = Arch::of(Ident { class, data, machine });
            prop_assert_eq!(arch.to_string().parse(), Ok(arch));
        }
    }
}
