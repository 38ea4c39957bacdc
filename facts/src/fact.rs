//! The vocabulary: what is known of a binary, what happened, what was lost.

use std::fmt;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::arch::Arch;
use crate::text::escape;

/// Defines an enum whose variants have one spelling each: in JSON, tables, flags and the store.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The one spelling that people and machines see.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::fact::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let known = Self::ALL.iter().map(|value| value.as_str());
                    $crate::fact::UnknownWord::new(text, $what, known)
                })
            }
        }
    };
}

pub(crate) use words;

/// A word that is none of those a type has, in printable form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{text}' is no {what}; the known ones are {known}")]
pub struct UnknownWord {
    text: String,
    what: &'static str,
    known: String,
}

impl UnknownWord {
    /// `text` is no `what`, such as the words `known` are.
    pub(crate) fn new(
        text: &str,
        what: &'static str,
        known: impl Iterator<Item = &'static str>,
    ) -> Self {
        let known: Vec<_> = known.collect();
        Self {
            text: escape(text.as_bytes()),
            what,
            known: known.join(", "),
        }
    }
}

words! {
    /// How a binary ran.
    Mode, "execution mode" {
        /// By the CPU, as the node's own instruction set.
        Native = "native",
        /// By the CPU, in its 32-bit mode.
        Compat = "compat",
        /// By another program that interprets its instructions.
        Emulated = "emulated",
        /// Not at all: the kernel refused to execute it.
        Failed = "failed",
    }
}

words! {
    /// Why the kernel refused an exec.
    Cause, "cause" {
        /// An ELF file of a machine that this node neither runs nor emulates.
        ForeignElf = "foreign_elf",
        /// Its first bytes are not there: the file has no byte at all.
        EmptyFile = "empty_file",
        /// An ELF file that ends before its headers do.
        TruncatedElf = "truncated_elf",
        /// An ELF file of this machine whose header the kernel does not take.
        CorruptElf = "corrupt_elf",
        /// Text that does not start with `#!`. A shell would run it; the kernel does not.
        NoShebang = "no_shebang",
        /// The file names an interpreter (`PT_INTERP`, or after `#!`) that is not there.
        MissingInterpreter = "missing_interpreter",
        /// The file names an ELF interpreter that is not for its machine, or is no ELF file.
        WrongInterpreter = "wrong_interpreter",
        /// A `binfmt_misc` handler claims the file, but its emulator is not there (in the container:
        /// without the flag `F` it is looked for in there).
        MissingEmulator = "missing_emulator",
        /// A 32-bit file of this CPU's family, where the CPU or the kernel has no 32-bit mode.
        No32Bit = "no_32bit_support",
        /// This machine's number in the other byte order.
        WrongByteOrder = "wrong_byte_order",
        /// This machine's number in a class that the kernel does not run, such as x32.
        WrongClass = "wrong_class",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// What happened.
    EventKind, "event kind" {
        /// A binary was started under an emulator.
        EmulatedExec = "emulated_exec",
        /// The kernel refused to execute a file.
        FailedExec = "failed_exec",
        /// A process died of SIGILL. One that handles the signal probes its CPU, and is no event.
        IllegalInstruction = "illegal_instruction",
    }
}

words! {
    /// What happened to a handler of `binfmt_misc`.
    HandlerChangeKind, "change of a handler" {
        /// It was registered, or enabled.
        Added = "handler_added",
        /// It was taken out, or disabled.
        Removed = "handler_removed",
    }
}

words! {
    /// How a guest came to its emulator.
    Via, "way to an emulator" {
        /// The kernel put the emulator in front, because a `binfmt_misc` handler claims the file.
        BinfmtMisc = "binfmt_misc",
        /// Somebody started the emulator with the guest as an argument.
        Direct = "direct",
        /// BuildKit did, in a build for another platform.
        Build = "build",
    }
}

words! {
    /// Who raised a signal.
    Origin, "origin of a signal" {
        /// The kernel, because the CPU refused an instruction (`si_code` above 0, sigaction(2)).
        Cpu = "cpu",
        /// The process that got it: what an emulator does when its guest dies, and abort-like code.
        Itself = "self",
        /// Another process.
        Process = "process",
    }
}

words! {
    /// Where on its way something was dropped.
    Stage, "stage" {
        /// The map of counters in the kernel was full: counted as "other", without a name.
        KernelMap = "kernel_map",
        /// The ring buffer was full when an event was to be sent.
        RingBuffer = "ring_buffer",
        /// Too many foreign execs were in flight at once to remember each one's first pass.
        InFlight = "in_flight",
        /// The kernel did not run a program of ours, because it was running already.
        ProgramMissed = "program_missed",
        /// The map of emulated tasks was full: their CPU time is missing.
        TaskMap = "task_map",
        /// The agent's queue of events was full because the collector did not take them.
        EventQueue = "event_queue",
        /// What waited on the agent's disk was too much, too old or damaged.
        Spool = "spool",
        /// The agent's table of facts was full.
        FactTable = "fact_table",
        /// A file or process was not looked at: it hung, vanished, or too many waited for their turn.
        Inspection = "inspection",
        /// Told without knowing whose it is: its cgroup, or with cgroup v1 its process, was gone.
        Attribution = "attribution",
        /// No agent was attached.
        AgentDown = "agent_down",
    }
}

/// The identity of a fact: two execs with the same key are told as one fact.
///
/// Made of names, not of inodes, so that it survives a restart of the agent and an upgrade in
/// place. All texts are printable ([`crate::text::escape`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactKey {
    /// Path of the cgroup (v2) in its hierarchy, such as `/system.slice/cron.service`; empty when
    /// it could not be found.
    pub cgroup: String,
    /// The guest binary as its process names it: an absolute path in that process's mount
    /// namespace where `path_resolved`, else as it was given to `execve`.
    pub binary: String,
    /// Whether `binary` is absolute.
    pub path_resolved: bool,
    /// Instruction set of `binary`.
    pub arch: Arch,
    /// How it ran.
    pub mode: Mode,
    /// The program that interprets it, as `binfmt_misc` registered it, or where nothing did, its
    /// own path; only when emulated.
    pub emulator: Option<String>,
    /// How it came to that program; only when emulated.
    pub via: Option<Via>,
    /// Why it failed; only when failed.
    pub cause: Option<Cause>,
}

