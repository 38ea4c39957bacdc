//! A list in a file: one node a line.

use std::collections::BTreeSet;
use std::path::PathBuf;

use archtrace_facts::fleet::{ExpectedNode, ExpectedNodes};
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
    let nodes = parse(&text).map_err(|what| NodesError::Parse { path: path(), what })?;
    Ok(ExpectedNodes {
        source: "file".to_owned(),
        nodes: Some(nodes),
    })
}

fn parse(text: &str) -> Result<BTreeSet<ExpectedNode>, String> {
    let mut nodes = BTreeSet::new();
    for (i, line) in text.lines().enumerate() {
        let name = line.split('#').next().unwrap_or_default().trim();
        if name.is_empty() {
            continue;
        }
        let wrong = || {
            let name = escape(name.as_bytes());
            format!(
                "line {}: '{name}' is neither a node's name nor cluster/name",
                i + 1
            )
        };
        let is_name = |name: &str| {
            let is_part = |c: char| is_printable(c) && !c.is_whitespace() && c != '/';
            !name.is_empty() && name.chars().all(is_part)
        };
        let (cluster, name) = match name.split_once('/') {
            Some((cluster, name)) => (Some(cluster), name),
            None => (None, name),
        };
        if !is_name(name) || !cluster.is_none_or(is_name) {
            return Err(wrong());
        }
        nodes.insert(ExpectedNode {
            cluster: cluster.map(str::to_owned),
            name: name.to_owned(),
        });
    }
    Ok(nodes)
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
            (Ok(nodes), Ok(expected)) => {
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
        check("a\nb c\n", Err("line 2: 'b c'"));
        check("a/b/c", Err("line 1"));
        check("/a", Err("line 1"));
        check("a/", Err("line 1"));
        check("a\x1b[2J", Err(r"line 1: 'a\x1b[2J'"));
    }

    #[tokio::test]
    async fn a_changed_file_is_read_and_a_bad_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("nodes");
        let missing = open(path.clone()).await.expect_err("not there");
        assert!(missing.to_string().contains("--nodes-file"), "{missing}");
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
        for (text, expected) in [("a b\n", "a"), ("a\nbc\n", "a,bc"), ("", "")] {
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
            if expected == "a" {
                tokio::time::sleep(2 * LOOK).await;
                assert_eq!(names(), "a");
            }
        }
        keeping.abort();
    }
}
