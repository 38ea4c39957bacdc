//! Which nodes an answer cannot speak for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Machine;

/// The source of a list that is none, where none was asked for. Behind it stands why, where one was.
const SEEN: &str = "seen";

/// The nodes that should report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedNodes {
    /// Where the list comes from: `kubernetes`, `file` or `seen`, and why not from where it should.
    pub source: String,
    /// The list; those that ever reported if there is none.
    pub nodes: Option<BTreeSet<ExpectedNode>>,
    /// What machines they are, where the list says it.
    pub machines: BTreeMap<ExpectedNode, Machine>,
}

/// A node that should report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExpectedNode {
    /// Its cluster; `None` if the list does not say: then a node of this name in any cluster is it.
    pub cluster: Option<String>,
    /// Its name.
    pub name: String,
}

impl ExpectedNodes {
    /// There is no list: those that ever reported should.
    #[must_use]
    pub fn seen() -> Self {
        Self {
            source: SEEN.to_owned(),
            nodes: None,
            machines: BTreeMap::new(),
        }
    }

    /// What machine this node is, if the list says it.
    #[must_use]
    pub fn machine(&self, cluster: &str, name: &str) -> Option<&Machine> {
        let of = |cluster: Option<&str>| {
            self.machines.get(&ExpectedNode {
                cluster: cluster.map(str::to_owned),
                name: name.to_owned(),
            })
        };
        of(Some(cluster)).or_else(|| of(None))
    }

    /// Of the list, those that are not among the nodes (cluster and name) that were ever `heard`, in
    /// order.
    pub fn unheard<'a>(
        &self,
        heard: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Vec<&ExpectedNode> {
        let Some(nodes) = &self.nodes else {
            return Vec::new();
        };
        let (mut full, mut names) = (HashSet::new(), HashSet::new());
        for (cluster, name) in heard {
            full.insert((cluster, name));
            names.insert(name);
        }
        let is_heard = |node: &ExpectedNode| match &node.cluster {
            Some(cluster) => full.contains(&(cluster.as_str(), node.name.as_str())),
            None => names.contains(node.name.as_str()),
        };
        nodes.iter().filter(|node| !is_heard(node)).collect()
    }

    /// Tells of any node (cluster and name) whether it should report: a list that is asked often.
    pub fn expecting(&self) -> impl Fn(&str, &str) -> bool {
        let clusters = self.clusters();
        move |cluster, name| self.expects(&clusters, cluster, name)
    }

    /// Tells of any node (cluster and name) whether nothing but its silence says that it may still be there: no
    /// list names it. Where there should be a list and is none, or it is empty, that is so of no node.
    pub fn unlisted(&self) -> impl Fn(&str, &str) -> bool {
        let clusters = self.clusters();
        let is_known = match &self.nodes {
            Some(nodes) => !nodes.is_empty(),
            None => self.source == SEEN,
        };
        move |cluster, name| {
            let is_listed = self.nodes.is_some() && self.expects(&clusters, cluster, name);
            let is_spoken_for = clusters
                .as_ref()
                .is_none_or(|known| known.contains(cluster));
            is_known && !(is_listed && is_spoken_for)
        }
    }

    /// Whether this node should report. A list that names clusters speaks for these only: of nodes of
    /// others, those that ever reported should.
    fn expects(&self, clusters: &Option<HashSet<&str>>, cluster: &str, name: &str) -> bool {
        let Some(nodes) = &self.nodes else {
            return true;
        };
        let node = |cluster: Option<&str>| ExpectedNode {
            cluster: cluster.map(str::to_owned),
            name: name.to_owned(),
        };
        match clusters {
            Some(clusters) if !clusters.contains(cluster) => true,
            _ => nodes.contains(&node(None)) || nodes.contains(&node(Some(cluster))),
        }
    }

    /// The clusters that the list speaks for; `None` if for all.
    fn clusters(&self) -> Option<HashSet<&str>> {
        let nodes = self.nodes.as_ref().filter(|nodes| !nodes.is_empty())?;
        nodes.iter().map(|node| node.cluster.as_deref()).collect()
    }
}

/// Which nodes an answer cannot speak for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Nodes heard within three heartbeats.
    pub reporting: u64,
    /// Nodes that reported once, but not since: what is said of them is what was. One that is silent
    /// and not on the list of nodes that should report any more is gone, and not counted.
    pub stale: u64,
    /// Nodes that should report and never did: nothing is said of them.
    pub unknown: u64,
    /// Names of stale nodes, sorted; [`Coverage::NAMES`] at most.
    pub stale_nodes: Vec<String>,
    /// Names of unknown nodes, sorted; [`Coverage::NAMES`] at most.
    pub unknown_nodes: Vec<String>,
    /// Where the list of nodes that should report comes from: `kubernetes`, `file` or `seen`.
    pub source: String,
}

impl Coverage {
    /// How many names are told of each kind: answers stay short where a whole zone is silent.
    pub const NAMES: usize = 100;

