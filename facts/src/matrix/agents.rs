//! What policy mandates on each node.

use super::{Layer, Row, Status, row};
use crate::arch::Arch;

/// The rows of whoever knows the policy. Without any, nobody knows what has to run there: that is a gate.
pub(super) fn rows(known: Option<&[Row]>, arch: Arch) -> Vec<Row> {
    let row = |status, why: &str| row(Layer::Agents, "", status, why);
    match known {
        None => vec![
            row(
                Status::Gate,
                "no policy: nobody said which agents are mandated",
            )
            .action(format!(
                "ask security which agents have to run on {arch} nodes, and in which versions"
            )),
        ],
        Some([]) => vec![row(Status::Pass, "policy mandates no agent there")],
        Some(rows) => rows.to_vec(),
    }
}
