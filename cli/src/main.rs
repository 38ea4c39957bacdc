//! `archtrace`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    archtrace_cli::main().await
}
