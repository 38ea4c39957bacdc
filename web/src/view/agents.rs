//! Agents that have to run, in numbers.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::SystemTime;

use archtrace_facts::coverage::{Counts, InForce, Outcome, Status, Tally};
use archtrace_facts::human::count;
use archtrace_query::Tallies;
use askama::Template;

use super::{Cover, Frame, Name, Narrowed, Pager, When, cut};
use crate::link;
use crate::pages::Choice;

/// What is said of nodes of which something is not known.
pub(super) const NOT_KNOWN: &str = "not known";

/// By what nodes are summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Nothing,
    Arch,
    Cluster,
    InstanceType,
}

/// Nodes that are summed up; and by which conditions they are listed, if they can be.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    name: String,
    arch: String,
    cluster: String,
}

impl By {
    const ALL: [Self; 4] = [Self::Nothing, Self::Arch, Self::Cluster, Self::InstanceType];

    /// In an address, and for people.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Nothing => ("", "all together"),
            Self::Arch => ("arch", "by architecture"),
            Self::Cluster => ("cluster", "by cluster"),
            Self::InstanceType => ("type", "by instance type"),
        }
    }

    pub(crate) fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.words().0 == word)
    }

    fn group(self, tally: &Tally) -> Group {
        let arch = tally.arch.map(|arch| arch.to_string());
        let (name, arch, cluster) = match self {
            Self::Nothing => return Group::default(),
            Self::Arch => {
                let arch = arch.unwrap_or_default();
                (arch.clone(), arch, "")
            }
            Self::Cluster => (tally.cluster.clone(), String::new(), &*tally.cluster),
            Self::InstanceType => (tally.instance_type.clone(), String::new(), ""),
        };
        Group {
            name: match name.as_str() {
                "" => NOT_KNOWN.to_owned(),
                _ => name,
            },
            arch,
            cluster: cluster.to_owned(),
        }
    }
}

#[derive(Template)]
#[template(path = "coverage.html")]
pub(crate) struct Agents {
    frame: Frame,
    cover: Cover,
    policy: PolicyNote,
    tiles: Vec<Tile>,
    choices: Vec<Choice>,
    /// What the groups are; empty if there are none.
    by: &'static str,
    rows: Vec<Row>,
    pager: Pager,
}

/// By which policy it is judged.
#[derive(Template)]
#[template(path = "policy.html")]
pub(super) struct PolicyNote {
    source: String,
    agents: String,
    loaded: Option<When>,
    problem: String,
}

struct Tile {
    status: Status,
    means: &'static str,
    count: String,
    is_bad: bool,
    link: String,
}

struct Row {
    agent: Name,
    group: String,
    nodes: String,
    parts: Parts,
    /// In the order of all statuses.
    cells: Vec<Cell>,
}

struct Cell {
    status: Status,
    count: Name,
    is_none: bool,
}

/// How much of a whole is as it has to be, is not, and is not known; also in words.
#[derive(Clone, Copy, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<svg class="bar" viewBox="0 0 1000 80" preserveAspectRatio="none" role="img" aria-label="{{ percent }} % as required"><rect class="all" width="1000" height="80"/><rect class="is-fine" width="{{ fine }}" height="80"/><rect class="is-violated" x="{{ fine }}" width="{{ violated }}" height="80"/></svg>"#
)]
struct Parts {
    fine: u64,
    violated: u64,
    percent: u64,
}

impl PolicyNote {
    pub(super) fn new(policy: &InForce, now: SystemTime) -> Self {
        Self {
            source: policy.source.clone(),
            agents: count(policy.agents),
            loaded: policy.loaded_at.map(|at| When::new(at, now)),
            problem: policy.problem.clone(),
        }
    }
}

impl Parts {
    fn new(counts: &Counts) -> Self {
        let part = |outcome, of: u128| {
            let part = u128::from(counts.outcome(outcome)) * of;
            u64::try_from(part / u128::from(counts.nodes().max(1))).unwrap_or(0)
        };
        // However little is wrong, it is seen.
        let violated = match counts.outcome(Outcome::Violated) {
            0 => 0,
            _ => part(Outcome::Violated, 1000).max(20),
        };
        Self {
            fine: part(Outcome::Fine, 1000).min(1000 - violated),
            violated,
            percent: part(Outcome::Fine, 100),
        }
    }
}

