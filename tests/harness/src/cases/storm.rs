//! As many execs at once as the machine can do.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use archtrace_guests::{Program, header_only};

use super::Outcome;
use super::failures::{RISCV64, S390X};
use super::flood::lost;
use crate::binfmt::Handler;
use crate::process::Running;
use crate::wait::eventually;
use crate::world::{Place, World};

/// So many shells run at once: half of them start emulated programs, a quarter what fails, and a
/// quarter native ones.
const SHELLS: u64 = 96;

/// What was not counted exactly is a loss of as many.
pub(super) fn counted(world: &mut World) -> Result<Outcome> {
    let (times, time) = match world.place() {
        Place::Host => (50, Duration::from_secs(60)),
        // An emulated CPU takes some 10 ms for each.
        Place::Vm => (5, Duration::ZERO),
    };
    // What is counted is the kernel's work, not the emulator's.
    let emulator = world.program("emulator-storm", world.native(), Program::Exit(0))?;
    let _handler = Handler::emulate("archtrace-test-storm", RISCV64, &emulator, "F")?;
    let shell = world.program("shell", world.native(), Program::Shell { times })?;
    let emulated = world.file("storm-emulated", &header_only(RISCV64))?;
    let failing = world.file("storm-failing", &header_only(S390X))?;
    let native = world.program("storm-native", world.native(), Program::Exit(0))?;
    let before = lost(world)?;

    let start = Instant::now();
    let mut rounds = 0;
    while rounds == 0 || start.elapsed() < time {
        rounds += 1;
        let mut shells = (0..SHELLS)
            .map(|number| {
                let program = match number % 4 {
                    0 | 1 => &emulated,
                    2 => &failing,
                    _ => &native,
                };
                Running::start("shell", Command::new(&shell).arg(program), None)
            })
            .collect::<Result<Vec<_>>>()?;
        for shell in &mut shells {
            let status = shell.wait()?;
            ensure!(status.success(), "a shell ended with {status}");
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let each = rounds * u64::from(times) * SHELLS / 4;

    let limit = Duration::from_secs(20);
    let ((told, lost), _) = eventually(limit, || {
        let told = [
            count(world, &emulated, "emulated")?,
            count(world, &failing, "failed")?,
        ];
        let lost = lost(world)? - before;
        let expected = 3 * each;
        let known = told.iter().sum::<u64>() + lost;
        ensure!(
            told[0] <= 2 * each && told[1] <= each && known >= expected,
            "{told:?} were counted and {lost} lost of {} and {each}",
            2 * each
        );
        Ok((told, lost))
    })?;
    Ok(Outcome::Pass(format!(
        "{} emulated and {} failed execs counted, {lost} lost, of {} in {seconds:.1} s",
        told[0],
        told[1],
        4 * each
    )))
}

/// How many execs of `program` the facts of `mode` have.
fn count(world: &World, program: &Path, mode: &str) -> Result<u64> {
    let facts = world.client().facts(&["--mode", mode])?;
    Ok(facts
        .iter()
        .filter(|fact| Some(&*fact.binary) == program.to_str())
        .map(|fact| fact.count)
        .sum())
}
