//! Why a binary did not run. Each cause is told apart, with the error that the caller got.

use std::ffi::CString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Flaw, Ident, Program, broken, dynamic, flawed, header_only};

use super::Outcome;
use super::kinds::SOON;
use crate::wait::eventually;
use crate::world::World;

// errno(3)
pub(super) const ENOENT: i32 = 2;
pub(super) const ENOEXEC: i32 = 8;
const ELIBBAD: i32 = 80;

/// A machine that no handler claims here.
pub(super) const S390X: Ident = Ident {
    machine: 22,
    wide: true,
    big_endian: true,
};

/// A machine for which a case may register a handler of its own.
pub(super) const RISCV64: Ident = Ident {
    machine: 243,
    wide: true,
    big_endian: false,
};

/// What is expected of a file that the kernel refuses.
pub(super) struct Refusal<'a> {
    /// How often it is tried.
    pub(super) times: u64,
    pub(super) arch: &'a str,
    pub(super) cause: &'a str,
    pub(super) errno: i32,
}

impl<'a> Refusal<'a> {
    /// One that is tried once and gets `ENOEXEC`.
    fn of(arch: &'a str, cause: &'a str) -> Self {
        Self {
            times: 1,
            arch,
            cause,
            errno: ENOEXEC,
        }
    }
}

/// Foreign binaries without a handler: an event each that says why, and an exact count.
pub(super) fn foreign(world: &mut World) -> Result<Outcome> {
    let unknown = Ident {
        machine: 0x1234,
        ..RISCV64
    };
    for (name, ident, arch) in [
        ("failed-riscv64", RISCV64, "riscv64"),
        ("failed-s390x", S390X, "s390x"),
        ("failed-unknown", unknown, "em_4660"),
    ] {
        let expected = Refusal {
            times: 3,
            ..Refusal::of(arch, "foreign_elf")
        };
        refused(world, name, &header_only(ident), &expected)?;
    }
    Ok(Outcome::Pass(String::new()))
}

/// Files without their end.
pub(super) fn cut_off(world: &mut World) -> Result<Outcome> {
    let native = world.native();
    let cut = |length| broken(native.ident(), length);
    let arch = native.as_str();
    for (name, content, arch, cause) in [
        ("empty", Vec::new(), "unknown", "empty_file"),
        ("cut-at-10", cut(10), "unknown", "truncated_elf"),
        ("cut-at-20", cut(20), arch, "truncated_elf"),
        ("cut-at-64", cut(64), arch, "truncated_elf"),
    ] {
        refused(world, name, &content, &Refusal::of(arch, cause))?;
    }
    Ok(Outcome::Pass(String::new()))
}

/// Files of this machine that the kernel does not take.
pub(super) fn corrupt(world: &mut World) -> Result<Outcome> {
    let native = world.native();
    for (name, flaw) in [
        ("flaw-type", Flaw::Type),
        ("flaw-entry-size", Flaw::EntrySize),
        ("flaw-no-segments", Flaw::NoSegments),
    ] {
        let expected = Refusal::of(native.as_str(), "corrupt_elf");
        refused(world, name, &flawed(native, flaw), &expected)?;
    }
    Ok(Outcome::Pass(String::new()))
}

/// Scripts that say no interpreter.
pub(super) fn text(world: &mut World) -> Result<Outcome> {
    let expected = Refusal::of("unknown", "no_shebang");
    refused(world, "text", b"echo hello\n", &expected)?;
    Ok(Outcome::Pass(String::new()))
}

/// Files whose interpreter is missing or not for this machine.
pub(super) fn interpreter(world: &mut World) -> Result<Outcome> {
    let native = world.native();
    let arch = native.as_str();
    let foreign = world.file("ld-foreign.so", &header_only(S390X))?;
    // As long as an ELF header, since reading it must not fail.
    let text = world.file("ld-text.so", &[b'#'; 200])?;
    let named = |interpreter: &str| dynamic(native, Program::Exit(0), interpreter.as_bytes());
    let at = |path: &std::path::Path| named(&path.display().to_string());
    for (name, content, arch, cause, errno) in [
        (
            "no-ld",
            named("/no/such/ld.so"),
            arch,
            "missing_interpreter",
            ENOENT,
        ),
        (
            "no-script-interpreter",
            b"#!/no/such/shell\n".to_vec(),
            "unknown",
            "missing_interpreter",
            ENOENT,
        ),
        (
            "foreign-ld",
            at(&foreign),
            arch,
            "wrong_interpreter",
            ELIBBAD,
        ),
        ("text-ld", at(&text), arch, "wrong_interpreter", ELIBBAD),
    ] {
        let expected = Refusal {
            errno,
            ..Refusal::of(arch, cause)
        };
        refused(world, name, &content, &expected)?;
    }
    Ok(Outcome::Pass(String::new()))
}

