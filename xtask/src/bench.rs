//! `cargo xtask bench`: measures what the agent costs.

use anyhow::Result;

#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args {} = args;
    anyhow::bail!("nothing is measured yet")
}
