//! Rows about agents that policy mandates, from how it is with each on the nodes of an architecture.

use std::collections::BTreeMap;

use super::{Evidence, EvidenceKind, Layer, Row, Status, row};
use crate::arch::Arch;
use crate::coverage::{Outcome, Row as Standing, Status as Is, Total};

/// A row for each of the `agents` that have to run on nodes of `arch`, by on how many it is so; `examples` are
/// some of those where it is not NATIVE.
#[must_use]
pub fn mandated(
    arch: Arch,
    agents: &[String],
    totals: &[Total],
    examples: &[Standing],
) -> Vec<Row> {
    let none = agents.iter().map(|agent| (agent.as_str(), Vec::new()));
    let mut of_agents: BTreeMap<&str, Vec<&Total>> = none.collect();
    for total in totals.iter().filter(|total| total.nodes > 0) {
        of_agents.entry(&total.agent).or_default().push(total);
    }
    let rows = of_agents.into_iter().map(|(agent, totals)| {
        let examples = examples.iter().filter(|row| row.place.agent == agent);
        of_agent(arch, agent, &totals, examples)
    });
    rows.collect()
}

fn of_agent<'a>(
    arch: Arch,
    agent: &str,
    totals: &[&Total],
    examples: impl Iterator<Item = &'a Standing>,
) -> Row {
    let status = totals.iter().map(|total| status(total.status)).max();
    let status = status.unwrap_or(Status::Gate);
    let others = totals.iter().filter(|total| total.status != Is::Native);
    let others: Vec<_> = others
        .map(|total| format!("{} on {}", total.status, total.nodes))
        .collect();
    let nodes: u64 = totals.iter().map(|total| total.nodes).sum();
    let why = if nodes == 0 {
        format!("no {arch} node reports yet that has to run it")
    } else if others.is_empty() {
        format!("native and certified on all {nodes} {arch} nodes")
    } else {
        format!("{} of {nodes} {arch} nodes", others.join(", "))
    };
    let row = row(Layer::Agents, agent, status, why);
    let row = match status {
        Status::Pass | Status::Waived => row,
        Status::Gate | Status::Fix => row.action(format!(
            "archtrace coverage --agent {agent} --arch {arch} says where and why"
        )),
    };
    // The worst first, and of these whatever comes first.
    let mut examples: Vec<_> = examples.collect();
    examples.sort_by_key(|row| (std::cmp::Reverse(self::status(row.status)), &row.place));
    let count: u64 = totals
        .iter()
        .filter(|total| total.status != Is::Native)
        .map(|total| total.nodes)
        .sum();
    let evidence: Vec<_> = examples
        .into_iter()
        .take(Row::EVIDENCE)
        .map(evidence)
        .collect();
    let more_evidence = count.saturating_sub(evidence.len() as u64);
    Row {
        evidence,
        more_evidence,
        ..row
    }
}

/// What follows for whoever wants to move a workload there.
fn status(is: Is) -> Status {
    match (is, is.outcome()) {
        (Is::Waived, _) => Status::Waived,
        (_, Outcome::Fine) => Status::Pass,
        (_, Outcome::NotKnown) => Status::Gate,
        (_, Outcome::Violated) => Status::Fix,
    }
}

fn evidence(standing: &Standing) -> Evidence {
    let what = [&standing.binary, &standing.image, &standing.place.agent];
    let what = what.into_iter().find(|what| !what.is_empty());
    Evidence {
        kind: EvidenceKind::Agent,
        what: what.cloned().unwrap_or_default(),
        arch: None,
        node: standing.place.node.clone(),
        detail: format!("{}: {}", standing.status, standing.reason),
        seen: standing.seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Place;

    fn total(agent: &str, status: Is, nodes: u64) -> Total {
        Total {
            agent: agent.to_owned(),
            status,
            nodes,
        }
    }

    fn standing(agent: &str, node: &str, status: Is) -> Standing {
        Standing {
            place: Place {
                agent: agent.to_owned(),
                cluster: String::new(),
                node: node.to_owned(),
            },
            node_arch: Arch::Arm64,
            status,
            since: None,
            waived: None,
            waiver: None,
            reason: "so it is".to_owned(),
            namespace: String::new(),
            pod: String::new(),
            workload: String::new(),
            unit: String::new(),
            binary: String::new(),
            image: String::new(),
            seen: None,
            past: Vec::new(),
        }
    }

    #[test]
    fn the_worst_node_decides() {
        for (totals, status, why) in [
            (vec![(Is::Native, 3)], Status::Pass, "all 3 arm64 nodes"),
            (
                vec![(Is::Native, 3), (Is::Waived, 1)],
                Status::Waived,
                "WAIVED on 1 of 4",
            ),
            (
                vec![(Is::Waived, 1), (Is::Unknown, 1)],
                Status::Gate,
                "UNKNOWN on 1 of 2",
            ),
            (
                vec![(Is::Stale, 1), (Is::Native, 1)],
                Status::Gate,
                "STALE on 1 of 2",
            ),
            (
                vec![(Is::Unknown, 1), (Is::Missing, 2)],
                Status::Fix,
                "MISSING on 2 of 3",
            ),
            (
                vec![(Is::Native, 9), (Is::Emulated, 1)],
                Status::Fix,
                "EMULATED on 1 of 10",
            ),
            (
                vec![(Is::Uncertified, 1), (Is::Native, 0)],
                Status::Fix,
                "UNCERTIFIED on 1 of 1",
            ),
            (vec![(Is::Failing, 1)], Status::Fix, "FAILING on 1 of 1"),
        ] {
            let totals: Vec<_> = totals
                .into_iter()
                .map(|(status, nodes)| total("edr", status, nodes))
                .collect();
            let rows = mandated(Arch::Arm64, &[], &totals, &[]);
            assert_eq!(rows.len(), 1, "{totals:?}");
            assert_eq!(rows[0].status, status, "{rows:?}");
            assert!(rows[0].why.contains(why), "{rows:?}");
            assert_eq!(rows[0].action.is_empty(), status < Status::Gate, "{rows:?}");
        }
        assert_eq!(mandated(Arch::Arm64, &[], &[], &[]), []);
        let unseen = mandated(Arch::Arm64, &["edr".to_owned()], &[], &[]);
        assert_eq!(unseen[0].status, Status::Gate, "{unseen:?}");
    }

    #[test]
    fn examples_are_bounded_and_the_worst_come_first() {
        let mut examples: Vec<_> = (0..20)
            .map(|i| standing("edr", &format!("n{i:02}"), Is::Unknown))
            .collect();
        examples.push(standing("edr", "z", Is::Emulated));
        examples.push(standing("other", "a", Is::Emulated));
        let totals = [
            total("edr", Is::Unknown, 20),
            total("edr", Is::Emulated, 1),
            total("edr", Is::Native, 100),
        ];
        let rows = mandated(Arch::Arm64, &["edr".to_owned()], &totals, &examples);
        let nodes: Vec<_> = rows[0].evidence.iter().map(|shown| &shown.node).collect();
        assert_eq!(
            (nodes.len(), nodes[0].as_str(), nodes[1].as_str()),
            (10, "z", "n00")
        );
        assert_eq!(rows[0].more_evidence, 11);
    }
}
