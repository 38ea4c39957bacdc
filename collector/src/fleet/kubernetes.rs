//! The list of nodes from the Kubernetes API: their names, and what machines they are.
//!
//! The watch begins again whatever happens (`crate::kubernetes::watch`). What is decided here is what that
//! means for the list: it stays as it was while the API is away, and without the right to read it, those
//! that ever reported are all that is known.

use std::collections::BTreeMap;
use std::time::Duration;

use archtrace_facts::fleet::{ExpectedNode, ExpectedNodes, Machine};
use archtrace_facts::text::escape;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::List;
use crate::kubernetes::watch;

/// Keeps the list up to date until `over` is cancelled. Until it was read, those that ever reported
/// are it.
#[must_use]
pub fn start(client: Client, cluster: Option<String>, over: CancellationToken) -> List {
    let list = List::new(seen("the list of the Kubernetes API was not read yet"));
    let follows = follow(client, cluster, list.clone());
    tokio::spawn(async move { over.run_until_cancelled(follows).await });
    list
}

/// What is known without the API.
fn seen(why: &str) -> ExpectedNodes {
    ExpectedNodes {
        source: format!("seen ({why})"),
        ..ExpectedNodes::default()
    }
}

/// How long until it is asked again whether we may: somebody has to give us the right first.
const FORBIDDEN: Duration = Duration::from_secs(10);

async fn follow(client: Client, cluster: Option<String>, list: List) {
    let mut trouble = None;
    loop {
        let Forbidden = read(&client, cluster.as_deref(), &list, &mut trouble).await;
        list.set(seen("the Kubernetes API does not let us list nodes"));
        tokio::time::sleep(FORBIDDEN).await;
    }
}

/// We have not the right to list or watch nodes.
struct Forbidden;

/// Reads all nodes, and what changes, until that is forbidden. `trouble` is what was logged last: the same
/// is not logged again.
async fn read(
    client: &Client,
    cluster: Option<&str>,
    list: &List,
    trouble: &mut Option<String>,
) -> Forbidden {
    let mut events = watch::metadata::<Node>(client);
    let mut names = Names::default();
    loop {
        match events.next().await {
            Some(Ok(event)) => {
                if names.take(event) {
                    if trouble.take().is_some() {
                        tracing::info!("the Kubernetes API lists nodes again");
                    }
                    list.set(names.list(cluster));
                }
            }
            Some(Err(error)) => {
                let is_forbidden = watch::is_forbidden(&error);
                let told = error.to_string();
                if trouble.as_ref() != Some(&told) {
                    let hint = if is_forbidden {
                        "a node that never reported is not missed; let the service account list and \
                         watch nodes, or name them with --nodes-file"
                    } else {
                        "the list stays as it is until it can be read"
                    };
                    tracing::warn!(
                        error = told,
                        "cannot read nodes from the Kubernetes API: {hint}"
                    );
                    *trouble = Some(told);
                }
                if is_forbidden {
                    return Forbidden;
                }
            }
            // It never ends; if it did, it would begin again.
            None => return Forbidden,
        }
    }
}

/// Labels that clouds put on nodes: <https://kubernetes.io/docs/reference/labels-annotations-taints/>.
const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Names of nodes with what machines they are, and those of a list that is being read.
#[derive(Debug, Default)]
struct Names {
    names: BTreeMap<String, Machine>,
    coming: BTreeMap<String, Machine>,
    /// Whether all were there once.
    is_whole: bool,
}

impl Names {
    /// Whether that is something new to tell.
    fn take(&mut self, event: Event<PartialObjectMeta<Node>>) -> bool {
        match event {
            Event::Init => {
                self.coming.clear();
                false
            }
            Event::InitApply(node) => {
                let (name, machine) = named(node);
                self.coming.insert(name, machine);
                false
            }
            Event::InitDone => {
                self.names = std::mem::take(&mut self.coming);
                self.is_whole = true;
                true
            }
            Event::Apply(node) => {
                let (name, machine) = named(node);
                let had = self.names.insert(name, machine.clone());
                had != Some(machine) && self.is_whole
            }
            Event::Delete(node) => self.names.remove(&named(node).0).is_some() && self.is_whole,
        }
    }

    fn list(&self, cluster: Option<&str>) -> ExpectedNodes {
        let node = |name: &String| ExpectedNode {
            cluster: cluster.map(str::to_owned),
            name: name.clone(),
        };
        let machines = self.names.iter();
        let machines = machines.filter(|(_, machine)| **machine != Machine::default());
        ExpectedNodes {
            source: "kubernetes".to_owned(),
            nodes: Some(self.names.keys().map(node).collect()),
            machines: machines
                .map(|(name, machine)| (node(name), machine.clone()))
                .collect(),
        }
    }
}

fn named(node: PartialObjectMeta<Node>) -> (String, Machine) {
    let labels = node.metadata.labels.unwrap_or_default();
    let label = |name| {
        labels
            .get(name)
            .map_or_else(String::new, |text: &String| escape(text.as_bytes()))
    };
    let machine = Machine {
        instance_type: label(INSTANCE_TYPE),
        zone: label(ZONE),
    };
    (node.metadata.name.unwrap_or_default(), machine)
}