/// A short, stable name of a [`FactKey`] within its node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactId(pub [u8; 16]);

impl fmt::Debug for FactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FactKey {
    /// About how many bytes it takes in a message: names are as long as containers like.
    #[must_use]
    pub fn weight(&self) -> usize {
        let emulator = self.emulator.as_ref().map_or(0, String::len);
        // Times, numbers and tags take some 150.
        200 + self.cgroup.len() + self.binary.len() + emulator
    }

    /// The binary as people are shown it.
    #[must_use]
    pub fn shown_binary(&self) -> String {
        if self.path_resolved {
            self.binary.clone()
        } else {
            format!("{} (as given)", self.binary)
        }
    }

    /// The first 16 bytes of SHA-256 over the fields, each followed by a NUL (which no field can
    /// hold). A cryptographic hash, because containers choose their files' names.
    ///
    /// What comes by `binfmt_misc` is hashed without saying so: it was so before there were other
    /// ways, and stores keep facts by these ids.
    #[must_use]
    pub fn id(&self) -> FactId {
        let Self {
            cgroup,
            binary,
            path_resolved,
            arch,
            mode,
            emulator,
            via,
            cause,
        } = self;
        let fields = [
            cgroup.as_str(),
            binary,
            if *path_resolved { "1" } else { "0" },
            &arch.to_string(),
            mode.as_str(),
            emulator.as_deref().unwrap_or_default(),
            cause.map_or("", Cause::as_str),
        ];
        let way = via.filter(|via| *via != Via::BinfmtMisc).map(Via::as_str);
        let mut hasher = Sha256::new();
        for field in fields.into_iter().chain(way) {
            hasher.update(field);
            hasher.update([0]);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize()[..16]);
        FactId(id)
    }
}

/// What is known of one binary in one cgroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Whose numbers these are.
    pub key: FactKey,
    /// Execs since the agent's epoch began.
    pub count: u64,
    /// Processes alive now, forks included. Kept for emulated binaries only.
    pub processes: u64,
    /// CPU time of emulated tasks since the epoch began, in nanoseconds.
    pub cpu_ns: u64,
    /// First exec, or when the agent found it running.
    pub first_seen: SystemTime,
    /// Last exec, or when it was last seen running.
    pub last_seen: SystemTime,
}

/// Something that happened once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: SystemTime,
    /// What.
    pub kind: EventKind,
    /// Process id (thread group) in the node's initial pid namespace.
    pub pid: u32,
    /// Name of the task that called `execve` or died, printable.
    pub comm: String,
    /// Of which binary; the counts there include an exec.
    pub key: FactKey,
    /// The error `execve` returned (`errno(3)`); 0 when it succeeded or the number is unknown.
    pub errno: i32,
    /// How many like it this agent has seen so far, this one included: more than one above the
    /// count of the last event like it where some were not told one by one (at most one a second is).
    pub count: u64,
    /// What it died of; only for [`EventKind::IllegalInstruction`].
    pub instruction: Option<IllegalInstruction>,
}

impl Event {
    /// About how many bytes it takes in a message.
    #[must_use]
    pub fn weight(&self) -> usize {
        let instruction = self.instruction.as_ref().map_or(0, |instruction| {
            // Numbers, bytes and words take some 120.
            120 + instruction.module.as_ref().map_or(0, String::len)
        });
        self.key.weight() + self.comm.len() + instruction
    }
}

/// The instruction that a process died of, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IllegalInstruction {
    /// Who raised the signal. Unless it was the CPU, no instruction is known.
    pub origin: Origin,
    /// `si_code` (sigaction(2)).
    pub code: i32,
    /// Process id of the sender, where it was a process.
    pub sender: Option<u32>,
    /// Where the instruction is, in the memory of its process.
    pub address: u64,
    /// Its first bytes, 16 at most; none where they could not be read.
    pub bytes: Vec<u8>,
    /// Its name, such as `vpaddd`; `None` where it could not be decoded.
    pub mnemonic: Option<String>,
    /// The extension of the instruction set that it needs, in the words of the CPU's maker, such as
    /// `AVX512F`, `SVE`, `LSE`.
    pub extension: Option<String>,
    /// Whether this node's CPU has that extension.
    pub cpu_has: Option<bool>,
    /// The file it was mapped from, printable.
    pub module: Option<String>,
    /// Where in that file it is, in bytes.
    pub offset: Option<u64>,
}

/// Records that were not delivered: always counted, never silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where.
    pub stage: Stage,
    /// How many; 0 when that cannot be known.
    pub count: u64,
    /// When the first of them may have been lost.
    pub since: SystemTime,
    /// When the last of them may have been lost.
    pub until: SystemTime,
}

#[cfg(test)]
mod tests;
