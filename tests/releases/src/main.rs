//! Writes down what a release leaves behind, for tests of those that come after it.

use std::path::PathBuf;
use std::process::ExitCode;

use archtrace_releases::record::Recording;
use clap::Parser;

const AFTER_HELP: &str = "\
Example, at the release's commit:
  cargo build -p archtrace-collector -p archtrace-sim
  cargo run -p archtrace-releases -- --programs target/debug --out tests/releases/0.1";

/// Writes down what a release leaves behind.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
struct Args {
    /// The directory of its archtrace-collector and archtrace-sim
    #[arg(long, value_name = "DIR")]
    programs: PathBuf,

    /// Its protocol
    #[arg(long, value_name = "FILE", default_value = "proto/published.binpb")]
    protocol: PathBuf,

    /// Where to write it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args {
        programs,
        protocol,
        out,
    } = Args::parse();
    let recording = Recording {
        programs,
        protocol,
        out,
    };
    match recording.make().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("archtrace-record-release: {error:#}");
            ExitCode::FAILURE
        }
    }
}
