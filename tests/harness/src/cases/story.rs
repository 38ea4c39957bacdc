//! The story of a team that moves to another architecture, and what each command tells them on the way.
//!
//! In week one a node has what the fleet has: an agent that security mandates and that an emulator runs, one
//! that does not start at all, a service whose jar holds a library of its HSM's vendor for the other
//! architecture only, a sidecar whose image is not what it claims, a job whose image is for one platform. In
//! week two all of that is mended, and the same questions have other answers. Nothing passes before.

mod agents;
mod bill;
mod canary;
mod expect;
mod fleet;
mod service;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use self::fleet::Fleet;
use super::Outcome;
use crate::wait::eventually;
use crate::world::World;

/// Names are asked for several times, images are looked through one after the other, native execs are counted
/// every 20 s, and what ran in a cgroup that is gone is forgotten after two minutes.
const LIMIT: Duration = Duration::from_secs(240);

/// The whole of it.
pub(super) fn paykit(world: &mut World) -> Result<Outcome> {
    let began = Instant::now();
    let mut fleet = Fleet::week_one(world)?;
    let bill = bill::measure(world, &fleet).context("the CPU time of the sidecar")?;
    service::week_one(world, &fleet).context("the service in week one")?;
    let failing = agents::week_one(world, &fleet).context("agents in week one")?;
    canary::week_one(world, &fleet).context("the canary in week one")?;
    let bill = bill.check(world).context("the cost of week one")?;
    let mended = began.elapsed();

    fleet.week_two(world)?;
    service::week_two(world, &fleet).context("the service in week two")?;
    agents::week_two(world, &fleet).context("agents in week two")?;
    canary::week_two(world, &fleet).context("the canary in week two")?;
    service::moves(world, &fleet).context("the matrix in week two")?;
    canary::silence(world, &fleet).context("a node that is silent")?;
    fleet.end(world)?;
    // Others find the collector as it was.
    world.set_collector(&[])?;
    let told = format!(
        "week one {:.0} s, week two {:.0} s; {bill}",
        mended.as_secs_f64(),
        (began.elapsed() - mended).as_secs_f64()
    );
    Ok(match failing {
        None => Outcome::Pass(told),
        Some(less) => {
            println!("    | {told}");
            Outcome::Degraded(less)
        }
    })
}

/// Asks until the exit code and the answer are as they should be.
fn told(world: &World, arguments: &[&str], code: i32, expected: &serde_json::Value) -> Result<()> {
    let ((), waited) = eventually(LIMIT, || {
        let answer = world.client().answer(arguments)?;
        expect::answer(&answer, code, expected)
            .with_context(|| format!("archtrace {}", arguments.join(" ")))
    })?;
    if waited > Duration::from_secs(5) {
        println!(
            "    | waited {:.0} s for: archtrace {}",
            waited.as_secs_f64(),
            arguments.join(" ")
        );
    }
    Ok(())
}
