//! Findings: what somebody should act on, and which facts, events and nodes are one.
//!
//! The catalogue says for each what it means, how to see it for oneself and what helps; documents
//! and exports are made from it. An id never changes its meaning, and is never used again.

mod catalogue;
mod image;
mod markdown;

pub use catalogue::CATALOGUE;
pub use image::{of_claim, of_foreign, of_image, really};
pub use markdown::markdown;

use crate::arch::Arch;
use crate::fact::{Cause, Event, EventKind, FactKey, IllegalInstruction, Mode, Origin, Via, words};
use crate::node::{Handler, NodeInfo, Preflight};

words! {
    /// The stable name of a finding.
    Id, "finding" {
        /// A binary runs under an emulator.
        EmulatedProcess = "emulated-process",
        /// A build for another platform runs under an emulator.
        EmulatedBuild = "emulated-build",
        /// The kernel refused an ELF file of another machine.
        ExecFormatError = "exec-format-error",
        /// A handler claims the file, and its emulator cannot be started.
        MissingEmulator = "missing-emulator",
        /// What the file names as its interpreter is not there.
        MissingInterpreter = "missing-interpreter",
        /// What the file names as its interpreter is not for this machine.
        WrongInterpreter = "wrong-interpreter",
        /// The file ends before its headers do.
        TruncatedBinary = "truncated-binary",
        /// The kernel does not take the file's header.
        CorruptBinary = "corrupt-binary",
        /// A script without `#!` where nobody else would run it.
        NoShebang = "no-shebang",
        /// A 32-bit file where there is no 32-bit mode.
        No32BitSupport = "no-32bit-support",
        /// This machine's number in another byte order or class.
        WrongElfVariant = "wrong-elf-variant",
        /// A failed exec that nothing explains.
        UnexplainedExecFailure = "unexplained-exec-failure",
        /// The CPU refused an instruction.
        IllegalInstruction = "illegal-instruction",
        /// A program ended itself by an instruction that is there for that.
        TrapInstruction = "trap-instruction",
        /// A guest died of an instruction that its emulator does not know.
        EmulatedIllegalInstruction = "emulated-illegal-instruction",
        /// A node is able to emulate.
        EmulationAvailable = "emulation-available",
        /// A pod's processes run under a kernel of their own.
        PodNotCovered = "pod-not-covered",
        /// An agent sees less than it could.
        AgentDegraded = "agent-degraded",
        /// An image's files are not for the platform that it claims.
        MislabelledImage = "mislabelled-image",
        /// An image, or a tree of files, is for another platform than the node's.
        WrongPlatformImage = "wrong-platform-image",
        /// An image has no variant for a platform that it should have.
        MissingPlatform = "missing-platform",
        /// A program in an image is for another architecture.
        ForeignProgram = "foreign-program",
        /// A library that programs would load is for another architecture.
        ForeignLibrary = "foreign-library",
        /// Another file of an image is for another architecture.
        ForeignFile = "foreign-file",
    }
}

words! {
    /// How much a finding matters.
    Severity, "severity" {
        /// Good to know.
        Info = "info",
        /// Costs little, or is meant to be so.
        Low = "low",
        /// Something is not seen, or works by luck.
        Medium = "medium",
        /// Something does not work, or costs a multiple.
        High = "high",
        /// A control that policy asks for is not there.
        Critical = "critical",
    }
}

/// What the catalogue says of one finding.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub id: Id,
    /// How much it matters where nothing more is known.
    pub severity: Severity,
    /// A line for lists.
    pub title: &'static str,
    /// What it means, and how it comes about.
    pub meaning: &'static str,
    /// The fields (as the command line prints them) that tell it.
    pub evidence: &'static [&'static str],
    /// Commands that show it without archtrace, or more of it.
    pub confirm: &'static [&'static str],
    /// What helps, the best first.
    pub fix: &'static [&'static str],
}

impl Id {
    /// What the catalogue says of it.
    #[must_use]
    pub fn entry(self) -> Option<&'static Entry> {
        CATALOGUE.iter().find(|entry| entry.id == self)
    }
}

/// The finding that a fact is. A file without `#!` is none by itself: who ran it decides, which only
/// the event tells.
#[must_use]
pub fn of_fact(key: &FactKey) -> Option<Id> {
    match key.mode {
        Mode::Native | Mode::Compat => None,
        Mode::Emulated => Some(emulated(key.via)),
        Mode::Failed => match key.cause? {
            Cause::NoShebang | Cause::EmptyFile => None,
            cause => Some(failed(cause)),
        },
    }
}