    /// What is to be said, if these nodes (cluster, name, and whether they report now) were ever heard: of these
    /// `clusters`, of all if there are none. A node that should report, and whose cluster the list does not say, may be
    /// of any.
    #[must_use]
    pub fn of(heard: &[(&str, &str, bool)], expected: &ExpectedNodes, clusters: &[String]) -> Self {
        let wanted = |cluster: &str| clusters.is_empty() || clusters.iter().any(|it| it == cluster);
        let spoken_for = expected.clusters();
        let those = heard.iter().filter(|(cluster, ..)| wanted(cluster));
        let (reporting, silent): (Vec<&_>, Vec<&_>) = those.partition(|(_, _, reports)| *reports);
        let stale = silent
            .into_iter()
            .filter(|(cluster, name, _)| expected.expects(&spoken_for, cluster, name));
        let stale: Vec<_> = stale.map(|(_, name, _)| *name).collect();
        let unheard = expected.unheard(heard.iter().map(|(cluster, name, _)| (*cluster, *name)));
        let unknown = unheard
            .iter()
            .filter(|node| node.cluster.as_deref().is_none_or(wanted));
        let unknown: Vec<_> = unknown.map(|node| node.name.as_str()).collect();
        let count = |nodes: usize| u64::try_from(nodes).unwrap_or(u64::MAX);
        Self {
            reporting: count(reporting.len()),
            stale: count(stale.len()),
            unknown: count(unknown.len()),
            stale_nodes: first(stale),
            unknown_nodes: first(unknown),
            source: expected.source.clone(),
        }
    }
}

fn first(mut names: Vec<&str>) -> Vec<String> {
    names.sort_unstable();
    names
        .into_iter()
        .take(Coverage::NAMES)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARD: &[(&str, &str, bool)] = &[
        ("a", "n1", true),
        ("a", "n2", false),
        ("b", "n1", false),
        ("b", "n3", false),
    ];

    fn check(list: Option<&[&str]>, stale: &[&str], unknown: &[&str]) {
        let expected = listed("file", list);
        let told = Coverage::of(HEARD, &expected, &[]);
        assert_eq!(told.reporting, 1);
        assert_eq!(
            (told.stale, told.unknown),
            (stale.len() as u64, unknown.len() as u64)
        );
        assert_eq!(
            (&told.stale_nodes[..], &told.unknown_nodes[..]),
            (&own(stale)[..], &own(unknown)[..]),
            "{list:?}"
        );
    }

    fn listed(source: &str, list: Option<&[&str]>) -> ExpectedNodes {
        ExpectedNodes {
            source: source.to_owned(),
            nodes: list.map(|list| list.iter().map(node).collect()),
            machines: BTreeMap::new(),
        }
    }

    fn node(text: &&str) -> ExpectedNode {
        let (cluster, name) = match text.split_once('/') {
            Some((cluster, name)) => (Some(cluster.to_owned()), name),
            None => (None, *text),
        };
        ExpectedNode {
            cluster,
            name: name.to_owned(),
        }
    }

    fn own(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn who_is_silent_is_stale_if_expected_and_who_never_spoke_unknown() {
        check(None, &["n1", "n2", "n3"], &[]);
        check(Some(&[]), &[], &[]);
        check(Some(&["n1", "n2", "n4"]), &["n1", "n2"], &["n4"]);
        // It speaks for one cluster only.
        check(Some(&["a/n1", "a/n9"]), &["n1", "n3"], &["n9"]);
        check(Some(&["a/n2", "b/n2"]), &["n2"], &["n2"]);
        check(Some(&["a/n2", "n3", "c/n5"]), &["n2", "n3"], &["n5"]);
    }

    #[test]
    fn of_a_cluster_is_told_what_may_be_of_it() {
        let check = |list: Option<&[&str]>, cluster: &str, stale: &[&str], unknown: &[&str]| {
            let expected = listed("file", list);
            let told = Coverage::of(HEARD, &expected, &[cluster.to_owned()]);
            let should = (u64::from(cluster == "a"), own(stale), own(unknown));
            let is = (told.reporting, told.stale_nodes, told.unknown_nodes);
            assert_eq!(is, should, "{list:?} {cluster}");
            assert_eq!(
                (told.stale, told.unknown),
                (stale.len() as u64, unknown.len() as u64)
            );
        };
        check(None, "a", &["n2"], &[]);
        check(None, "b", &["n1", "n3"], &[]);
        check(None, "c", &[], &[]);
        check(Some(&["a/n2", "b/n3", "b/n8"]), "a", &["n2"], &[]);
        check(Some(&["a/n2", "b/n3", "b/n8"]), "b", &["n3"], &["n8"]);
        // Nobody said where it should be.
        check(Some(&["n2", "n8"]), "b", &[], &["n8"]);
    }

    #[test]
    fn who_is_on_no_list_may_be_forgotten() {
        let check = |source: &str, list: Option<&[&str]>, unlisted: [bool; 2]| {
            let expected = listed(source, list);
            let is_unlisted = expected.unlisted();
            let told = [is_unlisted("a", "n1"), is_unlisted("b", "n2")];
            assert_eq!(told, unlisted, "{source} {list:?}");
        };
        check("seen", None, [true, true]);
        check("seen (the API does not answer)", None, [false, false]);
        check("file", Some(&[]), [false, false]);
        check("file", Some(&["n1"]), [false, true]);
        check("file", Some(&["a/n9"]), [true, true]);
        check("file", Some(&["a/n1", "a/n2"]), [false, true]);
        check("file", Some(&["a/n1", "n2"]), [false, false]);
    }

    #[test]
    fn names_are_few() {
        let names: Vec<_> = (0..300).map(|i| format!("n{i:03}")).collect();
        let heard: Vec<_> = names
            .iter()
            .map(|name| ("", name.as_str(), false))
            .collect();
        let told = Coverage::of(&heard, &ExpectedNodes::seen(), &[]);
        assert_eq!((told.stale, told.stale_nodes.len()), (300, Coverage::NAMES));
        assert_eq!(told.stale_nodes[0], "n000");
        assert_eq!(told.source, "seen");
    }
}
