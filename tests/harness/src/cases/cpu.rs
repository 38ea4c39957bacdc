//! CPU time of emulated processes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::Program;

use super::Outcome;
use crate::cgroup::Cgroup;
use crate::launch::Launch;
use crate::process::Running;
use crate::usage;
use crate::wait::eventually;
use crate::world::{Place, World};

/// What archtrace says may differ by this part from what the kernel says.
const TOLERANCE: f64 = 0.05;

/// Each of several children should take about this long, so that ticks and slices do not matter.
const WORK: Duration = Duration::from_millis(300);

/// Forked children that have ended: as `getrusage` says.
pub(super) fn of_children(world: &mut World) -> Result<Outcome> {
    let iterations = iterations(world)?;
    let program = world.program(
        "cpu-forks",
        world.foreign(),
        Program::Forks {
            children: 6,
            iterations: Some(iterations),
        },
    )?;
    let before = usage::of_children()?;
    // Nothing else may be started and waited for before the second look.
    let status = Command::new(&program).stdin(Stdio::null()).status()?;
    let expected = usage::of_children()?.saturating_sub(before);
    ensure!(status.success(), "the guest ended with {status}");
    let told = compare(world, &program.display().to_string(), expected, 0)?;
    Ok(Outcome::Pass(told))
}

/// An emulated shell that starts many short emulated processes, as builds do: what its cgroup used.
pub(super) fn of_a_build(world: &mut World) -> Result<Outcome> {
    let times = match world.place() {
        Place::Host => 2_000,
        // An emulated CPU takes up to a second to start an emulator.
        Place::Vm => 8,
    };
    let cgroup = Cgroup::container(500)?;
    let shell = world.program("cpu-shell", world.foreign(), Program::Shell { times })?;
    let command = world.program("cpu-command", world.foreign(), Program::Exit(0))?;
    let launch = Launch {
        arguments: [&shell, &command]
            .map(|path| path.display().to_string())
            .to_vec(),
        cgroup: Some(cgroup.dir().to_owned()),
        ..Launch::new(&shell)
    };
    let status = launch.command()?.stdin(Stdio::null()).status()?;
    ensure!(status.success(), "the shell ended with {status}");
    let expected = cgroup.usage()?.as_secs_f64();
    let (told, after) = eventually(Duration::from_secs(15), || {
        let facts = world.client().facts(&["--mode", "emulated"])?;
        let inside: Vec<_> = facts
            .iter()
            .filter(|fact| fact.cgroup == cgroup.name())
            .collect();
        let count: u64 = inside.iter().map(|fact| fact.count).sum();
        ensure!(
            count == 1 + u64::from(times),
            "{count} execs were counted of {times} and a shell"
        );
        let told: f64 = inside.iter().map(|fact| fact.cpu_seconds).sum();
        ensure!(
            (told - expected).abs() <= TOLERANCE * expected,
            "{told:.3} s of CPU time were told, {expected:.3} s were used"
        );
        Ok(told)
    })?;
    Ok(Outcome::Pass(format!(
        "{told:.3} s told of {expected:.3} s used by {times} processes, after {} ms",
        after.as_millis()
    )))
}

/// A process that is still running, with children: as `/proc` says.
pub(super) fn while_running(world: &mut World) -> Result<Outcome> {
    let program = world.program("cpu-burn", world.foreign(), Program::Burn)?;
    let running = Running::start("guest", &mut Command::new(&program), None)?;
    // Ticks and what QEMU needs for its start are small beside this.
    let expected = usage::of_stopped(running.pid(), Duration::from_secs(2))?;
    let told = compare(world, &program.display().to_string(), expected, 1)?;
    running.kill()?;

    let program = world.program(
        "cpu-pause",
        world.foreign(),
        Program::Forks {
            children: 3,
            iterations: None,
        },
    )?;
    let running = Running::start("guest", &mut Command::new(&program), None)?;
    eventually(Duration::from_secs(20), || {
        let (fact, _) = world.counted(
            &program.display().to_string(),
            "emulated",
            1,
            Duration::ZERO,
        )?;
        ensure!(
            fact.processes == 4,
            "{} processes of 4 are said to be alive",
            fact.processes
        );
        Ok(())
    })?;
    running.kill()?;
    Ok(Outcome::Pass(told))
}

fn compare(world: &World, binary: &str, expected: Duration, processes: u64) -> Result<String> {
    let expected = expected.as_secs_f64();
    // Living processes are looked at every 5 s.
    let ((), after) = eventually(Duration::from_secs(15), || {
        let (fact, _) = world.counted(binary, "emulated", 1, Duration::ZERO)?;
        let error = (fact.cpu_seconds - expected).abs() / expected;
        ensure!(
            error <= TOLERANCE,
            "{:.3} s of CPU time were told, {expected:.3} s were used",
            fact.cpu_seconds
        );
        ensure!(
            fact.processes == processes,
            "{} processes are said to be alive",
            fact.processes
        );
        Ok(())
    })?;
    let (fact, _) = world.counted(binary, "emulated", 1, Duration::ZERO)?;
    Ok(format!(
        "{:.3} s told of {expected:.3} s used, after {} ms",
        fact.cpu_seconds,
        after.as_millis()
    ))
}

/// So many iterations keep the emulator of this machine busy for [`WORK`].
fn iterations(world: &World) -> Result<u32> {
    let mut iterations: u32 = 1 << 16;
    loop {
        let program = world.program(
            format!("cpu-{iterations}"),
            world.foreign(),
            Program::Spin(iterations),
        )?;
        let start = Instant::now();
        let status = Command::new(&program).stdin(Stdio::null()).status()?;
        ensure!(status.success(), "the guest ended with {status}");
        if start.elapsed() >= WORK {
            return Ok(iterations);
        }
        iterations = iterations
            .checked_mul(2)
            .context("the emulator is too fast")?;
    }
}
