//! A look at all nodes: those that report, and those that should.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::{
    Asked, Place, Reports, Row, Seen, Verdict, WaiverNote, judge, steady_until,
};
use archtrace_facts::fleet::{ExpectedNode, ExpectedNodes};
use archtrace_facts::identity::of_cgroup;
use archtrace_facts::policy::{Agent, Nodes, Words};
use archtrace_facts::select::TextField;

use super::digests::Digests;
use super::ledger::{Ledger, WINDOW};
use crate::findings::recent::Recent;
use crate::live::table::{Node, Table, View};

/// What is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) table: &'a Table,
    pub(crate) ledger: &'a Ledger,
    pub(crate) digests: &'a Arc<Digests>,
    /// Knows which pods are in sandboxes, and which nodes' agents see too little.
    pub(crate) recent: &'a Recent,
    pub(crate) expected: &'a ExpectedNodes,
    pub(crate) now: SystemTime,
}

/// A node that reports, or should.
#[derive(Clone, Copy, Debug)]
pub(crate) struct On<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) name: &'a str,
    /// `None` if it never reported.
    pub(crate) node: Option<&'a Node>,
}

impl<'a> On<'a> {
    /// What is known of its instruction set.
    pub(crate) fn arch(&self) -> Option<Arch> {
        self.node.map(|node| node.arch)
    }

    /// Whether it is one of these.
    pub(crate) fn is_of(&self, nodes: &Nodes) -> bool {
        // A list of nodes need not say which cluster they are of.
        let is_known = self.node.is_some() || !self.cluster.is_empty();
        nodes.has(is_known.then_some(self.cluster), self.name, self.arch())
    }

    fn asked(&self, recent: &'a Recent) -> Asked<'a> {
        let reports = match self.node {
            Some(node) if node.current => Reports::Now,
            Some(_) => Reports::Before,
            None => Reports::Never,
        };
        Asked {
            cluster: self.cluster,
            node: self.name,
            arch: self.arch().unwrap_or(Arch::Unknown),
            reports,
            hidden: None,
            blind: recent.blind(self.cluster, self.name).unwrap_or_default(),
        }
    }
}

impl<'a> Look<'a> {
    /// The agents of the policy.
    pub(crate) fn agents(&self) -> &'a [Agent] {
        &self.ledger.mandated.policy.agents
    }

