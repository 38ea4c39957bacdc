//! Agents that have to run, node by node: those that are not fine, unless others are asked for.

use std::collections::BTreeSet;
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::{Counts, Row, Status, Total, WaiverNote};
use archtrace_facts::human::{count, utc};
use archtrace_query::Tallies;
use askama::Template;

use super::agents::{NOT_KNOWN, PolicyNote, means};
use super::{Cover, Frame, Name, When};
use crate::link;
use crate::pages::Choice;

/// Clusters that are offered as choices; the overview by cluster leads to all.
const CLUSTERS: usize = 20;

/// Which rows are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Narrowed {
    pub(crate) agent: Option<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) arch: Option<Arch>,
    pub(crate) status: Option<Status>,
    /// Also those that are native, where no status is asked for.
    pub(crate) all: bool,
}

/// What was answered.
pub(crate) struct Listed {
    pub(crate) cover: Cover,
    pub(crate) rows: Vec<Row>,
    pub(crate) totals: Vec<Total>,
    pub(crate) is_first: bool,
    /// The next part.
    pub(crate) behind: String,
}

impl Narrowed {
    pub(crate) fn to(status: Status) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// Those that are asked for; all, if there is none.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        let is_asked_for = |status: &Status| match self.status {
            Some(asked) => asked == *status,
            None => *status != Status::Native,
        };
        if self.all {
            return Vec::new();
        }
        Status::ALL.iter().copied().filter(is_asked_for).collect()
    }

    /// As an address has them.
    pub(crate) fn conditions(&self) -> [(&str, &str); 4] {
        let status = match self.status {
            Some(status) => status.as_str(),
            None if self.all => "all",
            None => "",
        };
        [
            ("agent", self.agent.as_deref().unwrap_or_default()),
            ("cluster", self.cluster.as_deref().unwrap_or_default()),
            ("arch", self.arch.map(Arch::word).unwrap_or_default()),
            ("status", status),
        ]
    }

    pub(crate) fn link(&self) -> String {
        link::with(link::COVERED, &self.conditions())
    }

    /// The command that tells the same.
    fn command(&self) -> String {
        let options = self.conditions().into_iter();
        let options = options.filter(|(_, value)| !value.is_empty() && *value != "all");
        let options = options.map(|(option, value)| format!(" --{option} {}", quoted(value)));
        format!("archtrace coverage{}", options.collect::<String>())
    }
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    if word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./:@".contains(c))
    {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[derive(Template)]
#[template(path = "covered.html")]
pub(crate) struct Covered {
    frame: Frame,
    cover: Cover,
    policy: PolicyNote,
    /// What can be chosen, and among what.
    choices: Vec<(&'static str, Vec<Choice>)>,
    /// What is said where there is no row.
    none: String,
    with_agent: bool,
    with_cluster: bool,
    with_place: bool,
    rows: Vec<CoveredRow>,
    command: String,
    /// The first part, if this is another one.
    first: String,
    behind: String,
}

/// An agent on a node.
pub(crate) struct CoveredRow {
    pub(crate) status: Status,
    /// What it would be without the waiver.
    pub(crate) waived: Option<Status>,
    pub(crate) agent: Name,
    pub(crate) node: Name,
    pub(crate) cluster: String,
    pub(crate) arch: String,
    pub(crate) since: Option<When>,
    pub(crate) why: String,
    /// The pod or unit that shows it.
    pub(crate) place: Name,
    pub(crate) binary: String,
    /// Where it matters.
    pub(crate) image: String,
    pub(crate) waiver: Option<Waiver>,
}

/// Who lets it pass, or did.
pub(crate) struct Waiver {
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) expires: String,
    pub(crate) expired: bool,
}

impl Covered {
    pub(crate) fn new(
        tallies: &Tallies,
        narrowed: &Narrowed,
        listed: Listed,
        now: SystemTime,
    ) -> Self {
        let Listed {
            cover,
            rows,
            totals,
            is_first,
            behind,
        } = listed;
        let rows = rows.iter().map(|row| CoveredRow::new(row, now));
        let rows: Vec<_> = rows.collect();
        let mut counts = Counts::default();
        for total in &totals {
            counts.add(total.status, total.nodes);
        }
        let title = match &narrowed.agent {
            Some(agent) => agent.clone(),
            None => "All agents, node by node".to_owned(),
        };
        let tallies_of = tallies.tallies.iter();
        let archs: BTreeSet<_> = tallies_of.clone().filter_map(|tally| tally.arch).collect();
        let clusters: BTreeSet<_> = tallies_of.map(|tally| tally.cluster.clone()).collect();
        let clusters = clusters.into_iter().filter(|cluster| !cluster.is_empty());
        let clusters: Vec<_> = clusters.take(CLUSTERS).collect();
        let with_cluster = !clusters.is_empty();
        let archs = choices(archs.into_iter().collect(), &narrowed.arch, |arch| {
            let narrowed = narrowed.clone();
            Narrowed { arch, ..narrowed }
        });
        let clusters = choices(clusters, &narrowed.cluster, |cluster| {
            let narrowed = narrowed.clone();
            Narrowed {
                cluster,
                ..narrowed
            }
        });
        let choices = [
            ("Status", statuses(narrowed, &counts)),
            ("Architecture", archs),
            ("Cluster", clusters),
        ];
        Self {
            frame: Frame::new(title, link::COVERAGE),
            cover,
            policy: PolicyNote::new(&tallies.policy, now),
            choices: choices
                .into_iter()
                .filter(|(_, choices)| !choices.is_empty())
                .collect(),
            none: none(narrowed, &counts),
            with_agent: narrowed.agent.is_none(),
            with_cluster,
            with_place: rows.iter().any(CoveredRow::has_place),
            rows,
            command: narrowed.command(),
            first: if is_first {
                String::new()
            } else {
                narrowed.link()
            },
            behind,
        }
    }
}

impl CoveredRow {
    pub(crate) fn new(row: &Row, now: SystemTime) -> Self {
        let place = &row.place;
        let pod = match (row.namespace.as_str(), row.pod.as_str()) {
            (_, "") => row.unit.clone(),
            ("", pod) => pod.to_owned(),
            (namespace, pod) => format!("{namespace}/{pod}"),
        };
        let node = Name::node(&place.cluster, &place.node);
        Self {
            status: row.status,
            waived: row.waived,
            agent: Name {
                name: place.agent.clone(),
                link: link::with(link::COVERED, &[("agent", &place.agent)]),
            },
            node: match row.status {
                // It has no page.
                Status::Unknown => Name {
                    link: String::new(),
                    ..node
                },
                _ => node,
            },
            cluster: place.cluster.clone(),
            arch: match row.node_arch {
                Arch::Unknown => NOT_KNOWN.to_owned(),
                arch => arch.to_string(),
            },
            since: row.since.map(|since| When::new(since, now)),
            why: row.reason.clone(),
            place: Name {
                name: pod,
                link: link::workload(&place.cluster, &row.namespace, &row.workload),
            },
            binary: row.binary.clone(),
            image: match row.status {
                Status::Uncertified => row.image.clone(),
                _ => String::new(),
            },
            waiver: row.waiver.as_ref().map(Waiver::new),
        }
    }
}

impl CoveredRow {
    /// Whether something is known that shows it.
    pub(crate) fn has_place(&self) -> bool {
        !self.place.name.is_empty() || !self.binary.is_empty()
    }
}

impl Waiver {
    fn new(note: &WaiverNote) -> Self {
        let WaiverNote {
            owner,
            reason,
            expires,
            expired,
        } = note;
        Self {
            owner: owner.clone(),
            reason: reason.clone(),
            expires: utc(*expires),
            expired: *expired,
        }
    }
}

/// Where nothing is listed, that may be good or not.
fn none(narrowed: &Narrowed, counts: &Counts) -> String {
    match (narrowed.status, counts.nodes()) {
        (_, 0) => "No such node is known on which it has to run.".to_owned(),
        (Some(status), _) => format!("Nowhere: {status} ({}).", means(status)),
        (None, 1) => "Native and certified on the one node.".to_owned(),
        (None, nodes) => format!("Native and certified in all {} cases.", count(nodes)),
    }
}

fn statuses(narrowed: &Narrowed, counts: &Counts) -> Vec<Choice> {
    let choice = |name: &str, nodes, status, all| {
        let choice = Narrowed {
            status,
            all,
            ..narrowed.clone()
        };
        Choice {
            name: format!("{name} {}", count(nodes)),
            link: choice.link(),
            is_here: choice == *narrowed,
        }
    };
    let others = counts.nodes().saturating_sub(counts.of(Status::Native));
    let mut choices = vec![
        choice("all but NATIVE", others, None, false),
        choice("all", counts.nodes(), None, true),
    ];
    // The one that is asked for, though there may be none.
    let is_shown = |(status, nodes): &(Status, u64)| *nodes > 0 || narrowed.status == Some(*status);
    let each = counts.iter().filter(is_shown);
    choices.extend(each.map(|(status, nodes)| choice(status.as_str(), nodes, Some(status), false)));
    choices
}

/// All of them, or one; nothing where there is no choice.
fn choices<T: Clone + PartialEq + ToString>(
    mut values: Vec<T>,
    here: &Option<T>,
    narrowed: impl Fn(Option<T>) -> Narrowed,
) -> Vec<Choice> {
    // One that is asked for may have gone meanwhile.
    let others = here.iter().filter(|here| !values.contains(here));
    let others: Vec<_> = others.cloned().collect();
    values.extend(others);
    if values.len() < 2 && here.is_none() {
        return Vec::new();
    }
    let all = [None].into_iter().chain(values.into_iter().map(Some));
    let choices = all.map(|value| Choice {
        name: match &value {
            Some(value) => value.to_string(),
            None => "all".to_owned(),
        },
        is_here: value == *here,
        link: narrowed(value).link(),
    });
    choices.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(narrowed: &Narrowed, link: &str, command: &str) {
        assert_eq!(narrowed.link(), link);
        assert_eq!(narrowed.command(), command);
    }

    #[test]
    fn a_view_has_an_address_and_a_command() {
        let narrowed = Narrowed {
            agent: Some("node exporter's".to_owned()),
            cluster: Some("prod".to_owned()),
            arch: Some(Arch::Arm64),
            status: Some(Status::Missing),
            all: false,
        };
        check(
            &narrowed,
            "/coverage/nodes?agent=node+exporter%27s&cluster=prod&arch=arm64&status=MISSING",
            r"archtrace coverage --agent 'node exporter'\''s' --cluster prod --arch arm64 --status MISSING",
        );
        assert_eq!(narrowed.statuses(), [Status::Missing]);
        let all = Narrowed {
            all: true,
            ..Narrowed::default()
        };
        check(&all, "/coverage/nodes?status=all", "archtrace coverage");
        assert_eq!(all.statuses(), []);
        let others = Narrowed::default();
        check(&others, "/coverage/nodes", "archtrace coverage");
        assert_eq!(others.statuses().len(), Status::ALL.len() - 1);
    }
}
