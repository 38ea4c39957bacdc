//! What no policy may say: each rule keeps somebody from being calm, or alarmed, for no reason.

use std::borrow::Cow;

use super::{Agent, Match, Policy, Waiver, pattern};
use crate::coverage::Status;

/// Agents of one policy: each is compared with each fact of the fleet.
pub const MAX_AGENTS: usize = 100;

/// What the name of a condition on a label begins with.
const LABELS: &str = "labels.";

/// Something that is wrong, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: At,
    /// What, and what to do about it.
    pub what: String,
}

/// A place in a policy; numbers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The policy itself.
    Policy,
    /// A part of an agent.
    Agent(usize, Part),
}

/// A part of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its name.
    Name,
    /// What it is known by.
    Match,
    /// Its certified versions.
    Certified,
    /// One of its waivers.
    Waiver(usize),
}

/// The first thing that is wrong.
#[must_use]
pub fn problem(policy: &Policy) -> Option<Problem> {
    let agents = &policy.agents;
    if agents.is_empty() {
        return found(
            At::Policy,
            "names no agent, so that everything would be fine; name one under agents, or start \
             without --policy",
        );
    }
    if agents.len() > MAX_AGENTS {
        let what = format!(
            "{} agents; at most {MAX_AGENTS} can be asked for",
            agents.len()
        );
        return found(At::Agent(MAX_AGENTS, Part::Name), what);
    }
    let each = agents.iter().enumerate();
    each.clone()
        .find_map(|(i, agent)| of_agent(i, agent))
        .or_else(|| {
            each.clone().find_map(|(i, agent)| {
                let before = agents.get(..i).unwrap_or_default();
                before.iter().find_map(|other| of_two(i, agent, other))
            })
        })
}

fn found(at: At, what: impl Into<String>) -> Option<Problem> {
    let what = what.into();
    Some(Problem { at, what })
}

fn of_agent(i: usize, agent: &Agent) -> Option<Problem> {
    let Agent {
        name: _,
        matches,
        nodes,
        certified,
        waivers,
    } = agent;
    let at = |part| At::Agent(i, part);
    if matches.conditions().next().is_none() {
        return found(
            at(Part::Match),
            "match: has no condition, so that every process would be this agent; give one of \
             namespace, labels, image, workload, unit or executable",
        );
    }
    // Of a label it says that the pod has it.
    let says_nothing = |(field, pattern): &(Cow<'_, str>, &str)| {
        pattern.chars().all(|c| c == '*') && !field.starts_with(LABELS)
    };
    if let Some((field, _)) = matches.conditions().find(says_nothing) {
        let what = format!("match.{field}: * stands for everything; leave {field} out");
        return found(at(Part::Match), what);
    }
    if matches.unit.is_some() {
        let of_pods = [
            ("namespace", matches.namespace.is_some()),
            ("labels", !matches.labels.is_empty()),
            ("image", matches.image.is_some()),
            ("workload", matches.workload.is_some()),
        ];
        if let Some((field, _)) = of_pods.iter().find(|(_, is_there)| *is_there) {
            let what = format!(
                "match: unit and {field} never hold together, as a unit of systemd is in no pod; leave one \
                 out, or make two agents of it"
            );
            return found(at(Part::Match), what);
        }
        if certified.is_some() {
            return found(
                at(Part::Certified),
                "certified: versions are known of images only, and a unit of systemd has none; leave \
                 certified out",
            );
        }
    }
    for (arch, versions) in certified.iter().flatten() {
        if versions.is_empty() {
            let what = format!(
                "certified.{arch}: names no version; name one, or leave {arch} out: then none is certified \
                 there"
            );
            return found(at(Part::Certified), what);
        }
        if !nodes.archs.is_empty() && !nodes.archs.contains(arch) {
            let what = format!(
                "certified.{arch}: nodes.archs does not have {arch}; add it there, or leave it out here"
            );
            return found(at(Part::Certified), what);
        }
    }
    let mut waivers = waivers.iter().enumerate();
    waivers.find_map(|(j, waiver)| of_waiver(at(Part::Waiver(j)), agent, waiver))
}

fn of_waiver(at: At, agent: &Agent, waiver: &Waiver) -> Option<Problem> {
    let no_waiver = |status: &&Status| !Waiver::STATUSES.contains(status);
    if let Some(status) = waiver.statuses.iter().find(no_waiver) {
        let known: Vec<_> = Waiver::STATUSES
            .iter()
            .map(|status| status.as_str())
            .collect();
        let why = match status {
            Status::Stale | Status::Unknown => {
                "of a node that does not report nothing is known, and that is no state to get used to; \
                 take it out of the list of nodes that should report, or "
            }
            _ => "it needs no waiver; ",
        };
        let what = format!(
            "waiver: {status} cannot be waived: {why}leave it out of statuses, which may be {}",
            known.join(", ")
        );
        return found(at, what);
    }
    if !waiver.nodes.meets(&agent.nodes) {
        return found(
            at,
            "waiver: its nodes are none of those on which the agent has to run; correct its nodes",
        );
    }
    None
}

fn of_two(i: usize, agent: &Agent, before: &Agent) -> Option<Problem> {
    let name = &before.name;
    if agent.name == *name {
        let what = format!("name: '{name}' is there twice; give each agent a name of its own");
        return found(At::Agent(i, Part::Name), what);
    }
    if agent.matches.overlaps(&before.matches) && agent.nodes.meets(&before.nodes) {
        let what = format!(
            "match: overlaps that of '{name}', so that one process would be both; add a condition to \
             the wider of both, or give them other nodes"
        );
        return found(At::Agent(i, Part::Match), what);
    }
    None
}

impl Match {
    /// Each condition: what it is about, and the pattern.
    fn conditions(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        let Self {
            namespace,
            labels,
            image,
            workload,
            unit,
            executable,
        } = self;
        let fields = [
            ("namespace", namespace),
            ("image", image),
            ("workload", workload),
            ("unit", unit),
            ("executable", executable),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(field, pattern)| Some((field.into(), pattern.as_deref()?)));
        let labels = labels
            .iter()
            .map(|(key, pattern)| (format!("{LABELS}{key}").into(), pattern.as_str()));
        fields.chain(labels)
    }

    /// Whether what one of both says is all about what the other speaks of too, and both hold for some
    /// process. Where each speaks of something of its own, both may or may not hold for one: that is no
    /// mistake that can be seen here.
    fn overlaps(&self, other: &Self) -> bool {
        let of = |other: &Self, field: &str| {
            let mut conditions = other.conditions();
            let pattern = conditions.find_map(|(name, pattern)| (name == field).then_some(pattern));
            pattern.map(str::to_owned)
        };
        let within = |a: &Self, b: &Self| a.conditions().all(|(field, _)| of(b, &field).is_some());
        let meets = self.conditions().all(|(field, pattern)| {
            let other = of(other, &field);
            other.is_none_or(|other| pattern::meet(pattern, &other))
        });
        meets && (within(self, other) || within(other, self))
    }
}
