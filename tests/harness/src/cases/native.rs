//! What is native, and what stands beside it.

use std::time::Duration;

use anyhow::{Result, ensure};
use archtrace_guests::Program;

use super::Outcome;
use super::kinds::SOON;
use crate::cgroup::Cgroup;
use crate::launch::Launch;
use crate::world::{World, run};

/// The 32-bit mode of the CPU is no emulation.
pub(super) fn compat(world: &mut World) -> Result<Outcome> {
    if !world.runs_32bit()? {
        return Ok(Outcome::NotApplicable(
            "this kernel runs no 32-bit programs",
        ));
    }
    let isa = world.native().compat();
    let program = world.program("compat", isa, Program::Exit(0))?;
    run(&program, 1)?;
    let binary = program.display().to_string();
    let (fact, _) = world.counted(&binary, "compat", 1, Duration::from_secs(60))?;
    ensure!(
        fact.arch == isa.as_str(),
        "its architecture is {}",
        fact.arch
    );
    Ok(Outcome::Pass(String::new()))
}

/// A foreign helper in the container of a native program: each is what it is.
pub(super) fn neighbours(world: &mut World) -> Result<Outcome> {
    let cgroup = Cgroup::container(24)?;
    let main = world.program("main", world.native(), Program::Exit(0))?;
    let helper = world.program("helper", world.foreign(), Program::Exit(0))?;
    for program in [&main, &helper] {
        let launch = Launch {
            cgroup: Some(cgroup.dir().to_owned()),
            ..Launch::new(program)
        };
        let status = launch.command()?.status()?;
        ensure!(
            status.success(),
            "{} ended with {status}",
            program.display()
        );
    }
    for (program, mode, limit) in [
        (helper, "emulated", SOON),
        (main, "native", Duration::from_secs(60)),
    ] {
        let (fact, _) = world.counted(&program.display().to_string(), mode, 1, limit)?;
        ensure!(
            fact.cgroup == cgroup.name(),
            "its cgroup is said to be {}",
            fact.cgroup
        );
    }
    Ok(Outcome::Pass(String::new()))
}
