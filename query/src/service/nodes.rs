//! Nodes, in pages: those that ever reported, then those that should and never did.

use archtrace_facts::arch::Arch;
use archtrace_facts::fleet::{ExpectedNode, NodeState, NodeStatus};
use archtrace_facts::node::{NodeInfo, Preflight};
use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask};
use crate::page::{self, Page, limit};
use crate::read::{NodeId, NodeQuery, Read};
use crate::token::{self, Texts, Token};

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Position {
    /// Among those that reported.
    Heard(NodeId),
    /// Among those that did not.
    Unheard(ExpectedNode),
}

impl Token for Position {
    fn to_numbers(&self) -> Vec<u64> {
        match self {
            Self::Heard(node) => vec![node.0.cast_unsigned()],
            Self::Unheard(ExpectedNode { cluster, name }) => {
                let has_cluster = u64::from(cluster.is_some());
                let texts = [cluster.as_deref().unwrap_or_default(), name];
                [has_cluster].into_iter().chain(texts.pack()).collect()
            }
        }
    }

    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        match numbers {
            [node] => Some(Self::Heard(NodeId(node.cast_signed()))),
            [has_cluster, texts @ ..] => {
                let [cluster, name] = <[String; 2]>::unpack(texts)?;
                let cluster = (*has_cluster == 1).then_some(cluster);
                Some(Self::Unheard(ExpectedNode { cluster, name }))
            }
            [] => None,
        }
    }
}

pub(super) async fn list<S: Read>(
    query: &Inner<S>,
    request: v1::ListNodesRequest,
) -> Result<v1::ListNodesResponse, Status> {
    let v1::ListNodesRequest {
        nodes: names,
        page_size,
        page_token,
    } = request;
    ask::few("nodes", names.len())?;
    let question = token::question("nodes", &names);
    let after = Position::read(&page_token, question)?;
    let limit = limit(page_size)?;
    let mut rows = Vec::new();
    let (heard, unheard) = match after {
        None => (Some(None), None),
        Some(Position::Heard(node)) => (Some(Some(node)), None),
        Some(Position::Unheard(node)) => (None, Some(node)),
    };
    if let Some(after) = heard {
        let asked = NodeQuery {
            names: names.clone(),
            alive_since: query.alive_since(),
            after,
            limit: limit + 1,
        };
        let nodes = query.store.nodes(asked).await.map_err(ask::unavailable)?;
        rows.extend(
            nodes
                .into_iter()
                .map(|(id, node)| (Position::Heard(id), node)),
        );
    }
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    if rows.len() <= wanted {
        let is_asked = |node: &ExpectedNode| names.is_empty() || names.contains(&node.name);
        let unknown = query.live.unknown_nodes().await?;
        let unknown = unknown
            .into_iter()
            .filter(|node| unheard.as_ref().is_none_or(|after| node > after))
            .filter(is_asked)
            .take(wanted + 1 - rows.len());
        rows.extend(unknown.map(|node| (Position::Unheard(node.clone()), unknown_node(node))));
    }
    let Page { items: nodes, next } = page::cut(&rows, limit);
    Ok(v1::ListNodesResponse {
        nodes,
        next_page_token: token::next(next, question),
        coverage: query.live.coverage().await?,
    })
}

fn unknown_node(node: ExpectedNode) -> NodeStatus {
    NodeStatus {
        cluster: node.cluster.unwrap_or_default(),
        info: NodeInfo::named(node.name, Arch::Unknown),
        state: NodeState::Unknown,
        last_heard: None,
        attached_at: None,
        preflight: Preflight::default(),
        facts: 0,
        emulated_facts: 0,
        failed_facts: 0,
        emulated_processes: 0,
        losses: Vec::new(),
        health: None,
    }
}