    /// All nodes that are among these, in the order of clusters and names. One that is silent and should not
    /// report any more is gone.
    pub(crate) fn nodes(&self, wanted: &Nodes) -> Vec<On<'a>> {
        let is_expected = self.expected.expecting();
        let heard = self.table.nodes.iter().map(|node| On {
            cluster: self.table.texts.text(node.cluster),
            name: &node.name,
            node: Some(node),
        });
        let unheard = self
            .expected
            .unheard(heard.clone().map(|on| (on.cluster, on.name)));
        let unheard = unheard.into_iter().map(|node| {
            let ExpectedNode { cluster, name } = node;
            On {
                cluster: cluster.as_deref().unwrap_or_default(),
                name,
                node: None,
            }
        });
        let is_there = |on: &On<'_>| {
            on.node.is_none_or(|node| node.current) || is_expected(on.cluster, on.name)
        };
        let all = heard.filter(is_there).chain(unheard);
        let mut all: Vec<_> = all.filter(|on| on.is_of(wanted)).collect();
        all.sort_by_key(|on| (on.cluster, on.name));
        all
    }

    /// Tells how it is on the node with each agent that `wanted` says by its place in the policy, if it has
    /// to run there; and before which moment it stays so, unless something changes.
    pub(crate) fn judge(
        &self,
        on: On<'a>,
        wanted: impl Fn(usize) -> bool,
        mut tell: impl FnMut(usize, Verdict<'a>, Option<SystemTime>),
    ) {
        let agents = self.agents().iter().enumerate();
        let here: Vec<_> = agents
            .filter(|(i, agent)| wanted(*i) && on.is_of(&agent.nodes))
            .collect();
        let mut seen = vec![OfAgent::default(); here.len()];
        if let Some(node) = on.node.filter(|node| node.current) {
            self.see(node, &here, &mut seen);
        }
        let names = |image_id: &str| self.digests.of(image_id);
        for ((i, agent), OfAgent { seen, hidden }) in here.into_iter().zip(seen) {
            let troubles: Vec<_> = match on.node {
                Some(node) => self.ledger.troubles(node.id, i, self.now).collect(),
                None => Vec::new(),
            };
            let asked = Asked {
                hidden,
                ..on.asked(self.recent)
            };
            let verdict = judge(agent, asked, &seen, &troubles, &names, self.now);
            let until = steady_until(agent, &seen, &troubles, self.now);
            let happened = troubles.iter().filter_map(|trouble| trouble.seen.last_seen);
            let forgotten = happened
                .map(|at| at + WINDOW + Duration::from_nanos(1))
                .min();
            tell(i, verdict, until.into_iter().chain(forgotten).min());
        }
    }

    /// Looks which facts of the node are which agent's.
    fn see(&self, node: &'a Node, agents: &[(usize, &'a Agent)], seen: &mut [OfAgent<'a>]) {
        let cluster = self.table.texts.text(node.cluster);
        let sandboxed = self.recent.uncovered(cluster, &node.name);
        let mut named = HashSet::new();
        for fact in self.table.facts_of(node) {
            let detail = self.ledger.detail(node.id, fact.row.id);
            let words = Words::of(|field| fact.word(field), &detail.labels);
            let sandbox = sandboxed.and_then(|pods| {
                pods.get_key_value(&of_cgroup(&fact.word(TextField::Cgroup)).pod_uid)
            });
            for ((_, agent), of) in agents.iter().zip(&mut *seen) {
                match sandbox {
                    // What is seen of such a pod is the sandbox itself.
                    Some((_, sandbox)) if agent.matches.may_be_pod(&words) => {
                        of.hidden = Some(sandbox);
                    }
                    Some(_) => {}
                    None if agent.matches.holds(&words) => of.seen.push(Seen {
                        attempt: detail.attempt,
                        last_exit: detail.last_exit.as_ref(),
                        ..of_fact(&fact)
                    }),
                    None => {}
                }
            }
            named.extend(sandbox.map(|(pod, _)| pod));
        }
        // A pod of which not even the sandbox was seen may be anybody's.
        let unnamed = sandboxed.into_iter().flatten();
        let unnamed = unnamed.filter(|(pod, _)| !named.contains(pod)).min();
        if let Some((_, sandbox)) = unnamed {
            for ((_, agent), of) in agents.iter().zip(seen) {
                if agent.matches.unit.is_none() {
                    of.hidden = of.hidden.or(Some(sandbox));
                }
            }
        }
    }

    /// What people are told.
    pub(crate) fn row(&self, on: On<'a>, agent: &Agent, verdict: &Verdict<'a>) -> Row {
        let Verdict {
            status,
            waived,
            waiver,
            reason,
            shown_by,
        } = verdict;
        let shown_by = shown_by.unwrap_or_default();
        Row {
            place: Place {
                agent: agent.name.clone(),
                cluster: on.cluster.to_owned(),
                node: on.name.to_owned(),
            },
            node_arch: on.arch().unwrap_or(Arch::Unknown),
            status: *status,
            since: None,
            waived: *waived,
            waiver: waiver.map(|waiver| WaiverNote {
                owner: waiver.owner.clone(),
                reason: waiver.reason.clone(),
                expires: waiver.expires,
                expired: waiver.expires <= self.now,
            }),
            reason: reason.to_string(),
            namespace: shown_by.namespace.to_owned(),
            pod: shown_by.pod.to_owned(),
            workload: shown_by.workload.to_owned(),
            unit: shown_by.unit.to_owned(),
            binary: shown_by.binary.to_owned(),
            image: shown_by.image.to_owned(),
            seen: shown_by.last_seen,
            past: Vec::new(),
        }
    }
}

/// What is known of an agent on a node.
#[derive(Clone, Debug, Default)]
struct OfAgent<'a> {
    seen: Vec<Seen<'a>>,
    /// The sandbox of a pod that may be its own.
    hidden: Option<&'a str>,
}

fn of_fact<'a>(fact: &View<'a>) -> Seen<'a> {
    // These the view keeps as texts; none of them is made when it is asked for.
    let text = |field| match fact.word(field) {
        Cow::Borrowed(text) => text,
        Cow::Owned(_) => "",
    };
    Seen {
        arch: Some(fact.kind.arch),
        mode: Some(fact.kind.mode),
        cause: fact.row.cause,
        via: fact.row.via,
        processes: fact.processes(),
        first_seen: Some(fact.first_seen()),
        last_seen: Some(fact.last_seen()),
        binary: text(TextField::Binary),
        emulator: text(TextField::Emulator),
        namespace: text(TextField::Namespace),
        pod: text(TextField::Pod),
        container: text(TextField::Container),
        workload: text(TextField::Workload),
        unit: text(TextField::Unit),
        image: text(TextField::Image),
        image_id: text(TextField::ImageId),
        attempt: 0,
        last_exit: None,
    }
}
