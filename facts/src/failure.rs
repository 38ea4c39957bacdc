//! Why the kernel refused an exec.
//!
//! `load_elf_binary` (fs/binfmt_elf.c), `load_script` (fs/binfmt_script.c) and `load_misc_binary`
//! (fs/binfmt_misc.c) of Linux 5.10 to 6.18 decide. Each looks at the first 256 bytes; what none of
//! them takes is ENOEXEC. What one of them takes is refused with the error of what it needs next:
//!
//! | error | what was taken, and what was wrong |
//! |---|---|
//! | ENOEXEC | nothing was taken, or what the ELF header points at is not there |
//! | ELIBBAD | an ELF file; its `PT_INTERP` is not ELF, or not for this machine |
//! | ENOENT | any of the three; the program it needs in front is not there |

mod elf;

use crate::arch::Arch;
use crate::elf::{Head, MAGIC, shebang};
use crate::fact::Cause;

/// `BINPRM_BUF_SIZE` (include/uapi/linux/binfmts.h): what the kernel reads of a file to decide.
pub const START_LEN: usize = 256;

const ENOENT: i32 = 2;
const ENOEXEC: i32 = 8;
const ELIBBAD: i32 = 80;

/// The start of a file.
#[derive(Clone, Copy, Debug)]
pub struct FileStart<'a> {
    /// As many of its first bytes as were seen; at most [`START_LEN`] count. Those that come from
    /// `linux_binprm.buf` are filled up with zeros where the file is shorter.
    pub bytes: &'a [u8],
    /// How many bytes the file has, where that is known. Without it, a short file is told by its
    /// zeros only.
    pub size: Option<u64>,
}

/// An exec that failed.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// The error of `execve`.
    pub errno: i32,
    /// What the file is, where that is all that is known of it. Where `file` is there, that tells.
    pub head: Option<Head>,
    /// The file itself: of a chain of scripts and interpreters the first that is not for this CPU,
    /// else the last.
    pub file: Option<FileStart<'a>>,
    /// The program that was put in front, if it came to that: `linux_binprm.interp` where it is not
    /// the file's own name. The kernel writes it down before it opens that program.
    pub interpreter: Option<&'a [u8]>,
    /// Whether a `binfmt_misc` handler claims the file.
    pub claimed: bool,
}

impl FileStart<'_> {
    /// The bytes that are the file's own, as far as that is known.
    fn own(&self) -> &[u8] {
        let size = self.size.and_then(|size| usize::try_from(size).ok());
        let len = self.bytes.len().min(START_LEN);
        &self.bytes[..size.unwrap_or(len).min(len)]
    }

    /// The same without what may be padding.
    fn content(&self) -> &[u8] {
        let own = self.own();
        match (self.size, own.iter().rposition(|byte| *byte != 0)) {
            (Some(_), _) => own,
            (None, last) => &own[..last.map_or(0, |last| last + 1)],
        }
    }

    /// Whether nothing of the file is at `at` or behind, or, where its size is not known, nothing
    /// but zeros as far as it was seen.
    fn ends_by(&self, at: usize) -> bool {
        match self.size {
            Some(_) => self.own().len() <= at && !self.is_cut_short(),
            None => self.bytes.len() > at && self.content().len() <= at,
        }
    }

    /// Whether the file is known to have more bytes than were seen.
    fn is_cut_short(&self) -> bool {
        self.size.is_some_and(|size| size > self.own().len() as u64)
    }
}

/// Why a node of architecture `node` refused to execute a file. `runs_32bit` says whether programs
/// of the CPU's 32-bit mode run there, if that is known.
#[must_use]
pub fn cause(node: Arch, runs_32bit: Option<bool>, refused: &Refused<'_>) -> Cause {
    let file = refused.file;
    let head = file.map(|file| Head::of(file.own())).or(refused.head);
    match refused.errno {
        ELIBBAD => Cause::WrongInterpreter,
        ENOENT => not_found(node, head, refused),
        ENOEXEC => not_taken(node, runs_32bit, head, file),
        // A number that is unknown, or one that says nothing about the file. A foreign machine is
        // reason enough whatever else was wrong.
        _ if is_foreign(node, head) => Cause::ForeignElf,
        _ => Cause::Other,
    }
}

