//! Every way to register an emulator. What decides is that a foreign file ran.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Program, build, header_only};

use super::Outcome;
use super::failures::{ENOENT, RISCV64, Refusal, told};
use super::kinds::SOON;
use crate::binfmt::Handler;
use crate::launch::{Descriptor, Launch, REFUSED};
use crate::process::Running;
use crate::world::{World, run};

/// Without flags the emulator is looked for in the container: it is there, or it is not.
pub(super) fn in_the_container(world: &mut World) -> Result<Outcome> {
    let emulator = build(world.native(), Program::Exit(0));
    let guest = header_only(RISCV64);
    let with = root(
        world,
        "with",
        &[("emulator-1", &emulator), ("guest-1", &guest)],
    )?;
    let without = root(world, "without", &[("guest-2", &guest)])?;
    let _handler = Handler::emulate("archtrace-test-plain", RISCV64, "/emulator-1".as_ref(), "")?;

    let inside = Launch {
        root: Some(with),
        ..Launch::new("/guest-1".as_ref())
    };
    let status = inside.command()?.status()?;
    ensure!(status.success(), "with an emulator it ended with {status}");
    let (fact, _) = world.counted("/guest-1", "emulated", 1, SOON)?;
    ensure!(
        fact.emulator.as_deref() == Some("/emulator-1") && fact.arch == "riscv64",
        "it is told as {fact:?}"
    );

    let missing = Launch {
        root: Some(without),
        linger: linger(world)?,
        ..Launch::new("/guest-2".as_ref())
    };
    let status = missing.command()?.status()?;
    ensure!(
        status.code() == Some(REFUSED + ENOENT),
        "without an emulator it ended with {status}"
    );
    let expected = Refusal {
        times: 1,
        arch: "riscv64",
        cause: "missing_emulator",
        errno: ENOENT,
    };
    told(world, "/guest-2", &expected)?;
    Ok(Outcome::Pass(String::new()))
}

/// With `F` the emulator was opened when it was registered; its path may exist nowhere since.
pub(super) fn fixed(world: &mut World) -> Result<Outcome> {
    let emulator = world.program("emulator-gone", world.native(), Program::Exit(0))?;
    let _handler = Handler::emulate("archtrace-test-fixed", RISCV64, &emulator, "F")?;
    fs::remove_file(&emulator)?;
    let guest = header_only(RISCV64);
    let root = root(world, "fixed", &[("guest-3", &guest)])?;
    let launch = Launch {
        root: Some(root),
        mounts: true,
        ..Launch::new("/guest-3".as_ref())
    };
    let status = launch.command()?.status()?;
    ensure!(status.success(), "it ended with {status}");
    let (fact, _) = world.counted("/guest-3", "emulated", 1, SOON)?;
    ensure!(
        fact.emulator.as_deref() == emulator.to_str(),
        "its emulator is said to be {:?}",
        fact.emulator
    );
    Ok(Outcome::Pass(String::new()))
}

/// Real QEMU, with every set of flags that is used: `P` adds an argument, `O` a descriptor.
pub(super) fn flags(world: &mut World) -> Result<Outcome> {
    for flags in ["OCF", "P", "POCF"] {
        let name = format!("archtrace-test-{flags}");
        // The newest handler that claims a file gets it.
        let _handler = Handler::emulate(&name, world.foreign().ident(), world.emulator(), flags)?;
        let guest = world.program(format!("flags-{flags}"), world.foreign(), Program::Exit(0))?;
        run(&guest, 1)?;
        world.counted(&guest.display().to_string(), "emulated", 1, SOON)?;
    }
    Ok(Outcome::Pass(String::new()))
}

/// Whatever the emulator is called: Rosetta, FEX and box64 have their usual places, and one is
/// renamed.
pub(super) fn names(world: &mut World) -> Result<Outcome> {
    let content = build(world.native(), Program::Exit(0));
    for (name, path) in [
        ("rosetta", "mnt/lima-rosetta/rosetta"),
        ("fex", "usr/bin/FEXInterpreter"),
        ("box64", "usr/local/bin/box64"),
        ("renamed", "usr/bin/python3"),
    ] {
        let emulator = world.dir().join("names").join(path);
        fs::create_dir_all(emulator.parent().context("it has a directory")?)?;
        let emulator = world.file(emulator, &content)?;
        let ident = world.foreign().ident();
        let _handler = Handler::emulate(&format!("archtrace-test-{name}"), ident, &emulator, "F")?;
        let guest = world.file(format!("guest-of-{name}"), &header_only(ident))?;
        run(&guest, 1)?;
        let (fact, _) = world.counted(&guest.display().to_string(), "emulated", 1, SOON)?;
        ensure!(
            fact.emulator.as_deref() == emulator.to_str(),
            "its emulator is said to be {:?}",
            fact.emulator
        );
    }
    Ok(Outcome::Pass(String::new()))
}

