//! The hooks that serve, and what stays of finding them.

use anyhow::{Context as _, Result, ensure};

use super::{Outcome, crowd};
use crate::world::World;

/// Header and failure hook run in the tier that this kernel allows, the others in the cheapest, which all
/// kernels here have; and every hook was proven, but in tier 3 nothing sees headers.
pub(super) fn hooks_are_proven(world: &mut World) -> Result<Outcome> {
    let node = world.node()?;
    let hooks = node["preflight"]["hooks"]
        .as_array()
        .with_context(|| format!("no hooks in {node}"))?;
    let mut told = Vec::new();
    for name in [
        "header", "failure", "exec", "fork", "free", "signal", "cgroup",
    ] {
        let hook = hooks
            .iter()
            .find(|hook| hook["name"] == name)
            .with_context(|| format!("no hook {name} in {node}"))?;
        ensure!(
            hook["proven"] == true || (name == "header" && hook["tier"] == 3),
            "the hook {name} is not proven: {hook}"
        );
        told.push(format!(
            "{name}={}",
            hook["mechanism"].as_str().unwrap_or("?")
        ));
        let tier = match name {
            "header" | "failure" => world.tier(),
            _ => Some(1),
        };
        if let Some(tier) = tier {
            ensure!(
                hook["tier"] == tier,
                "the hook {name} should run in tier {tier}: {hook}"
            );
        }
    }
    Ok(Outcome::Pass(told.join(" ")))
}

/// The types of the kernel, which are read at the start, take more than all the rest ever does: nothing of that
/// stays, however often it is tried.
pub(super) fn starts_leave_nothing(world: &mut World) -> Result<Outcome> {
    const STARTS: usize = 4;
    const MAX_KB: u64 = 15 * 1024;
    let mut most = 0;
    for _ in 0..STARTS {
        world.kill_agent()?;
        world.start_agent()?;
        most = most.max(crowd::own(world.agent()?.pid())?);
    }
    ensure!(
        most <= MAX_KB,
        "an agent that has just started keeps {most} kB of its own, more than {MAX_KB}"
    );
    Ok(Outcome::Pass(format!("{most} kB")))
}
