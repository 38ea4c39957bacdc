//! From what was seen of one exec to how the binary ran.

use crate::arch::Arch;
use crate::binfmt::Rule;
use crate::elf::{Head, Ident};
use crate::fact::{Cause, Mode};

/// What was seen of one exec.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The error of `execve`, or `None` if it succeeded; `Some(0)` is an error whose number is
    /// unknown.
    pub errno: Option<i32>,
    /// The file that somebody wanted to run: of a chain of scripts and interpreters the first
    /// that is not for this CPU, else the last. `None` if it was not seen and is gone.
    pub guest: Option<Head>,
    /// `linux_binprm.interp`, where a script or `binfmt_misc` put another program in front.
    pub interpreter: Option<&'a [u8]>,
    /// Whether the kernel's own passes told that `guest` was replaced by `interpreter` (with the
    /// header hook). Without it, the registry has to tell.
    pub replaced: bool,
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
    } = seen;
    let ident = guest.and_then(Head::ident);
    let arch = ident.map_or(Arch::Unknown, Arch::of);
    if errno.is_some() {
        let cause = match ident {
            // A file that ends before e_machine has EM_NONE there, which is no machine.
            Some(_) if arch != Arch::Unknown && !is_of_family(node, arch) => Cause::ForeignElf,
            _ => Cause::Other,
        };
        return Verdict {
            mode: Mode::Failed,
            arch,
            emulator: None,
            cause: Some(cause),
        };
    }
    let emulated = |arch, interpreter: &[u8]| Verdict {
        mode: Mode::Emulated,
        arch,
        emulator: Some(interpreter.to_vec()),
        cause: None,
    };
    match interpreter {
        Some(interpreter) if replaced => emulated(arch, interpreter),
        Some(interpreter) => match handled_machine(rules, interpreter, ident) {
            Some(arch) => emulated(arch, interpreter),
            None => direct(node, arch),
        },
        None => direct(node, arch),
    }
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
        cause: None,
    }
}

/// Whether CPUs of `node` run `arch` by themselves, be it in their 32-bit mode.
fn is_of_family(node: Arch, arch: Arch) -> bool {
    arch == node || node.compat() == Some(arch) || (node, arch) == (Arch::Amd64, Arch::Amd64p32)
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
            interpreter,
            replaced,
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
            seen(ENOEXEC, None, None, false),
            &none,
            ("failed", "unknown", None, Some("other")),
        );
    }

    proptest! {
        #[test]
        fn nothing_seen_makes_it_panic(errno: Option<i32>, bytes: Option<Vec<u8>>, interpreter: Option<Vec<u8>>, replaced: bool) {
            let guest = bytes.as_deref().map(Head::of);
            let seen = Observation { errno, guest, interpreter: interpreter.as_deref(), replaced };
            let verdict = decide(Arch::Arm64, &[rule("/qemu", 62)], seen);
            prop_assert_eq!(verdict.mode == Mode::Failed, errno.is_some());
            prop_assert_eq!(verdict.mode == Mode::Failed, verdict.cause.is_some());
            prop_assert_eq!(verdict.mode == Mode::Emulated, verdict.emulator.is_some());
        }
    }
}
