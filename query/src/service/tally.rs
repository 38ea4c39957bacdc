//! Mandated agents in numbers: for pages and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use archtrace_facts::coverage::{Counts, InForce, Tally};
use archtrace_facts::policy::Nodes;
use tonic::Status;

use super::Query;
use super::coverage::{beside, look};
use crate::mandates::Mandates;
use crate::read::Read;

/// Mandated agents in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallies {
    /// The policy that holds.
    pub policy: InForce,
    /// All agents that it names, in the order of names.
    pub agents: Vec<String>,
    /// On how many nodes each agent is so, by what nodes they are; where it has not to run on any, there is none.
    pub tallies: Vec<Tally>,
}

impl<S: Read> Query<S> {
    /// On how many nodes each mandated agent is as it has to be, and on how many it is not.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` if there is no policy, with what to do about it; if facts are still being read,
    /// or the store does not answer.
    pub async fn tallies(&self) -> Result<Tallies, Status> {
        let policies = match &self.inner.settings.mandates {
            Mandates::Of(policies) => Arc::clone(policies),
            Mandates::Nobody(why) => return Err(Status::failed_precondition(*why)),
        };
        let shared = self.inner.live.loaded().await?;
        let beside = beside(&self.inner, &shared).await?;
        let counted = tokio::task::spawn_blocking(move || {
            let expected = shared.expected().nodes();
            let (table, ledger) = (shared.table(), shared.ledger());
            let look = look(&table, &ledger, &beside, &expected)?;
            let mut judged = shared.judged();
            let has_machines = !expected.machines.is_empty();
            // By agent, in the order of the policy, of each kind of node.
            let mut kinds = BTreeMap::<_, Vec<Counts>>::new();
            for on in look.nodes(&Nodes::default()) {
                let machine = has_machines
                    .then(|| expected.machine(on.cluster, on.name))
                    .flatten();
                let kind = (
                    on.cluster,
                    on.arch(),
                    machine.map_or("", |machine| machine.instance_type.as_str()),
                );
                let of_agents = kinds.entry(kind).or_default();
                of_agents.resize(look.agents().len(), Counts::default());
                for (counts, status) in of_agents.iter_mut().zip(judged.on(&look, on)) {
                    if let Some(status) = status {
                        counts.add(*status, 1);
                    }
                }
            }
            drop(judged);
            let mut tallies = Vec::new();
            for ((cluster, arch, instance_type), of_agents) in kinds {
                let of_agents = look.agents().iter().zip(of_agents);
                let some = of_agents.filter(|(_, counts)| counts.nodes() > 0);
                tallies.extend(some.map(|(agent, counts)| Tally {
                    agent: agent.name.clone(),
                    cluster: cluster.to_owned(),
                    arch,
                    instance_type: instance_type.to_owned(),
                    counts,
                }));
            }
            let agents = look.agents().iter().map(|agent| agent.name.clone());
            let mut agents: Vec<_> = agents.collect();
            agents.sort();
            Ok(Tallies {
                policy: InForce {
                    problem: policies.problem(),
                    ..look.ledger.mandated.in_force.clone()
                },
                agents,
                tallies,
            })
        });
        counted
            .await
            .map_err(|error| Status::internal(format!("the look failed: {error}")))?
    }
}
