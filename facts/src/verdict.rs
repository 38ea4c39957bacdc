//! From what was seen of one exec to how the binary ran.

use crate::arch::Arch;
use crate::binfmt::Rule;
use crate::elf::{Head, Ident, shebang};
use crate::fact::{Cause, Mode, Via};
use crate::failure::{self, FileStart, Refused, is_of_family};

/// What was seen of one exec.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The error of `execve`, or `None` if it succeeded; `Some(0)` is an error whose number is
    /// unknown.
    pub errno: Option<i32>,
    /// The file that somebody wanted to run: of a chain of scripts and interpreters the first
    /// that is not for this CPU, else the last. `None` if it was not seen and is gone.
    pub guest: Option<Head>,
    /// The start of that file, where more of it was seen; only looked at when the exec failed.
    pub file: Option<FileStart<'a>>,
    /// `linux_binprm.interp`, where a script or `binfmt_misc` put another program in front.
    pub interpreter: Option<&'a [u8]>,
    /// Whether the kernel itself told about `interpreter`. Of an exec that succeeded, the header
    /// hook did: `guest` was replaced by it. Of one that failed, `linux_binprm` was read: `None`
    /// means that nothing was put in front. Else the registry and the file have to tell.
    pub replaced: bool,
    /// Whether programs of the CPU's 32-bit mode run on this node, if that is known.
    pub runs_32bit: Option<bool>,
}

/// How a binary ran, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How.
    pub mode: Mode,
    /// The instruction set of the binary.
    pub arch: Arch,
    /// Who interprets it, byte for byte as registered; only when emulated.
    pub emulator: Option<Vec<u8>>,
    /// How it came to that one; only when emulated.
    pub via: Option<Via>,
    /// Why not; only when failed.
    pub cause: Option<Cause>,
}

/// Decides how a binary ran on a node of architecture `node`, given the `binfmt_misc` handlers
/// that were registered there.
///
/// Nothing is decided by an emulator's name: where the passes were seen, a foreign file that was
/// replaced and ran is emulated, whoever did it. Where they were not (tracepoints only), the
/// handler whose interpreter string the kernel put in place says for which machine it stands,
/// and where several share one interpreter, the file decides among them.
#[must_use]
pub fn decide(node: Arch, rules: &[Rule], seen: Observation<'_>) -> Verdict {
    let Observation {
        errno,
        guest,
        interpreter,
        replaced,
        ..
    } = seen;
    let ident = guest.and_then(Head::ident);
    let arch = ident.map_or(Arch::Unknown, Arch::of);
    if let Some(errno) = errno {
        return Verdict {
            mode: Mode::Failed,
            arch,
            emulator: None,
            via: None,
            cause: Some(why(node, rules, errno, seen)),
        };
    }
    let emulated = |arch, interpreter: &[u8]| Verdict {
        mode: Mode::Emulated,
        arch,
        emulator: Some(interpreter.to_vec()),
        via: Some(Via::BinfmtMisc),
        cause: None,
    };
    match interpreter {
        Some(interpreter) if replaced => emulated(arch, interpreter),
        Some(interpreter) => match handled_machine(rules, interpreter, ident) {
            Some(arch) => emulated(arch, interpreter),
            // A handler that cannot be seen from here, such as one of another user namespace.
            None if ident.is_some() && !is_of_family(node, arch) => emulated(arch, interpreter),
            None => direct(node, arch),
        },
        None => direct(node, arch),
    }
}

/// Why the exec failed.
fn why(node: Arch, rules: &[Rule], errno: i32, seen: Observation<'_>) -> Cause {
    let start = seen.file.map_or(&[][..], |file| file.bytes);
    let handler = rules.iter().find(|rule| rule.claims(start));
    // What the kernel would have put in front: it asks handlers before it reads a script.
    let expected = || {
        let handler = handler.map(|rule| rule.interpreter.as_slice());
        handler.or_else(|| shebang(start))
    };
    let interpreter = match seen.interpreter {
        None if !seen.replaced => expected(),
        told => told,
    };
    let refused = Refused {
        errno,
        head: seen.guest,
        file: seen.file,
        interpreter,
        claimed: handler.is_some(),
    };
    failure::cause(node, seen.runs_32bit, &refused)
}

