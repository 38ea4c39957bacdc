//! From a record of the kernel side to a name for its counter, and an event for people.

use std::os::unix::ffi::OsStrExt as _;

use archtrace_ebpf::abi::{CellKey, Record, UNKNOWN_SIZE, ident, mode, path_kind};
use archtrace_facts::arch::Arch;
use archtrace_facts::binfmt::Rule;
use archtrace_facts::elf::{Head, Ident};
use archtrace_facts::fact::{Event, EventKind, FactKey, Mode};
use archtrace_facts::failure::FileStart;
use archtrace_facts::text::escape;
use archtrace_facts::verdict::{Observation, decide};

use super::clock::Clock;
use super::look::Guest;
use super::path::{self, Name};

/// What a record tells.
#[derive(Debug)]
pub(crate) struct Told {
    /// The name of its counter.
    pub(crate) key: FactKey,
    /// What happened, if it is of the kind that is told one by one.
    pub(crate) event: Option<Event>,
    /// It was asked whether something stands for an emulator, and it reads scripts.
    pub(crate) reads_scripts: bool,
}

/// What decisions depend on beside the record.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    /// Its CPU's instruction set.
    pub(crate) arch: Arch,
    /// Whether that of its 32-bit mode runs too.
    pub(crate) runs_32bit: Option<bool>,
    /// The handlers of `binfmt_misc` that can be seen.
    pub(crate) rules: &'a [Rule],
    /// When this is.
    pub(crate) clock: Clock,
}

/// Whether only the file itself can tell what a record is about: the kernel side did not see it.
pub(crate) fn needs_look(record: &Record) -> bool {
    record.key.ident & ident::HASHED != 0
}

/// Tells what `record` says. `cgroup` is the path of its cgroup, `name` what it calls the binary, and
/// `looked` what a look at the file found, where [`needs_look`].
pub(crate) fn tell(
    record: &Record,
    name: Name,
    looked: Option<&Guest>,
    cgroup: String,
    node: Node<'_>,
) -> Told {
    let mode = record.key.mode;
    let interpreter = record.interpreter();
    let replaced = mode == mode::EMULATED || (mode == mode::FAILED && !needs_look(record));
    let verdict = decide(
        node.arch,
        node.rules,
        Observation {
            errno: (mode == mode::FAILED).then_some(record.errno),
            guest: head(record, looked),
            file: start(record, looked),
            interpreter: matches!(mode, mode::EMULATED | mode::INTERPRETED | mode::FAILED)
                .then_some(interpreter)
                .flatten(),
            replaced,
            runs_32bit: node.runs_32bit,
        },
    );
    let reads_scripts = mode == mode::INTERPRETED && verdict.mode != Mode::Emulated;
    let mut name = looked.map_or(name, |looked| looked.name.clone());
    let mut arch = verdict.arch;
    if reads_scripts {
        // What runs is the interpreter; a script has no instruction set.
        name = path::read(path_kind::GIVEN, interpreter.unwrap_or_default());
        arch = Head::of(&record.head).ident().map_or(arch, Arch::of);
    }
    let key = FactKey {
        cgroup,
        binary: escape(name.path.as_os_str().as_bytes()),
        path_resolved: name.resolved,
        arch,
        mode: verdict.mode,
        emulator: verdict.emulator.map(|emulator| escape(&emulator)),
        via: verdict.via,
        cause: verdict.cause,
    };
    let kind = match key.mode {
        Mode::Emulated => Some(EventKind::EmulatedExec),
        Mode::Failed => Some(EventKind::FailedExec),
        Mode::Native | Mode::Compat => None,
    };
    let event = kind.map(|kind| Event {
        time: node.clock.wall(record.time_ns),
        kind,
        pid: record.pid,
        comm: escape(record.comm()),
        key: key.clone(),
        errno: record.errno,
        count: record.count,
        instruction: None,
    });
    Told {
        key,
        event,
        reads_scripts,
    }
}

/// What the guest is: as its file says, else as the counter's key says, else as the record does.
fn head(record: &Record, looked: Option<&Guest>) -> Option<Head> {
    if let Some(looked) = looked {
        return Some(Head::of(&looked.start));
    }
    let seen = || (!needs_look(record)).then(|| Head::of(&record.head));
    ident_of(&record.key).map(Head::Elf).or_else(seen)
}

