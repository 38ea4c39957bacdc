//! Input that somebody chose in order to confuse.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::process::Command;

use anyhow::{Result, ensure};
use archtrace_guests::{Program, dynamic};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::Outcome;
use super::failures::attempt;
use super::kinds::SOON;
use crate::binfmt::Handler;
use crate::process::Running;
use crate::wait::eventually;
use crate::world::{World, run};

/// Names that would reach a terminal, break a line, or are no text.
pub(super) fn names(world: &mut World) -> Result<Outcome> {
    let rows: [(&[u8], &str); 4] = [
        (b"escape-\x1b[31mred", r"escape-\x1b[31mred"),
        (b"new\nline", r"new\x0aline"),
        (b"not-\xff\xfe-text", r"not-\xff\xfe-text"),
        (br"back\slash", r"back\x5cslash"),
    ];
    for (name, shown) in rows {
        let program = world.program(OsStr::from_bytes(name), world.foreign(), Program::Exit(0))?;
        run(&program, 2)?;
        world.counted(
            &format!("{}/{shown}", world.dir().display()),
            "emulated",
            2,
            SOON,
        )?;
    }
    long(world)?;
    Ok(Outcome::Pass(String::new()))
}

/// As long as a path can be (`PATH_MAX` is 4,096 with its end).
fn long(world: &World) -> Result<()> {
    let mut dir = world.dir().to_owned();
    while dir.as_os_str().len() + 250 < 4095 {
        dir.push("d".repeat(240));
    }
    fs::create_dir_all(&dir)?;
    let rest = 4095 - dir.as_os_str().len() - 1;
    let program = dir.join("f".repeat(rest.min(255)));
    let program = world.program(program, world.foreign(), Program::Exit(0))?;
    run(&program, 2)?;
    // It may be told in part, but once.
    let start = format!("{}/dddd", world.dir().display());
    eventually(SOON, || {
        let facts = world.client().facts(&["--mode", "emulated"])?;
        let counts: Vec<_> = facts
            .iter()
            .filter(|fact| fact.binary.starts_with(&start) || fact.binary.contains("/dddd"))
            .map(|fact| fact.count)
            .collect();
        ensure!(
            counts == [2],
            "{counts:?} execs of a long name were counted"
        );
        Ok(())
    })?;
    Ok(())
}

/// Whatever stands where the agent would look for a file: it is neither read nor waited for.
pub(super) fn files(world: &mut World) -> Result<Outcome> {
    let guest = |name: &str| world.program(name, world.foreign(), Program::Pause);
    let rows = [
        ("fifo", guest("was-a-fifo")?),
        ("loop", guest("was-a-loop")?),
        ("device", guest("was-a-device")?),
    ];
    let mut running = Vec::new();
    for (kind, program) in &rows {
        running.push(Running::start("guest", &mut Command::new(program), None)?);
        // Its process keeps the file; its name leads elsewhere.
        fs::remove_file(program)?;
        match *kind {
            "fifo" => mkfifo(program, Mode::S_IRWXU)?,
            "loop" => symlink(program, program)?,
            _ => symlink("/dev/zero", program)?,
        }
    }
    // A fact whose binary is gone already is named by what the kernel said.
    for (_, program) in &rows {
        let binary = program.display().to_string();
        eventually(SOON, || {
            let facts = world.client().facts(&["--mode", "emulated"])?;
            let told = facts.iter().find(|fact| fact.binary.starts_with(&binary));
            ensure!(
                told.is_some_and(|fact| fact.arch == world.foreign().as_str()),
                "of {binary} is told {told:?}"
            );
            Ok(())
        })?;
    }
    // Interpreters that are no files: the kernel refuses them, and nobody looks for a cause.
    let fifo = world.dir().join("ld-fifo.so");
    mkfifo(&fifo, Mode::S_IRWXU)?;
    for (name, interpreter) in [
        ("of-a-fifo", fifo.display().to_string()),
        ("of-a-device", "/dev/zero".to_owned()),
        ("of-a-loop", rows[1].1.display().to_string()),
    ] {
        let content = dynamic(world.native(), Program::Exit(0), interpreter.as_bytes());
        let program = world.file(name, &content)?;
        attempt(&program.display().to_string(), false)?;
    }
    // It goes on as if nothing were.
    let program = world.program("after-fifos", world.foreign(), Program::Exit(0))?;
    run(&program, 1)?;
    let (_, after) = world.counted(&program.display().to_string(), "emulated", 1, SOON)?;
    Ok(Outcome::Pass(format!(
        "visible after {} ms",
        after.as_millis()
    )))
}

/// Handlers that are no emulators, whose names and interpreters are strange.
pub(super) fn registry(world: &mut World) -> Result<Outcome> {
    let rules = [
        ("archtrace-test-ext", ":E::strange::/bin/no\\x20such:"),
        ("archtrace-test-magic", ":M:0:MZ::/nowhere:"),
        (
            "archtrace-test-late",
            ":M:100:\\x00\\xff\\x00::/nowhere:POC",
        ),
        (
            "archtrace-test-\u{1b}[31m",
            ":M::\\x7fELF\\x01\\x02::/bin/\u{1b}[31m:",
        ),
        (
            "archtrace-test-be",
            ":M::\\x7fELF\\x02\\x02\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x12\\x34::/big:",
        ),
    ];
    let handlers = rules
        .iter()
        .map(|(name, rule)| Handler::register(name, rule))
        .collect::<Result<Vec<_>>>()?;
    let program = world.program("beside-garbage", world.foreign(), Program::Exit(0))?;
    run(&program, 3)?;
    world.counted(&program.display().to_string(), "emulated", 3, SOON)?;
    Ok(Outcome::Pass(format!("{} handlers", handlers.len())))
}
