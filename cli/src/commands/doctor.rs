//! `archtrace doctor`: what an agent could do on this machine.

use archtrace_agent::config::Config;
use archtrace_agent::preflight;

use super::print;
use crate::args::Output;
use crate::failure::Failure;

/// Attaches the hooks as an agent would, says which work and why others do not, and detaches.
pub(crate) fn doctor(output: Output) -> Result<(), Failure> {
    let report = preflight::run(1, Config::default().spool_dir())?;
    match output {
        Output::Table | Output::Wide => print(&preflight::text(&report)),
        Output::Json => print(&format!("{}\n", preflight::json(&report))),
    }
}