/// The machine for which `interpreter` is registered, if it is an emulator at all.
///
/// `file` decides where handlers of several machines share an interpreter; where it is not
/// there to be asked, the answer is [`Arch::Unknown`].
#[must_use]
pub fn handled_machine(rules: &[Rule], interpreter: &[u8], file: Option<Ident>) -> Option<Arch> {
    let mut machines = rules
        .iter()
        .filter(|rule| rule.interpreter == interpreter)
        .filter_map(Rule::ident);
    let first = machines.next()?;
    if machines.all(|other| Arch::of(other) == Arch::of(first)) {
        return Some(Arch::of(first));
    }
    Some(file.map_or(Arch::Unknown, Arch::of))
}

/// The CPU itself runs it. A file that is not ELF was read by something that is.
fn direct(node: Arch, arch: Arch) -> Verdict {
    let (mode, arch) = match arch {
        Arch::Unknown => (Mode::Native, node),
        arch if arch != node && is_of_family(node, arch) => (Mode::Compat, arch),
        arch => (Mode::Native, arch),
    };
    Verdict {
        mode,
        arch,
        emulator: None,
        via: None,
        cause: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::{Class, Data};
    use proptest::prelude::*;

    const ENOEXEC: Option<i32> = Some(8);

    fn elf(machine: u16, class: Class) -> Option<Head> {
        Some(Head::Elf(Ident {
            class,
            data: Data::Little,
            machine,
        }))
    }

    fn rule(interpreter: &str, machine: u8) -> Rule {
        let content = format!(
            "enabled\ninterpreter {interpreter}\nflags: F\noffset 0\nmagic 7f454c460201010000000000000000000200{machine:02x}00\n"
        );
        Rule::parse(b"rule", content.as_bytes()).expect("well formed")
    }

    fn check(
        seen: Observation<'_>,
        rules: &[Rule],
        expected: (&str, &str, Option<&str>, Option<&str>),
    ) {
        let verdict = decide(Arch::Amd64, rules, seen);
        let emulator = verdict
            .emulator
            .map(|emulator| String::from_utf8(emulator).expect("ASCII"));
        let told = (
            verdict.mode.as_str(),
            &*verdict.arch.to_string(),
            emulator.as_deref(),
            verdict.cause.map(Cause::as_str),
        );
        assert_eq!(told, expected, "{seen:?}");
    }

    #[test]
    fn every_way_to_run_is_told() {
        let seen = |errno, guest, interpreter, replaced| Observation {
            errno,
            guest,
            file: None,
            interpreter,
            replaced,
            runs_32bit: None,
        };
        let qemu: Option<&[u8]> = Some(b"/qemu");
        let arm64 = elf(183, Class::Elf64);
        let amd64 = elf(62, Class::Elf64);
        let i386 = elf(3, Class::Elf32);
        let rules = [rule("/qemu", 183)];
        let shared = [rule("/qemu", 183), rule("/qemu", 243)];
        let none: [Rule; 0] = [];
        let native = ("native", "amd64", None, None);
        let emulated = ("emulated", "arm64", Some("/qemu"), None);
        // The passes were seen: no registry is needed, and an emulator's name means nothing.
        check(seen(None, amd64, None, true), &none, native);
        check(seen(None, arm64, qemu, true), &none, emulated);
        check(
            seen(None, elf(0x1234, Class::Elf64), qemu, true),
            &none,
            ("emulated", "em_4660", Some("/qemu"), None),
        );
        check(
            seen(None, i386, None, true),
            &none,
            ("compat", "386", None, None),
        );
        check(
            seen(None, i386, qemu, true),
            &none,
            ("emulated", "386", Some("/qemu"), None),
        );
        check(
            seen(None, elf(62, Class::Elf32), None, true),
            &none,
            ("compat", "amd64p32", None, None),
        );
        // Only that something stands in front: the registry tells whether it is an emulator.
        check(seen(None, arm64, qemu, false), &rules, emulated);
        check(seen(None, None, qemu, false), &rules, emulated);
        check(
            seen(None, Some(Head::Script), Some(b"/bin/sh"), false),
            &rules,
            native,
        );
        check(seen(None, amd64, Some(b"/bin/sh"), false), &none, native);
        check(seen(None, arm64, qemu, false), &shared, emulated);
        check(
            seen(None, elf(243, Class::Elf64), qemu, false),
            &shared,
            ("emulated", "riscv64", Some("/qemu"), None),
        );
        check(
            seen(None, None, qemu, false),
            &shared,
            ("emulated", "unknown", Some("/qemu"), None),
        );
        // Refused by the kernel.
        check(
            seen(ENOEXEC, arm64, None, true),
            &none,
            ("failed", "arm64", None, Some("foreign_elf")),
        );
        check(
            seen(ENOEXEC, amd64, None, true),
            &none,
            ("failed", "amd64", None, Some("other")),
        );
        check(
            seen(ENOEXEC, elf(0, Class::Elf64), None, true),
            &none,
            ("failed", "unknown", None, Some("other")),
        );
        check(
            seen(ENOEXEC, i386, None, true),
            &none,
            ("failed", "386", None, Some("other")),
        );
        check(
            seen(ENOEXEC, Some(Head::BrokenElf), None, true),
            &none,
            ("failed", "unknown", None, Some("other")),
        );
        check(
            seen(Some(2), Some(Head::Script), None, true),
            &none,
            ("failed", "unknown", None, Some("other")),
        );
        check(
            seen(Some(2), arm64, qemu, true),
            &none,
            ("failed", "arm64", None, Some("missing_emulator")),
        );
        check(
            seen(Some(80), amd64, None, true),
            &none,
            ("failed", "amd64", None, Some("wrong_interpreter")),
        );
        check(
            seen(ENOEXEC, None, None, false),
            &none,
            ("failed", "unknown", None, Some("other")),
        );
    }

    #[test]
    fn a_failure_is_told_from_the_file_the_registry_and_what_the_kernel_put_in_front() {
        let rules = [rule("/qemu", 183)];
        let mut arm64 = vec![0; 64];
        arm64[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        (arm64[16], arm64[18]) = (2, 183);
        let script = b"#!/bin/sh\n";
        for (errno, bytes, interpreter, replaced, expected) in [
            (2, &arm64[..], None, false, Cause::MissingEmulator),
            (2, &arm64, None, true, Cause::Other),
            (2, script, None, false, Cause::MissingInterpreter),
            (2, script, None, true, Cause::Other),
            (
                2,
                script,
                Some(&b"/bin/sh"[..]),
                true,
                Cause::MissingInterpreter,
            ),
            (8, &arm64, None, false, Cause::ForeignElf),
            (8, b"text", None, false, Cause::NoShebang),
        ] {
            let seen = Observation {
                errno: Some(errno),
                guest: Some(Head::of(bytes)),
                file: Some(FileStart {
                    bytes,
                    size: Some(bytes.len() as u64),
                }),
                interpreter,
                replaced,
                runs_32bit: None,
            };
            let verdict = decide(Arch::Amd64, &rules, seen);
            assert_eq!(verdict.cause, Some(expected), "{seen:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_seen_makes_it_panic(errno: Option<i32>, bytes: Option<Vec<u8>>, interpreter: Option<Vec<u8>>, replaced: bool, runs_32bit: Option<bool>) {
            let guest = bytes.as_deref().map(Head::of);
            let file = bytes.as_deref().map(|bytes| FileStart { bytes, size: None });
            let seen = Observation { errno, guest, file, interpreter: interpreter.as_deref(), replaced, runs_32bit };
            let verdict = decide(Arch::Arm64, &[rule("/qemu", 62)], seen);
            prop_assert_eq!(verdict.mode == Mode::Failed, errno.is_some());
            prop_assert_eq!(verdict.mode == Mode::Failed, verdict.cause.is_some());
            prop_assert_eq!(verdict.mode == Mode::Emulated, verdict.emulator.is_some());
            prop_assert_eq!(verdict.via.is_some(), verdict.emulator.is_some());
        }
    }
}
