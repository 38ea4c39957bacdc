//! `archtrace coverage`.

use std::io;
use std::process::ExitCode;

use archtrace_facts::coverage::{Outcome, Status};

use super::{print, warn};
use crate::args::{CoverageArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

/// Something is not as it has to be.
const VIOLATED: u8 = 5;
/// Nothing is known to be wrong, and not everything is known.
const NOT_KNOWN: u8 = 6;

pub(super) async fn coverage(
    client: &Client,
    output: Output,
    args: &CoverageArgs,
) -> Result<ExitCode, Failure> {
    let mut asked = args.clone();
    if output == Output::Table && args.statuses.is_empty() {
        // What is fine is told by the sums below.
        let others = Status::ALL
            .iter()
            .filter(|status| **status != Status::Native);
        asked.statuses = others.copied().collect();
    }
    let answer = client.agents(&asked).await?;
    warn(&answer.coverage);
    let agents = &answer.told;
    if !agents.policy.problem.is_empty() {
        eprintln!(
            "warning: the policy in force is not what its file says now: {}",
            agents.policy.problem
        );
    }
    if !agents.without_nodes.is_empty() {
        eprintln!(
            "warning: no node that is known is one of those that {} has for {}: their names or clusters are wrong, \
             or none has come yet",
            agents.policy.source,
            agents.without_nodes.join(", ")
        );
    }
    if agents.totals.is_empty() {
        eprintln!(
            "none of the {} agent(s) of {} has to run on such a node, or none is called so",
            agents.policy.agents, agents.policy.source
        );
    }
    match print(&show::agents(&answer, output, args.history)) {
        // Whoever has seen enough of it is told all the same.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    let without = match &*agents.without_nodes {
        [] => Outcome::Fine,
        // Nobody can tell how it is with them.
        _ => Outcome::NotKnown,
    };
    Ok(match Outcome::of(&agents.totals).max(without) {
        Outcome::Fine => ExitCode::SUCCESS,
        Outcome::Violated => VIOLATED.into(),
        Outcome::NotKnown => NOT_KNOWN.into(),
    })
}
