//! Facts of one workload, from memory: a store would look at all that it has.

use archtrace_facts::fact::{Fact, FactKey, Mode};
use archtrace_facts::fleet::NodeFact;
use archtrace_facts::identity::Identity;
use archtrace_facts::select::TextField;
use tonic::Status;

use super::Query;
use crate::live::table::{Table, View};
use crate::read::Read;

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its cluster; may be empty.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its kind and name, such as `Deployment/api`.
    pub name: String,
}

impl<S: Read> Query<S> {
    /// Native facts of a workload that agents keep now, `most` at most, and whether there are more. Of whose they
    /// are there is what facts are summed up by; labels, and numbers of pods and containers, are not.
    ///
    /// # Errors
    /// If facts are still being read, or the store does not answer.
    pub async fn native_facts(
        &self,
        of: Workload,
        most: usize,
    ) -> Result<(Vec<NodeFact>, bool), Status> {
        let facts = self.inner.live.loaded().await?;
        // Some milliseconds of work, which others should not wait for.
        let picked = tokio::task::spawn_blocking(move || pick(&facts.table(), &of, most));
        picked
            .await
            .map_err(|error| Status::internal(format!("the look failed: {error}")))
    }
}

fn pick(table: &Table, of: &Workload, most: usize) -> (Vec<NodeFact>, bool) {
    let text = |number| table.texts.text(number);
    // Kinds of facts by number: few nodes have one that is meant.
    let kinds = table.kinds.all().iter().map(|kind| {
        kind.as_ref().is_some_and(|kind| {
            kind.mode == Mode::Native
                && text(kind.workload) == of.name
                && text(kind.namespace) == of.namespace
        })
    });
    let kinds: Vec<_> = kinds.collect();
    let is_meant = |kind: u32| {
        let kind = usize::try_from(kind).ok().and_then(|kind| kinds.get(kind));
        kind.copied().unwrap_or(false)
    };
    let nodes = table.nodes.iter().filter(|node| {
        let mut cells = node.cells.iter();
        cells.any(|cell| is_meant(cell.kind)) && text(node.cluster) == of.cluster
    });
    let mut facts = nodes
        .flat_map(|node| table.facts_of(node))
        .filter(|fact| is_meant(fact.row.kind));
    let picked = facts.by_ref().take(most).map(|fact| told(&fact)).collect();
    (picked, facts.next().is_some())
}

/// The fact as it is told, as far as it is known.
fn told(fact: &View<'_>) -> NodeFact {
    let word = |field| fact.word(field).into_owned();
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let key = FactKey {
        cgroup: word(TextField::Cgroup),
        binary: word(TextField::Binary),
        path_resolved: true,
        arch: fact.kind.arch,
        mode: fact.kind.mode,
        emulator: some(word(TextField::Emulator)),
        via: fact.row.via,
        cause: fact.row.cause,
    };
    // That is not kept, but the id says it.
    let path_resolved = key.id() == fact.row.id;
    NodeFact {
        cluster: word(TextField::Cluster),
        node: word(TextField::Node),
        node_arch: fact.node.arch,
        fact: Fact {
            key: FactKey {
                path_resolved,
                ..key
            },
            count: fact.row.count,
            processes: fact.processes(),
            cpu_ns: fact.row.cpu_ns,
            first_seen: fact.first_seen(),
            last_seen: fact.last_seen(),
        },
        identity: Identity {
            namespace: word(TextField::Namespace),
            pod: word(TextField::Pod),
            container: word(TextField::Container),
            image: word(TextField::Image),
            image_id: word(TextField::ImageId),
            workload: word(TextField::Workload),
            unit: word(TextField::Unit),
            ..Identity::default()
        },
        current: fact.node.current,
        ended: false,
    }
}
