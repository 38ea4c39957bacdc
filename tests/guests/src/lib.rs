//! Tiny static ELF programs as bytes: what the tests run natively, emulated or in vain.
//!
//! No assembler and no cross compiler is needed: each program is a few hand-encoded
//! instructions behind an ELF header. This crate does no I/O; whoever wants to run a program
//! writes its bytes to a file.

mod amd64;
mod arm;
mod arm64;
mod elf;
mod i386;
pub mod zip;

pub use elf::{Flaw, Ident, broken};

/// An instruction set this crate can encode programs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
    /// 32-bit x86. Of the programs, it has those up to [`Program::Forks`]; the others execute an
    /// undefined instruction.
    I386,
    /// 32-bit Arm with the hard-float ABI. It has the same programs as 386.
    Arm,
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
            Self::Arm64 | Self::Arm => Self::Amd64,
        }
    }

    /// The 32-bit mode of the same CPU family.
    #[must_use]
    pub fn compat(self) -> Self {
        match self {
            Self::Amd64 | Self::I386 => Self::I386,
            Self::Arm64 | Self::Arm => Self::Arm,
        }
    }

    /// Kubernetes' word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
            Self::I386 => "386",
            Self::Arm => "arm",
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
            Self::Arm => Ident {
                machine: 40,
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
    /// Executes an instruction, then ends with status 0: nothing happens where the CPU has it.
    Execute(Instruction),
    /// Sends SIGILL to itself.
    Raise,
    /// Executes an undefined instruction, and ends with status 0 in its handler of SIGILL.
    Probe,
    /// Executes the file that its first argument names, with the arguments from there on and an
    /// empty environment; ends with status 1 if that is refused.
    Exec,
    /// The same, but by another thread than the first.
    ExecInThread,
    /// The same, of an emulator by its content.
    ExecByEmulator,
    /// Forks a child that does what `Exec` does, waits for it, and so on; ends with status 0.
    Shell {
        /// How often.
        times: u32,
    },
    /// Maps the file that its last argument names, and sleeps until it is killed. By its content it
    /// is an emulator, and by what it maps; it interprets nothing.
    Load(Emulator),
}

/// An instruction that not every CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// One that no CPU has; so are those below on other CPUs than theirs.
    Undefined,
    /// amd64: `vpaddd` of 512-bit registers.
    Avx512,
    /// arm64: `cntb`, the length of a vector.
    Sve,
    /// arm64: `ldadd`, an atomic addition.
    Lse,
}

/// An emulator that is started without `binfmt_misc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulator {
    /// None: a program that reads other files.
    None,
    /// By the names of the variables that set box64 up.
    Box64,
    /// By those of user-mode QEMU.
    Qemu,
    /// User-mode QEMU as BuildKit has it: given one argument it executes `/proc/self/exe`, with
    /// the arguments `-0 file file`.
    BuildKit,
}

impl Emulator {
    /// What tells its kind, as constants in the program. They get their ends here only, so that
    /// programs with this crate in them are no emulators by their content.
    pub(crate) fn strings(self) -> Vec<u8> {
        let names: &[&str] = match self {
            Self::None => &[],
            Self::Box64 => &["BOX64_DYNAREC", "BOX64_LOG"],
            Self::Qemu | Self::BuildKit => &["QEMU_LD_PREFIX", "QEMU_SET_ENV"],
        };
        names
            .iter()
            .flat_map(|name| name.bytes().chain([0]))
            .collect()
    }
}

/// A static executable of `isa` that does what `program` says.
#[must_use]
pub fn build(isa: Isa, program: Program) -> Vec<u8> {
    elf::executable(isa.ident(), &code(isa, program))
}

/// The same, but with an ELF interpreter (`PT_INTERP`), as dynamically linked programs have one.
#[must_use]
pub fn dynamic(isa: Isa, program: Program, interpreter: &[u8]) -> Vec<u8> {
    elf::dynamic(isa.ident(), &code(isa, program), interpreter)
}

/// A program of `isa` whose header has a flaw.
#[must_use]
pub fn flawed(isa: Isa, flaw: Flaw) -> Vec<u8> {
    elf::flawed(isa.ident(), &code(isa, Program::Exit(0)), flaw)
}

fn code(isa: Isa, program: Program) -> Vec<u8> {
    match isa {
        Isa::Amd64 => amd64::code(program),
        Isa::Arm64 => arm64::code(program),
        Isa::I386 => i386::code(program),
        Isa::Arm => arm::code(program),
    }
}

/// An executable of a machine that nothing here can encode code for: a valid header, no
/// instructions. It can be refused or emulated, never run.
#[must_use]
pub fn header_only(ident: Ident) -> Vec<u8> {
    elf::executable(ident, &[0; 16])
}