/// The start of the guest's file.
fn start<'a>(record: &'a Record, looked: Option<&'a Guest>) -> Option<FileStart<'a>> {
    match looked {
        Some(looked) => Some(FileStart {
            bytes: &looked.start,
            size: Some(looked.size),
        }),
        None if needs_look(record) => None,
        None => Some(FileStart {
            bytes: &record.head,
            size: (record.size != UNKNOWN_SIZE).then_some(record.size),
        }),
    }
}

/// What the counter's key says of the guest's header; `None` if nothing.
pub(crate) fn ident_of(key: &CellKey) -> Option<Ident> {
    let class = key.ident & ident::CLASS_MASK;
    let data = (key.ident & ident::DATA_MASK) >> ident::DATA_SHIFT;
    let machine = if data == 2 {
        key.machine.to_be_bytes()
    } else {
        key.machine.to_le_bytes()
    };
    Ident::from_parts(class, data, machine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_ebpf::abi::{COMM_LEN, HEAD_LEN, INTERP_LEN};

    fn record(mode: u8, machine: u16, ident: u8, errno: i32, interp: &[u8]) -> Record {
        let mut record = Record {
            tag: archtrace_ebpf::abi::tag::EXEC,
            time_ns: 1,
            key: CellKey {
                cgroup: u64::MAX,
                inode: 1,
                dev: 1,
                machine,
                mode,
                ident,
            },
            count: 1,
            size: UNKNOWN_SIZE,
            _pad: 0,
            pid: u32::MAX,
            errno,
            path_len: 0,
            path_kind: path_kind::GIVEN,
            interpreted: u8::from(!interp.is_empty()),
            head: [0; HEAD_LEN],
            interp_len: u32::try_from(interp.len()).expect("short"),
            comm: [b'c'; COMM_LEN],
            interp: [0; INTERP_LEN],
        };
        record.interp[..interp.len()].copy_from_slice(interp);
        record
    }

    fn check(record: &Record, path: &[u8], expected: (Mode, &str, &str, Option<&str>, bool)) {
        let node = Node {
            arch: Arch::Amd64,
            runs_32bit: None,
            rules: &[],
            clock: Clock::look(),
        };
        let name = path::read(path_kind::GIVEN, path);
        let told = tell(record, name, None, String::new(), node);
        let FactKey {
            mode,
            arch,
            binary,
            emulator,
            ..
        } = &told.key;
        let seen = (
            *mode,
            &*arch.to_string(),
            &**binary,
            emulator.as_deref(),
            told.reads_scripts,
        );
        assert_eq!(seen, expected);
        assert_eq!(
            told.event.is_some(),
            matches!(mode, Mode::Emulated | Mode::Failed)
        );
    }

    const ELF64: u8 = 2 | 1 << ident::DATA_SHIFT;
    const ELF64_BIG: u8 = 2 | 2 << ident::DATA_SHIFT;

    #[test]
    fn records_are_told_in_peoples_words() {
        let emulated = record(mode::EMULATED, 183, ELF64, 0, b"/q\x1bemu");
        check(
            &emulated,
            b"/a\nb",
            (
                Mode::Emulated,
                "arm64",
                r"/a\x0ab",
                Some(r"/q\x1bemu"),
                false,
            ),
        );
        let big = record(mode::EMULATED, 22, ELF64_BIG, 0, b"/qemu");
        check(
            &big,
            b"/z",
            (Mode::Emulated, "s390x", "/z", Some("/qemu"), false),
        );
        let native = record(mode::NATIVE, 62, ELF64, 0, b"");
        check(
            &native,
            b"/bin/sh",
            (Mode::Native, "amd64", "/bin/sh", None, false),
        );
        let failed = record(mode::FAILED, 183, ELF64, 8, b"");
        check(
            &failed,
            b"/arm",
            (Mode::Failed, "arm64", "/arm", None, false),
        );
        let asked = record(mode::INTERPRETED, 0, ident::HASHED, 0, b"/bin/sh");
        check(
            &asked,
            b"/script",
            (Mode::Native, "amd64", "/bin/sh", None, true),
        );
        let known = record(mode::EMULATED, 183, ELF64 | ident::HASHED, 0, b"/qemu");
        check(
            &known,
            b"/gone",
            (Mode::Emulated, "arm64", "/gone", Some("/qemu"), false),
        );
    }
}
