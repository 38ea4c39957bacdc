//! What changed since the last look, for whoever notes since when it is so.

use std::collections::HashMap;
use std::time::SystemTime;

use archtrace_facts::coverage::{Change, Place, Status};
use archtrace_facts::policy::Nodes;

use super::judged::Judged;
use super::look::Look;

/// Changes of one look, some 250 bytes each: where nothing is noted yet, 100 agents on 10,000 nodes have a million.
const MOST: usize = 5000;

/// What is noted, as far as whoever asks for changes knows.
#[derive(Debug, Default)]
pub struct Known {
    /// Names of agents, each once: nodes name them by their number.
    agents: Vec<String>,
    nodes: HashMap<(String, String), Vec<(usize, Status)>>,
    has_more: bool,
}

impl Known {
    /// What is noted is this.
    #[must_use]
    pub fn new(noted: Vec<(Place, Status)>) -> Self {
        let mut known = Self::default();
        for (place, status) in noted {
            let agent = known.agent(&place.agent);
            let node = known.nodes.entry((place.cluster, place.node)).or_default();
            node.push((agent, status));
        }
        known
    }

    /// Whether there was more to note than one look tells: the next one tells more of it.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    fn agent(&mut self, name: &str) -> usize {
        let known = self.agents.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.agents.push(name.to_owned());
            self.agents.len() - 1
        })
    }

    /// What is otherwise than it is noted, as much as one look tells. It is taken to be noted from now on.
    pub(crate) fn changes(&mut self, look: &Look<'_>, judged: &mut Judged) -> Vec<Change> {
        let agents = look.agents().iter();
        let numbers: Vec<_> = agents.map(|agent| self.agent(&agent.name)).collect();
        let mut changes = Vec::new();
        let mut gone = std::mem::take(&mut self.nodes);
        for on in look.nodes(&Nodes::default()) {
            let key = (on.cluster.to_owned(), on.name.to_owned());
            let known = gone.remove(&key).unwrap_or_default();
            if changes.len() >= MOST {
                self.nodes.insert(key, known);
                continue;
            }
            let statuses = numbers.iter().zip(judged.on(look, on));
            let now = statuses.filter_map(|(agent, status)| Some((*agent, (*status)?)));
            let now: Vec<_> = now.collect();
            if known != now {
                self.compare(&key, &known, &now, look.now, &mut changes);
            }
            self.nodes.insert(key, now);
        }
        for (key, known) in gone {
            if changes.len() >= MOST {
                self.nodes.insert(key, known);
                continue;
            }
            self.compare(&key, &known, &[], look.now, &mut changes);
        }
        self.has_more = changes.len() >= MOST;
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
