//! What emulation costs, compared with what the kernel says that it used.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::LIMIT;
use super::fleet::{Fleet, MACHINE};
use crate::usage;
use crate::wait::eventually;
use crate::world::World;

/// So much CPU time is enough for what else is told to be small beside it.
const BURNT: Duration = Duration::from_secs(5);

/// What archtrace says may differ by this part from what the kernel says.
const TOLERANCE: f64 = 0.05;

/// What the sidecar used: more than `least`, not more than `most`.
pub(super) struct Bill {
    least: f64,
    most: f64,
    prices: String,
}

/// Lets the sidecar use its CPU for a while, and stops it, so that both look at the same.
pub(super) fn measure(world: &World, fleet: &Fleet) -> Result<Bill> {
    let sidecar = &fleet.sidecar;
    let pid = world.kubelet()?.main_process(&sidecar.pod, &sidecar.id)?;
    // What the runtime used before the exec is in here, and in what the kernel says later.
    let before = usage::of_process(pid)?;
    let used = usage::of_stopped(pid, before + BURNT).context("the sidecar")?;
    let prices =
        format!("currency = \"INR\"\n[machines.\"{MACHINE}\"]\nper_hour = 7200.0\ncpus = 2\n");
    Ok(Bill {
        least: used.saturating_sub(before).as_secs_f64() * (1.0 - TOLERANCE),
        most: used.as_secs_f64() * (1.0 + TOLERANCE),
        prices: fleet.file("prices.toml", prices.as_bytes())?,
    })
}

impl Bill {
    /// The right workload has it, the most expensive first, and a CPU second costs what the table says.
    pub(super) fn check(&self, world: &World) -> Result<String> {
        let Self {
            least,
            most,
            prices,
        } = self;
        let arguments = ["cost", "-n", "paykit", "--since", "24h", "--prices", prices];
        let (seconds, _) = eventually(LIMIT, || {
            let answer = world.client().answer(&arguments)?;
            let [first, second] = &answer.objects[..] else {
                anyhow::bail!(
                    "{} workloads cost something: {answer:?}",
                    answer.objects.len()
                )
            };
            ensure!(answer.code == 0, "it ended with {answer:?}");
            let number = |of: &serde_json::Value, field: &str| {
                of[field]
                    .as_f64()
                    .with_context(|| format!("no {field} in {of}"))
            };
            ensure!(
                first["workload"] == "Deployment/payments-api"
                    && second["workload"] == "Deployment/ledger",
                "these cost something: {answer:?}"
            );
            let seconds = number(first, "cpu_seconds")?;
            ensure!(
                (*least..=*most).contains(&seconds),
                "{seconds:.3} s are told, and {least:.3} s to {most:.3} s were used"
            );
            let other = number(second, "cpu_seconds")?;
            ensure!(
                other > 0.0 && other < seconds / 2.0,
                "{other:.3} s are told of a program that sleeps"
            );
            // 7200 an hour for 2 CPUs.
            let cost = number(first, "cost")?;
            ensure!(
                (cost - seconds).abs() < 1e-3
                    && first["currency"] == "INR"
                    && number(first, "unpriced_cpu_seconds")? == 0.0
                    && first["shares"][0]["instance_type"] == MACHINE
                    && first["shares"][0]["nodes"] == 1,
                "it costs {first}"
            );
            Ok(seconds)
        })?;
        Ok(format!(
            "{seconds:.2} s told of {least:.2} s to {most:.2} s used"
        ))
    }
}
