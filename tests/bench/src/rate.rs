//! How much slower execs are with the agent than without.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use archtrace_harness::world::{World, run};

use crate::summary::{Pairs, Spread};

const PAIRS: usize = 7;
const EXECS: u32 = 3_000;

pub(crate) fn print(world: &mut World, native: &Path) -> Result<()> {
    println!("exec rate, {PAIRS} pairs of {EXECS} execs, with and without the agent in turn");
    let mut pairs = Pairs::default();
    for _ in 0..PAIRS {
        pairs.with.push(microseconds(native)?);
        world.kill_agent()?;
        pairs.without.push(microseconds(native)?);
        world.start_agent()?;
    }
    let Spread { median, low, high } = pairs.ratio();
    for (name, values) in [("with", pairs.with), ("without", pairs.without)] {
        let median = Spread::of(values).median;
        println!("  {name:<7} {median:>8.1} us an exec (median)");
    }
    println!(
        "  ratio   {median:>8.4} (median of the pairs; {low:.4} to {high:.4} in 95 of 100 cases)"
    );
    Ok(())
}

fn microseconds(native: &Path) -> Result<f64> {
    let start = Instant::now();
    run(native, EXECS)?;
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(EXECS))
}
