//! Tiny static ELF programs as bytes: what the tests run natively, emulated or in vain.
//!
//! No assembler and no cross compiler is needed: each program is a few hand-encoded
//! instructions behind an ELF header. This crate does no I/O; whoever wants to run a program
//! writes its bytes to a file.

mod amd64;
mod arm64;
mod elf;
mod i386;

pub use elf::{Ident, broken};

/// An instruction set this crate can encode programs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
    /// 32-bit x86.
    I386,
}

impl Isa {
    /// The instruction set this crate was compiled for, if it is one of these.
    #[must_use]
    pub fn native() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// The one of amd64 and arm64 that this is not: what a node of this kind would emulate.
    #[must_use]
    pub fn foreign(self) -> Self {
        match self {
            Self::Amd64 | Self::I386 => Self::Arm64,
            Self::Arm64 => Self::Amd64,
        }
    }

    /// Kubernetes' word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
            Self::I386 => "386",
        }
    }

    /// What ELF says of programs of this kind.
    #[must_use]
    pub fn ident(self) -> Ident {
        match self {
            Self::Amd64 => Ident {
                machine: 62,
                wide: true,
                big_endian: false,
            },
            Self::Arm64 => Ident {
                machine: 183,
                wide: true,
                big_endian: false,
            },
            Self::I386 => Ident {
                machine: 3,
                wide: false,
                big_endian: false,
            },
        }
    }
}

/// What a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Ends with this exit status.
    Exit(u8),
    /// Counts down from this number (2^32 if 0), then ends with status 0.
    Spin(u32),
    /// Uses the CPU until it is killed.
    Burn,
    /// Sleeps until it is killed.
    Pause,
    /// Forks children that each count down from `iterations`, waits for all, then ends with
    /// status 0.
    Forks {
        /// How many.
        children: u16,
        /// What each counts down from; none of them ends if this is `None`: they sleep.
        iterations: Option<u32>,
    },
}

/// A static executable of `isa` that does what `program` says.
#[must_use]
pub fn build(isa: Isa, program: Program) -> Vec<u8> {
    let code = match isa {
        Isa::Amd64 => amd64::code(program),
        Isa::Arm64 => arm64::code(program),
        Isa::I386 => i386::code(program),
    };
    elf::executable(isa.ident(), &code)
}

/// An executable of a machine that nothing here can encode code for: a valid header, no
/// instructions. It can be refused or emulated, never run.
#[must_use]
pub fn header_only(ident: Ident) -> Vec<u8> {
    elf::executable(ident, &[0; 16])
}
