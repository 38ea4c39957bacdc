//! From a record of the kernel side to a name for its counter, and an event for people.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use archtrace_ebpf::abi::{CellKey, Record, ident, mode};
use archtrace_facts::arch::Arch;
use archtrace_facts::binfmt::Rule;
use archtrace_facts::elf::{Head, Ident, shebang};
use archtrace_facts::fact::{Event, EventKind, FactKey, Mode};
use archtrace_facts::text::escape;
use archtrace_facts::verdict::{Observation, decide};

use super::cgroup::Cgroups;
use super::clock::Clock;
use super::files;
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

/// What there is to know about a guest.
struct Guest {
    name: Name,
    head: Option<Head>,
}

/// Tells what `record` says, on a node of architecture `node` with the handlers `rules`.
pub(crate) fn tell(
    record: &Record,
    bytes: &[u8],
    node: Arch,
    rules: &[Rule],
    proc: &Path,
    cgroups: &mut Cgroups,
    clock: Clock,
) -> Told {
    let CellKey { cgroup, mode, .. } = record.key;
    let asked = mode == mode::INTERPRETED;
    let cgroup = cgroups.path(cgroup, record.pid).unwrap_or_default();
    let mut guest = guest(record, bytes, node, proc, cgroups, &cgroup);
    let interpreter = record.interpreter();
    let verdict = decide(
        node,
        rules,
        Observation {
            errno: (mode == mode::FAILED).then_some(record.errno),
            guest: guest.head,
            interpreter: matches!(mode, mode::EMULATED | mode::INTERPRETED)
                .then_some(interpreter)
                .flatten(),
            replaced: mode == mode::EMULATED,
        },
    );
    let reads_scripts = asked && verdict.mode != Mode::Emulated;
    let mut arch = verdict.arch;
    if reads_scripts {
        // What runs is the interpreter; a script has no instruction set.
        let name = interpreter.unwrap_or_default();
        guest.name = path::read(archtrace_ebpf::abi::path_kind::GIVEN, name);
        arch = Head::of(&record.head).ident().map_or(arch, Arch::of);
    }
    let key = FactKey {
        cgroup,
        binary: escape(guest.name.path.as_os_str().as_bytes()),
        path_resolved: guest.name.resolved,
        arch,
        mode: verdict.mode,
        emulator: verdict.emulator.map(|emulator| escape(&emulator)),
        cause: verdict.cause,
    };
    let kind = match key.mode {
        Mode::Emulated => Some(EventKind::EmulatedExec),
        Mode::Failed => Some(EventKind::FailedExec),
        Mode::Native | Mode::Compat => None,
    };
    let event = kind.map(|kind| Event {
        time: clock.wall(record.time_ns),
        kind,
        pid: record.pid,
        comm: escape(record.comm()),
        key: key.clone(),
        errno: record.errno,
    });
    Told {
        key,
        event,
        reads_scripts,
    }
}

/// The guest as the kernel saw it, or where it did not, as its file still says.
fn guest(
    record: &Record,
    bytes: &[u8],
    node: Arch,
    proc: &Path,
    cgroups: &Cgroups,
    cgroup: &str,
) -> Guest {
    let key = &record.key;
    let name = path::resolve(proc, record.pid, path::read(record.path_kind, bytes));
    let head = head_of(key).or_else(|| Some(Head::of(&record.head)));
    if key.ident & ident::HASHED == 0 {
        return Guest { name, head };
    }
    // A process whose exec failed is soon gone; another of its container sees the same files.
    let (pid, found) = match files::read_head(proc, record.pid, &name.path) {
        Some(found) => (record.pid, Some(found)),
        None => match cgroups.a_process(cgroup) {
            Some(pid) if name.resolved => (pid, files::read_head(proc, pid, &name.path)),
            _ => (record.pid, None),
        },
    };
    let Some(found) = found else {
        return Guest {
            name,
            head: head_of(key),
        };
    };
    // A script may lead to a foreign interpreter, which is then the guest.
    if let Some(interpreter) = shebang(&found.head) {
        let interpreter = PathBuf::from(std::ffi::OsStr::from_bytes(interpreter));
        let inner = files::read_head(proc, pid, &interpreter).map(|found| Head::of(&found.head));
        if let Some(Head::Elf(ident)) = inner
            && Arch::of(ident) != node
        {
            let resolved = interpreter.is_absolute();
            return Guest {
                name: Name {
                    path: interpreter,
                    resolved,
                },
                head: inner,
            };
        }
    }
    Guest {
        name,
        head: Some(Head::of(&found.head)),
    }
}

/// What the counter's key says of the guest's header; `None` if nothing.
fn head_of(key: &CellKey) -> Option<Head> {
    let class = key.ident & ident::CLASS_MASK;
    let data = (key.ident & ident::DATA_MASK) >> ident::DATA_SHIFT;
    let machine = if data == 2 {
        key.machine.to_be_bytes()
    } else {
        key.machine.to_le_bytes()
    };
    Ident::from_parts(class, data, machine).map(Head::Elf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_ebpf::abi::{COMM_LEN, HEAD_LEN, INTERP_LEN, path_kind};

    fn record(mode: u8, machine: u16, ident: u8, errno: i32, interp: &[u8]) -> Record {
        let mut record = Record {
            time_ns: 1,
            key: CellKey {
                cgroup: u64::MAX,
                inode: 1,
                dev: 1,
                machine,
                mode,
                ident,
            },
            running_inode: 2,
            running_dev: 1,
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
        let proc = tempfile::tempdir().expect("a temporary directory");
        let mut cgroups = Cgroups::new(proc.path());
        let told = tell(
            record,
            path,
            Arch::Amd64,
            &[],
            proc.path(),
            &mut cgroups,
            Clock::look(),
        );
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
