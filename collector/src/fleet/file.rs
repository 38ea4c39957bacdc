//! A list in a file: one node a line, and behind its name what machine it is, if that is known.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use archtrace_facts::fleet::{ExpectedNode, ExpectedNodes, Machine};
use archtrace_facts::text::{escape, is_printable};

use super::{List, NodesError};
use crate::watched::{Read, Watched};

/// Bytes of a list: some hundred thousand nodes.
const MAX_BYTES: u64 = 16 << 20;

/// Reads the list.
pub(super) async fn open(path: PathBuf) -> Result<(List, Watched), NodesError> {
    let mut file = Watched::new(path, MAX_BYTES);
    let text = file.read().await;
    let nodes = nodes(&file, text)?;
    Ok((List::new(nodes), file))
}

/// Reads the list again whenever the file changes. One that cannot be read leaves the list as it was.
pub(super) async fn keep(mut file: Watched, list: List) {
    loop {
        let Read { text, is_other } = file.next().await;
        let read = nodes(&file, text);
        let is_good = read.is_ok();
        match read {
            Ok(nodes) => {
                let count = nodes.nodes.as_ref().map_or(0, BTreeSet::len);
                tracing::info!(path = %file.path().display(), count, "read the list of nodes again");
                list.set(nodes);
            }
            Err(error) => {
                if is_other {
                    tracing::warn!(%error, "the list of nodes stays as it was");
                }
            }
        }
        file.was_good(is_good);
    }
}

fn nodes(file: &Watched, text: std::io::Result<String>) -> Result<ExpectedNodes, NodesError> {
    let path = || file.path().to_owned();
    let text = text.map_err(|reason| NodesError::Read {
        path: path(),
        reason,
    })?;
    let (nodes, machines) =
        parse(&text).map_err(|what| NodesError::Parse { path: path(), what })?;
    if nodes.is_empty() {
        // Also what is read while somebody writes it.
        let what = "names no node, so that every silent one would be taken for gone; name one, or take those \
                    that ever reported with --nodes-from seen";
        return Err(NodesError::Parse {
            path: path(),
            what: what.to_owned(),
        });
    }
    Ok(ExpectedNodes {
        source: "file".to_owned(),
        nodes: Some(nodes),
        machines,
    })
}

/// Nodes, and what machines they are.
type Parsed = (BTreeSet<ExpectedNode>, BTreeMap<ExpectedNode, Machine>);

fn parse(text: &str) -> Result<Parsed, String> {
    let (mut nodes, mut machines) = (BTreeSet::new(), BTreeMap::new());
    for (i, line) in text.lines().enumerate() {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let Some(name) = words.next() else {
            continue;
        };
        let at = |what: String| format!("line {}: {what}", i + 1);
        let node = node(name).map_err(at)?;
        let machine = machine(words).map_err(at)?;
        if machine != Machine::default() {
            machines.insert(node.clone(), machine);
        }
        nodes.insert(node);
    }
    Ok((nodes, machines))
}

fn node(text: &str) -> Result<ExpectedNode, String> {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| is_printable(c) && c != '/');
    let (cluster, name) = match text.split_once('/') {
        Some((cluster, name)) => (Some(cluster), name),
        None => (None, text),
    };
    if !is_name(name) || !cluster.is_none_or(is_name) {
        let text = escape(text.as_bytes());
        return Err(format!(
            "'{text}' is neither a node's name nor cluster/name"
        ));
    }
    Ok(ExpectedNode {
        cluster: cluster.map(str::to_owned),
        name: name.to_owned(),
    })
}

