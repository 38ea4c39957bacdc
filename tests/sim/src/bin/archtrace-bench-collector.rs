//! `cargo xtask bench collector`, without cargo.

use archtrace_sim::bench::{Args, run};
use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(&Args::parse()).await
}