impl Agents {
    pub(crate) fn new(
        tallies: &Tallies,
        cover: Cover,
        by: By,
        page: usize,
        now: SystemTime,
    ) -> Self {
        let mut all = Counts::default();
        let mut sums = BTreeMap::<(&str, Group), Counts>::new();
        if by == By::Nothing {
            // Also those that have to run on no node that there is.
            let agents = tallies.agents.iter();
            sums.extend(agents.map(|agent| ((agent.as_str(), Group::default()), all)));
        }
        for tally in &tallies.tallies {
            all.add_all(&tally.counts);
            let sum = sums.entry((&tally.agent, by.group(tally)));
            sum.or_default().add_all(&tally.counts);
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|(_, counts)| {
            let of = |outcome| Reverse(counts.outcome(outcome));
            (of(Outcome::Violated), of(Outcome::NotKnown))
        });
        let link_by = |by: By| link::with(link::COVERAGE, &[("by", by.words().0)]);
        let (sums, pager) = cut(sums, page, &link_by(by));
        let is_listed = |group: &Group| match by {
            By::Nothing => true,
            By::Arch | By::Cluster => group.name != NOT_KNOWN,
            By::InstanceType => false,
        };
        let rows = sums.into_iter().map(|((agent, group), counts)| {
            let is_listed = is_listed(&group);
            row(agent, group, is_listed, &counts)
        });
        let choices = By::ALL.into_iter().map(|each| Choice {
            name: each.words().1.to_owned(),
            link: link_by(each),
            is_here: each == by,
        });
        Self {
            frame: Frame::new("Agents that have to run", link::COVERAGE),
            cover,
            policy: PolicyNote::new(&tallies.policy, now),
            tiles: all.iter().map(tile).collect(),
            choices: choices.collect(),
            by: if by == By::Nothing { "" } else { by.words().1 },
            rows: rows.collect(),
            pager,
        }
    }
}

fn tile((status, nodes): (Status, u64)) -> Tile {
    Tile {
        status,
        means: means(status),
        count: count(nodes),
        is_bad: nodes > 0 && status.outcome() != Outcome::Fine,
        link: Narrowed::to(status).link(),
    }
}

/// What a status is, in a few words.
pub(super) fn means(status: Status) -> &'static str {
    match status {
        Status::Native => "native and certified",
        Status::Waived => "let pass for a while",
        Status::Uncertified => "version not certified",
        Status::Missing => "not on the node",
        Status::Emulated => "run by an emulator",
        Status::Failing => "does not start, or dies",
        Status::Stale => "node is silent",
        Status::Unknown => "node never reported",
    }
}

fn row(agent: &str, group: Group, is_listed: bool, counts: &Counts) -> Row {
    let link = |status| {
        let conditions = [
            ("agent", agent),
            ("cluster", &group.cluster),
            ("arch", &group.arch),
            ("status", status),
        ];
        link::with(link::COVERED, &conditions)
    };
    let cells = counts.iter().map(|(status, nodes)| Cell {
        status,
        count: Name {
            name: count(nodes),
            link: if nodes > 0 && is_listed {
                link(status.as_str())
            } else {
                String::new()
            },
        },
        is_none: nodes == 0,
    });
    Row {
        agent: Name {
            name: agent.to_owned(),
            link: link::with(link::COVERED, &[("agent", agent)]),
        },
        nodes: count(counts.nodes()),
        parts: Parts::new(counts),
        cells: cells.collect(),
        group: group.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_little_is_wrong_is_seen() {
        for (fine, violated, unknown, expected) in [
            (0, 0, 0, (0, 0, 0)),
            (10, 0, 0, (1000, 0, 100)),
            (9999, 1, 0, (980, 20, 99)),
            (5, 5, 0, (500, 500, 50)),
            (0, 0, 3, (0, 0, 0)),
            (1, 2, 1, (250, 500, 25)),
        ] {
            let mut counts = Counts::default();
            counts.add(Status::Waived, fine);
            counts.add(Status::Missing, violated);
            counts.add(Status::Stale, unknown);
            let Parts {
                fine,
                violated,
                percent,
            } = Parts::new(&counts);
            assert_eq!((fine, violated, percent), expected);
        }
    }

    #[test]
    fn groupings_are_read_as_they_are_written() {
        for by in By::ALL {
            assert_eq!(By::read(by.words().0), Some(by));
        }
        assert_eq!(By::read("pool"), None);
    }
}