/// Whether CPUs of `node` run `arch` by themselves, be it in their 32-bit mode.
pub(crate) fn is_of_family(node: Arch, arch: Arch) -> bool {
    arch == node || node.compat() == Some(arch) || (node, arch) == (Arch::Amd64, Arch::Amd64p32)
}

/// ENOENT: the file was opened, what it needs was not.
fn not_found(node: Arch, head: Option<Head>, refused: &Refused<'_>) -> Cause {
    let own = head.and_then(Head::ident).map(Arch::of);
    let is_own = own.is_some_and(|arch| is_of_family(node, arch));
    if is_own && !refused.claimed {
        // PT_INTERP is opened without a trace in linux_binprm.
        return Cause::MissingInterpreter;
    }
    if refused.interpreter.is_none() {
        // Nothing was put in front yet: a file that execveat(2) was given by a descriptor which
        // closes on exec, so that whoever comes in front could not open it
        // (BINPRM_FLAGS_PATH_INACCESSIBLE).
        return Cause::Other;
    }
    if head == Some(Head::Script) {
        Cause::MissingInterpreter
    } else if refused.claimed || is_foreign(node, head) {
        // A handler of another user namespace is in no registry that we see.
        Cause::MissingEmulator
    } else {
        Cause::Other
    }
}

/// ENOEXEC: no format of the kernel's took the file.
fn not_taken(
    node: Arch,
    runs_32bit: Option<bool>,
    head: Option<Head>,
    file: Option<FileStart<'_>>,
) -> Cause {
    match (head, file) {
        (Some(Head::Elf(ident)), _) => elf::cause(node, runs_32bit, ident, file),
        (Some(Head::BrokenElf), Some(file)) => elf::broken(node, &file),
        (Some(Head::Empty), _) => Cause::EmptyFile,
        (Some(Head::Script), Some(file)) => script(file.own()),
        (Some(Head::Other), Some(file)) => other(file.content()),
        _ => Cause::Other,
    }
}

/// A file that starts with `#!`. It is refused itself where no name follows (blanks only, or a name
/// that does not end within what the kernel reads): for the kernel there is no shebang, then.
/// Else whatever it names was refused.
fn script(bytes: &[u8]) -> Cause {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut name = bytes.iter().skip(2).skip_while(|byte| blank(byte));
    let is_whole =
        bytes.len() < START_LEN || name.any(|byte| blank(byte) || matches!(byte, b'\n' | 0));
    if shebang(bytes).is_some() && is_whole {
        Cause::WrongInterpreter
    } else {
        Cause::NoShebang
    }
}

/// A file that is neither ELF nor starts with `#!`.
fn other(content: &[u8]) -> Cause {
    if content.is_empty() {
        // Zeros only: an empty file, or a large one that a crash of its node left so.
        Cause::Other
    } else if MAGIC.starts_with(content) {
        Cause::TruncatedElf
    } else if content.iter().all(is_of_text) {
        Cause::NoShebang
    } else {
        Cause::Other
    }
}

/// Text, as a shell would take it for a script: no control characters but those of lines and
/// tabs. Bytes above ASCII are let through: UTF-8, its byte order mark in front of `#!`, Latin-1.
fn is_of_text(byte: &u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x20..=0x7e | 0x80..)
}

fn is_foreign(node: Arch, head: Option<Head>) -> bool {
    let arch = head.and_then(Head::ident).map(Arch::of);
    arch.is_some_and(|arch| arch != Arch::Unknown && !is_of_family(node, arch))
}

#[cfg(test)]
mod tests;
