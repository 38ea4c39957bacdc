//! How much slower execs are with the agent than without.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use archtrace_harness::world::{World, run};

use crate::summary::{percentile, sorted};

const PAIRS: usize = 7;
const EXECS: u32 = 3_000;

pub(crate) fn print(world: &mut World, native: &Path) -> Result<()> {
    println!("exec rate, {PAIRS} pairs of {EXECS} execs, with and without the agent in turn");
    let mut with = Vec::new();
    let mut without = Vec::new();
    for _ in 0..PAIRS {
        with.push(microseconds(native)?);
        world.kill_agent()?;
        without.push(microseconds(native)?);
        world.start_agent()?;
    }
    let ratios = sorted(
        with.iter()
            .zip(&without)
            .map(|(with, without)| with / without)
            .collect(),
    );
    let (with, without) = (sorted(with), sorted(without));
    println!(
        "  with    {:>8.1} us an exec (median)",
        percentile(&with, 50)
    );
    println!(
        "  without {:>8.1} us an exec (median)",
        percentile(&without, 50)
    );
    let (least, median, most) = (ratios[0], percentile(&ratios, 50), ratios[ratios.len() - 1]);
    println!("  ratio   {median:>8.4} (median of the pairs; {least:.4} to {most:.4})");
    Ok(())
}

fn microseconds(native: &Path) -> Result<f64> {
    let start = Instant::now();
    run(native, EXECS)?;
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(EXECS))
}