/// Handlers of what is no ELF file interpret, but emulate no CPU.
pub(super) fn not_foreign(world: &mut World) -> Result<Outcome> {
    let interpreter = world.program("runtime", world.native(), Program::Exit(0))?;
    let runtime = interpreter.display();
    let _extension = Handler::register(
        "archtrace-test-extension",
        &format!(":E::archtracetest::{runtime}:"),
    )?;
    let _magic = Handler::register("archtrace-test-wine", &format!(":M:0:MZ::{runtime}:"))?;
    let by_extension = world.file("program.archtracetest", b"text")?;
    let by_magic = world.file("program.exe", b"MZ\x90\0")?;
    for file in [&by_extension, &by_magic] {
        run(file, 2)?;
    }
    // Told after what they would have been.
    let guest = world.program("after-wine", world.foreign(), Program::Exit(0))?;
    run(&guest, 1)?;
    world.counted(&guest.display().to_string(), "emulated", 1, SOON)?;
    let facts = world.client().facts(&[])?;
    let files = [&by_extension, &by_magic, &interpreter].map(|file| file.display().to_string());
    let told = facts
        .iter()
        .find(|fact| files.contains(&fact.binary) && fact.mode != "native");
    ensure!(told.is_none(), "this is told: {told:?}");
    Ok(Outcome::Pass(String::new()))
}

/// Executed by a descriptor that the emulator can open again, and by one that it cannot.
pub(super) fn by_descriptor(world: &mut World) -> Result<Outcome> {
    let program = world.program("descriptor", world.foreign(), Program::Pause)?;
    let by = |descriptor| Launch {
        descriptor: Some(descriptor),
        ..Launch::new(&program)
    };
    let binary = program.display().to_string();
    let mut command = by(Descriptor::Kept).command()?;
    let running = Running::start("guest", command.stdin(Stdio::null()), None)?;
    if !world.sees_headers()? {
        let named = world.counted(&binary, "emulated", 1, Duration::from_secs(3));
        drop(running);
        return Ok(named.map_or(
            Outcome::Degraded("named by its descriptor, as the kernel does (/dev/fd/N)"),
            |_| Outcome::Pass(String::new()),
        ));
    }
    world.counted(&binary, "emulated", 1, SOON)?;
    drop(running);

    let status = by(Descriptor::Closed).command()?.status()?;
    ensure!(
        status.code() == Some(REFUSED + ENOENT),
        "by a descriptor that is closed it ended with {status}"
    );
    world.counted(&binary, "failed", 1, SOON)?;
    Ok(Outcome::Pass(String::new()))
}

/// A registry that only one user namespace has.
pub(super) fn in_a_user_namespace(world: &mut World) -> Result<Outcome> {
    if kernel()? < (6, 7) {
        return Ok(Outcome::NotApplicable(
            "before Linux 6.7 there is one registry for all namespaces",
        ));
    }
    let emulator = world.program("emulator-userns", world.native(), Program::Pause)?;
    let guest = world.file("guest-userns", &header_only(RISCV64))?;
    let rule = Handler::rule(RISCV64, &emulator, "F")?;
    let launch = Launch {
        private_rule: Some(format!(":private{rule}")),
        ..Launch::new(&guest)
    };
    let running = Running::start("guest", &mut launch.command()?, None)?;
    let (fact, _) = world.counted(&guest.display().to_string(), "emulated", 1, SOON)?;
    ensure!(fact.arch == "riscv64", "its architecture is {}", fact.arch);
    drop(running);
    Ok(Outcome::Pass(String::new()))
}

/// A directory that can become a root, with executable files.
fn root(world: &World, name: &str, files: &[(&str, &[u8])]) -> Result<PathBuf> {
    let root = world.dir().join(name);
    fs::create_dir(&root).with_context(|| format!("create {}", root.display()))?;
    for (name, content) in files {
        world.file(root.join(name), content)?;
    }
    Ok(root)
}

/// How many milliseconds a refused process has to live on so that its files can be looked at.
fn linger(world: &World) -> Result<u64> {
    Ok(if world.sees_headers()? { 0 } else { 1000 })
}

/// Major and minor version.
fn kernel() -> Result<(u32, u32)> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(['.', '-']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => anyhow::bail!("what version is {release}?"),
    }
}