/// 32-bit files of this CPU's family, where nothing runs them.
pub(super) fn without_32bit(world: &mut World) -> Result<Outcome> {
    if world.runs_32bit()? {
        return Ok(Outcome::NotApplicable("this kernel runs 32-bit programs"));
    }
    let compat = world.native().compat();
    let content = archtrace_guests::build(compat, Program::Exit(0));
    let expected = Refusal::of(compat.as_str(), "no_32bit_support");
    refused(world, "32-bit", &content, &expected)?;
    Ok(Outcome::Pass(String::new()))
}

/// Files of this machine's number in the other byte order, or in a class that nothing runs.
pub(super) fn variant(world: &mut World) -> Result<Outcome> {
    let native = world.native();
    let ident = native.ident();
    let twin = Ident {
        big_endian: true,
        ..ident
    };
    let narrow = Ident {
        wide: false,
        ..ident
    };
    // x32 has a name; ILP32 of arm64 has none, nor has big-endian x86.
    let (twin_arch, narrow_arch) = match native {
        archtrace_guests::Isa::Arm64 => ("arm64be", "em_183"),
        _ => ("em_62", "amd64p32"),
    };
    for (name, ident, arch, cause) in [
        ("big-endian", twin, twin_arch, "wrong_byte_order"),
        ("narrow", narrow, narrow_arch, "wrong_class"),
    ] {
        let expected = Refusal::of(arch, cause);
        refused(world, name, &header_only(ident), &expected)?;
    }
    Ok(Outcome::Pass(String::new()))
}

/// What fails in the ordinary course of things is no failed exec: names that are not found, which
/// every search of `$PATH` tries, and files that nobody may execute.
pub(super) fn ordinary(world: &mut World) -> Result<Outcome> {
    let missing = world.dir().join("not-there");
    let forbidden = world.program("forbidden", world.native(), Program::Exit(0))?;
    std::fs::set_permissions(&forbidden, Permissions::from_mode(0o644))?;
    let silent = [&missing, &forbidden].map(|path| path.display().to_string());
    for path in &silent {
        attempt(path, false)?;
    }
    // Told after them.
    let expected = Refusal::of("s390x", "foreign_elf");
    refused(world, "after-ordinary", &header_only(S390X), &expected)?;
    let facts = world.client().facts(&["--mode", "failed"])?;
    let told = facts.iter().find(|fact| silent.contains(&fact.binary));
    ensure!(told.is_none(), "a failed exec was told: {told:?}");
    Ok(Outcome::Pass(String::new()))
}

/// Tries to run a file of `content`, and checks what was seen of that.
fn refused(world: &World, name: &str, content: &[u8], expected: &Refusal<'_>) -> Result<()> {
    let file = world.file(name, content)?;
    let binary = file.display().to_string();
    let lives = !world.sees_headers()?;
    for _ in 0..expected.times {
        let errno = attempt(&binary, lives)?;
        ensure!(
            errno == Some(expected.errno),
            "execve of {name} returned {errno:?}"
        );
    }
    told(world, &binary, expected)
}

/// Checks what was seen of the refused `binary`: a fact with an exact count, and an event.
pub(super) fn told(world: &World, binary: &str, expected: &Refusal<'_>) -> Result<()> {
    let Refusal {
        times,
        arch,
        cause,
        errno,
    } = expected;
    let (fact, _) = world.counted(binary, "failed", *times, SOON)?;
    ensure!(fact.arch == *arch, "{binary} is said to be {}", fact.arch);
    let client = world.client();
    eventually(SOON, || {
        let events = client.events()?;
        let mut events = events.iter().filter(|event| event.binary == binary);
        let event = events
            .find(|event| event.kind == "failed_exec")
            .with_context(|| format!("no event of {binary}"))?;
        let told = (&*event.arch, event.cause.as_deref(), event.errno);
        ensure!(
            told == (*arch, Some(*cause), Some(*errno)),
            "the event of {binary} says {event:?}"
        );
        Ok(())
    })?;
    Ok(())
}

/// The error of `execve(binary)`, by a child or, if the process has to live on for its files to
/// be looked at, by this process itself.
pub(super) fn attempt(binary: &str, lives: bool) -> Result<Option<i32>> {
    if lives {
        // Not by Command::exec, which has a shell try what the kernel refused.
        let path = CString::new(binary)?;
        let Err(error) = nix::unistd::execv(&path, &[&path]);
        return Ok(Some(error as i32));
    }
    let error = Command::new(binary).stdin(Stdio::null()).spawn().err();
    Ok(error.context("it was not refused")?.raw_os_error())
}