/// What stands behind the name.
fn machine<'a>(words: impl Iterator<Item = &'a str>) -> Result<Machine, String> {
    let mut machine = Machine::default();
    for word in words {
        let place = match word.split_once('=') {
            Some(("type", value)) => Some((&mut machine.instance_type, value)),
            Some(("zone", value)) => Some((&mut machine.zone, value)),
            _ => None,
        };
        match place {
            Some((place, value)) if place.is_empty() && value.chars().all(is_printable) => {
                value.clone_into(place);
            }
            _ => {
                let word = escape(word.as_bytes());
                return Err(format!(
                    "'{word}': behind a node's name may stand type=INSTANCE-TYPE and zone=ZONE, once \
                     each; each node has a line of its own"
                ));
            }
        }
    }
    Ok(machine)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::watched::LOOK;
    use archtrace_query::Expected as _;

    fn check(text: &str, expected: Result<&[(Option<&str>, &str)], &str>) {
        let told = parse(text);
        match (&told, expected) {
            (Ok((nodes, _)), Ok(expected)) => {
                let nodes = nodes.iter();
                let nodes = nodes.map(|node| (node.cluster.as_deref(), node.name.as_str()));
                assert_eq!(nodes.collect::<Vec<_>>(), expected, "{text:?}");
            }
            (Err(what), Err(part)) => assert!(what.contains(part), "{what}"),
            _ => panic!("{text:?}: {told:?}"),
        }
    }

    #[test]
    fn lists_have_a_node_a_line() {
        check("", Ok(&[]));
        check("# none\n\n  \n", Ok(&[]));
        check(
            "b # the second\r\na\nb\nprod/a\n",
            Ok(&[(None, "a"), (None, "b"), (Some("prod"), "a")]),
        );
        check("a\nb c\n", Err("line 2: 'c': behind a node's name"));
        check("a zone=\nb tpye=x\n", Err("line 2: 'tpye=x'"));
        check("a type=x type=y", Err("line 1: 'type=y'"));
        check("a/b/c", Err("line 1"));
        check("/a", Err("line 1"));
        check("a/", Err("line 1"));
        check("a\x1b[2J", Err(r"line 1: 'a\x1b[2J'"));
    }

    #[test]
    fn machines_stand_behind_names() {
        let text = "a\nprod/b  type=m7g.large zone=eu-1a # new\nc zone=eu-1b\n";
        let (nodes, machines) = parse(text).expect("a list");
        let nodes = ExpectedNodes {
            nodes: Some(nodes),
            machines,
            ..ExpectedNodes::default()
        };
        let machine = |instance_type: &str, zone: &str| Machine {
            instance_type: instance_type.to_owned(),
            zone: zone.to_owned(),
        };
        for (cluster, name, known) in [
            ("prod", "a", None),
            ("prod", "b", Some(machine("m7g.large", "eu-1a"))),
            ("test", "b", None),
            ("test", "c", Some(machine("", "eu-1b"))),
        ] {
            assert_eq!(
                nodes.machine(cluster, name),
                known.as_ref(),
                "{cluster}/{name}"
            );
        }
    }

    #[tokio::test]
    async fn a_changed_file_is_read_and_a_bad_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("nodes");
        let missing = open(path.clone()).await.expect_err("not there");
        assert!(missing.to_string().contains("--nodes-file"), "{missing}");
        std::fs::write(&path, "# a\n").expect("written");
        let empty = open(path.clone()).await.expect_err("no node");
        assert!(empty.to_string().contains("names no node"), "{empty}");
        std::fs::write(&path, "a\n").expect("written");
        let (list, file) = open(path.clone()).await.expect("a list");
        let keeping = tokio::spawn(keep(file, list.clone()));
        let names = || {
            let nodes = list.nodes();
            let nodes = nodes.nodes.iter().flatten();
            nodes
                .map(|node| node.name.clone())
                .collect::<Vec<_>>()
                .join(",")
        };
        assert_eq!(names(), "a");
        for (text, expected) in [("a b\n", "a"), ("a\nbc\n", "a,bc"), ("", "a,bc")] {
            let before = names();
            std::fs::write(&path, text).expect("written");
            // A bad one leaves it as it was: after two looks it would have been read.
            let wanted = async {
                while names() != expected {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), wanted)
                .await
                .expect(expected);
            if expected == before {
                tokio::time::sleep(2 * LOOK).await;
                assert_eq!(names(), before);
            }
        }
        keeping.abort();
    }
}
