//! `archtrace registry`.

use std::cmp::Reverse;
use std::io::ErrorKind;
use std::process::ExitCode;

use archtrace_facts::registry::Outcome;

use super::{nothing, print, warn};
use crate::args::{Connection, Output, RegistryArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;
use crate::show::human::count;

/// Prints what registries have of what is deployed, and says by the exit code whether something is lacking.
pub(super) async fn registry(
    connection: &Connection,
    output: Output,
    args: &RegistryArgs,
) -> Result<ExitCode, Failure> {
    let client = Client::connect(connection).await?;
    let asked = args.tags();
    let (mut answer, unnamed) = client.tags(&asked).await?;
    warn(&answer.coverage);
    if unnamed > 0 {
        eprintln!(
            "warning: {} fact(s) are of pods whose images nobody knows (yet): no tag speaks for them",
            count(unnamed)
        );
    }
    let verdicts = answer.told.iter().map(|tag| tag.verdict);
    let mut outcome = Outcome::of(verdicts, &answer.coverage);
    if unnamed > 0 && outcome == Outcome::Fine {
        outcome = Outcome::NotKnown;
    }
    let is_empty = answer.told.is_empty();
    let shown = &args.verdicts;
    answer
        .told
        .retain(|tag| shown.is_empty() || shown.contains(&tag.verdict));
    // The worst first; by reference otherwise, as they came.
    answer.told.sort_by_key(|tag| Reverse(tag.verdict));
    if is_empty {
        nothing(&client, "such tags", &[]).await?;
    } else {
        match print(&show::tags(&answer, asked.arch, output)) {
            // The exit code still says it.
            Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {}
            printed => printed?,
        }
    }
    Ok(match outcome {
        Outcome::Fine => ExitCode::SUCCESS,
        Outcome::Lacking => 2.into(),
        Outcome::NotKnown => 3.into(),
    })
}