/// The finding that an event is.
#[must_use]
pub fn of_event(event: &Event) -> Option<Id> {
    let key = &event.key;
    match event.kind {
        EventKind::EmulatedExec => Some(emulated(key.via)),
        EventKind::FailedExec => match key.cause? {
            Cause::NoShebang | Cause::EmptyFile if !is_launcher(&event.comm) => None,
            cause => Some(failed(cause)),
        },
        EventKind::IllegalInstruction => illegal(key.mode, event.instruction.as_ref()?),
    }
}

/// The finding that a handler of `binfmt_misc` is on a node of architecture `node`, as registered.
#[must_use]
pub fn of_handler(node: Arch, handler: &Handler) -> Option<Id> {
    let is_foreign = handler.arch.is_some_and(|arch| arch != node);
    (handler.enabled && is_foreign).then_some(Id::EmulationAvailable)
}

/// The findings that a node is, each once.
#[must_use]
pub fn of_node(info: &NodeInfo, preflight: &Preflight) -> Vec<Id> {
    let emulates = preflight
        .handlers
        .iter()
        .find_map(|handler| of_handler(info.arch, handler));
    let uncovered = (!preflight.uncovered.is_empty()).then_some(Id::PodNotCovered);
    // Tier 3 has no header hook: the registry stands in. 0 is a hook that nothing serves.
    let is_degraded = |tier| tier == 0 || tier > 2;
    let degraded = preflight.hooks.iter().any(|hook| is_degraded(hook.tier));
    let degraded = degraded.then_some(Id::AgentDegraded);
    [emulates, uncovered, degraded]
        .into_iter()
        .flatten()
        .collect()
}

fn emulated(via: Option<Via>) -> Id {
    match via {
        Some(Via::Build) => Id::EmulatedBuild,
        Some(Via::BinfmtMisc | Via::Direct) | None => Id::EmulatedProcess,
    }
}

fn failed(cause: Cause) -> Id {
    match cause {
        Cause::ForeignElf => Id::ExecFormatError,
        Cause::EmptyFile | Cause::TruncatedElf => Id::TruncatedBinary,
        Cause::CorruptElf => Id::CorruptBinary,
        Cause::NoShebang => Id::NoShebang,
        Cause::MissingInterpreter => Id::MissingInterpreter,
        Cause::WrongInterpreter => Id::WrongInterpreter,
        Cause::MissingEmulator => Id::MissingEmulator,
        Cause::No32Bit => Id::No32BitSupport,
        Cause::WrongByteOrder | Cause::WrongClass => Id::WrongElfVariant,
        Cause::Other => Id::UnexplainedExecFailure,
    }
}

/// Whether the task that called `execve` is the last one before a container's or a unit's own
/// program: `runc:[2:INIT]` (libcontainer/nsenter/nsexec.c), `crun` and `youki` alike, or systemd's
/// child, `(name)` until its exec (`rename_process`). They do not retry; shells and execvp(3) hand
/// the file to `/bin/sh`.
fn is_launcher(comm: &str) -> bool {
    let runtime = ["runc:[", "crun", "youki"];
    runtime.iter().any(|name| comm.starts_with(name))
        || (comm.starts_with('(') && comm.ends_with(')'))
}

/// Only what a CPU or an emulator refused is a finding; a signal that was sent says nothing.
fn illegal(mode: Mode, instruction: &IllegalInstruction) -> Option<Id> {
    // What compilers end a program with: __builtin_trap, unreachable code, failed checks.
    let is_trap = || {
        matches!(
            instruction.mnemonic.as_deref(),
            Some("ud0" | "ud1" | "ud2" | "udf")
        )
    };
    match (mode, instruction.origin) {
        // QEMU sends the signal to itself.
        (Mode::Emulated, Origin::Cpu | Origin::Itself) => Some(Id::EmulatedIllegalInstruction),
        (_, Origin::Itself | Origin::Process) => None,
        (_, Origin::Cpu) if is_trap() => Some(Id::TrapInstruction),
        (_, Origin::Cpu) => Some(Id::IllegalInstruction),
    }
}

#[cfg(test)]
mod tests;
