//! What changed since the last look, for whoever notes since when it is so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::{Change, Place, Status};
use archtrace_facts::policy::Nodes;
use tokio::time::Instant;

use super::look::{Look, On};
use crate::mandates::Mandated;
use crate::read::Version;

/// How often nodes are looked at of which nothing new was heard: what happened becomes old, and waivers expire.
const LOOK_AT_ALL: Duration = Duration::from_secs(30);

/// What is noted, as far as whoever asks for changes knows; and what of each node was looked at.
#[derive(Debug, Default)]
pub struct Known {
    policy: Option<Arc<Mandated>>,
    all_at: Option<Instant>,
    /// Names of agents, each once: nodes name them by their number.
    agents: Vec<String>,
    nodes: HashMap<(String, String), OfNode>,
}

#[derive(Debug, Default)]
struct OfNode {
    looked_at: Option<(Version, bool, Arch)>,
    statuses: Vec<(usize, Status)>,
}

impl Known {
    /// What is noted is this.
    #[must_use]
    pub fn new(noted: Vec<(Place, Status)>) -> Self {
        let mut known = Self::default();
        for (place, status) in noted {
            let agent = known.agent(&place.agent);
            let node = known.nodes.entry((place.cluster, place.node)).or_default();
            node.statuses.push((agent, status));
        }
        known
    }

    fn agent(&mut self, name: &str) -> usize {
        let known = self.agents.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.agents.push(name.to_owned());
            self.agents.len() - 1
        })
    }

    /// What is otherwise than it is noted. It is taken to be noted from now on.
    pub(crate) fn changes(&mut self, look: &Look<'_>) -> Vec<Change> {
        let mandated = &look.ledger.mandated;
        let is_other = |known: &Arc<Mandated>| !Arc::ptr_eq(known, mandated);
        let is_due = self.all_at.is_none_or(|at| at.elapsed() > LOOK_AT_ALL);
        let all = is_due || self.policy.as_ref().is_none_or(is_other);
        if all {
            (self.policy, self.all_at) = (Some(Arc::clone(mandated)), Some(Instant::now()));
        }
        let agents = mandated.policy.agents.iter();
        let numbers: Vec<_> = agents.map(|agent| self.agent(&agent.name)).collect();
        let mut changes = Vec::new();
        let mut gone = std::mem::take(&mut self.nodes);
        let nodes = look.nodes(&Nodes::default());
        for on in nodes {
            let key = (on.cluster.to_owned(), on.name.to_owned());
            let mut known = gone.remove(&key).unwrap_or_default();
            let looked_at = on.node.map(|node| (node.version, node.current, node.arch));
            if all || known.looked_at != looked_at {
                let now = statuses(look, on, &numbers);
                self.compare(&key, &known.statuses, &now, look.now, &mut changes);
                known = OfNode {
                    looked_at,
                    statuses: now,
                };
            }
            self.nodes.insert(key, known);
        }
        for (key, node) in gone {
            self.compare(&key, &node.statuses, &[], look.now, &mut changes);
        }
        changes
    }

    fn compare(
        &self,
        (cluster, node): &(String, String),
        before: &[(usize, Status)],
        now: &[(usize, Status)],
        at: SystemTime,
        changes: &mut Vec<Change>,
    ) {
        let find = |statuses: &[(usize, Status)], agent: usize| {
            let mut statuses = statuses.iter();
            statuses.find_map(|(known, status)| (*known == agent).then_some(*status))
        };
        for (agent, name) in self.agents.iter().enumerate() {
            let (was, is) = (find(before, agent), find(now, agent));
            if was != is {
                let place = Place {
                    agent: name.clone(),
                    cluster: cluster.clone(),
                    node: node.clone(),
                };
                changes.push(Change { place, was, is, at });
            }
        }
    }
}

fn statuses(look: &Look<'_>, on: On<'_>, numbers: &[usize]) -> Vec<(usize, Status)> {
    let mut statuses = Vec::new();
    look.judge(
        on,
        |_| true,
        |i, verdict| {
            let number = numbers.get(i).copied();
            statuses.extend(number.map(|number| (number, verdict.status)));
        },
    );
    statuses
}
