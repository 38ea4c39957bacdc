//! `query.proto`: what is asked of a collector and what it answers.

mod agents;
mod cost;
mod found;
mod matrix;
mod money;
mod select;
mod stream;
mod summary;
mod verify;

pub use agents::decode_totals;
pub use cost::decode_cost_dimensions;
pub use money::decode_pricing;
pub use stream::{decode_event_update, decode_fact_update};
pub use summary::decode_dimensions;

use archtrace_facts::fleet::{
    Coverage, FleetImage, LossTotal, NodeEvent, NodeFact, NodeState, NodeStatus, ServerStatus,
    Totals,
};
use archtrace_facts::report::Record;

use super::image::{from_count, to_count};
use super::{
    ConvertError, each, from_duration, required, some, some_time, to_duration, to_text, to_texts,
    to_time, to_word, unknown,
};
use crate::v1;

impl From<&Coverage> for v1::NodeCoverage {
    fn from(coverage: &Coverage) -> Self {
        let Coverage {
            reporting,
            stale,
            unknown,
            stale_nodes,
            unknown_nodes,
            source,
        } = coverage.clone();
        Self {
            reporting,
            stale,
            unknown,
            stale_nodes,
            unknown_nodes,
            source,
        }
    }
}

impl TryFrom<v1::NodeCoverage> for Coverage {
    type Error = ConvertError;

    fn try_from(coverage: v1::NodeCoverage) -> Result<Self, ConvertError> {
        let v1::NodeCoverage {
            reporting,
            stale,
            unknown,
            stale_nodes,
            unknown_nodes,
            source,
        } = coverage;
        Ok(Self {
            reporting,
            stale,
            unknown,
            stale_nodes: to_texts("stale_nodes", stale_nodes)?,
            unknown_nodes: to_texts("unknown_nodes", unknown_nodes)?,
            source: to_text("source", source)?,
        })
    }
}

impl From<&NodeFact> for v1::NodeFact {
    fn from(value: &NodeFact) -> Self {
        Self {
            cluster: value.cluster.clone(),
            node: value.node.clone(),
            node_arch: value.node_arch.to_string(),
            fact: Some((&value.fact).into()),
            current: value.current,
            ended: value.ended,
            identity: Some((&value.identity).into()),
        }
    }
}

impl TryFrom<v1::NodeFact> for NodeFact {
    type Error = ConvertError;

    fn try_from(value: v1::NodeFact) -> Result<Self, ConvertError> {
        Ok(Self {
            cluster: to_text("cluster", value.cluster)?,
            node: to_text("node", value.node)?,
            node_arch: to_word("node_arch", &value.node_arch)?,
            fact: required("fact", value.fact)?,
            identity: required("identity", Some(value.identity.unwrap_or_default()))?,
            current: value.current,
            ended: value.ended,
        })
    }
}

impl From<&NodeEvent> for v1::NodeEvent {
    fn from(value: &NodeEvent) -> Self {
        Self {
            cluster: value.cluster.clone(),
            node: value.node.clone(),
            node_arch: value.node_arch.to_string(),
            stream_id: value.stream_id,
            sequence: value.sequence,
            record: Some(match &value.record {
                Record::Event(event) => v1::node_event::Record::Event(event.into()),
                Record::Loss(loss) => v1::node_event::Record::Loss(loss.into()),
                Record::Handler(change) => v1::node_event::Record::Handler(change.into()),
            }),
            identity: Some((&value.identity).into()),
        }
    }
}

impl TryFrom<v1::NodeEvent> for NodeEvent {
    type Error = ConvertError;

    fn try_from(value: v1::NodeEvent) -> Result<Self, ConvertError> {
        let record = match value.record {
            Some(v1::node_event::Record::Event(event)) => {
                Record::Event(required("event", Some(event))?)
            }
            Some(v1::node_event::Record::Loss(loss)) => Record::Loss(required("loss", Some(loss))?),
            Some(v1::node_event::Record::Handler(change)) => {
                Record::Handler(required("handler", Some(change))?)
            }
            None => return Err(ConvertError::missing("record")),
        };
        Ok(Self {
            cluster: to_text("cluster", value.cluster)?,
            node: to_text("node", value.node)?,
            node_arch: to_word("node_arch", &value.node_arch)?,
            stream_id: value.stream_id,
            sequence: value.sequence,
            record,
            identity: required("identity", Some(value.identity.unwrap_or_default()))?,
        })
    }
}

impl From<&FleetImage> for v1::FleetImage {
    fn from(value: &FleetImage) -> Self {
        Self {
            image: Some((&value.image).into()),
            nodes: value.nodes.iter().map(from_count).collect(),
            last_seen: Some(value.last_seen.into()),
        }
    }
}

impl TryFrom<v1::FleetImage> for FleetImage {
    type Error = ConvertError;

    fn try_from(value: v1::FleetImage) -> Result<Self, ConvertError> {
        Ok(Self {
            image: required("image", value.image)?,
            nodes: each("nodes", value.nodes, to_count)?,
            last_seen: to_time("last_seen", value.last_seen)?,
        })
    }
}

impl From<&NodeStatus> for v1::NodeStatus {
    fn from(value: &NodeStatus) -> Self {
        let state = match value.state {
            NodeState::Reporting => v1::NodeState::Reporting,
            NodeState::Stale => v1::NodeState::Stale,
            NodeState::Unknown => v1::NodeState::Unknown,
        };
        Self {
            cluster: value.cluster.clone(),
            info: Some((&value.info).into()),
            state: state.into(),
            last_heard: value.last_heard.map(Into::into),
            attached_at: value.attached_at.map(Into::into),
            preflight: Some((&value.preflight).into()),
            facts: value.facts,
            emulated_facts: value.emulated_facts,
            failed_facts: value.failed_facts,
            emulated_processes: value.emulated_processes,
            losses: value.losses.iter().map(Into::into).collect(),
            health: value.health.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::NodeStatus> for NodeStatus {
    type Error = ConvertError;

    fn try_from(value: v1::NodeStatus) -> Result<Self, ConvertError> {
        let state = match v1::NodeState::try_from(value.state) {
            Ok(v1::NodeState::Reporting) => NodeState::Reporting,
            Ok(v1::NodeState::Stale) => NodeState::Stale,
            Ok(v1::NodeState::Unknown) => NodeState::Unknown,
            Ok(v1::NodeState::Unspecified) => return Err(ConvertError::missing("state")),
            Err(_) => return Err(unknown("state", value.state, "node state")),
        };
        Ok(Self {
            cluster: to_text("cluster", value.cluster)?,
            info: required("info", value.info)?,
            state,
            last_heard: some_time("last_heard", value.last_heard)?,
            attached_at: some_time("attached_at", value.attached_at)?,
            preflight: required("preflight", value.preflight)?,
            facts: value.facts,
            emulated_facts: value.emulated_facts,
            failed_facts: value.failed_facts,
            emulated_processes: value.emulated_processes,
            losses: each("losses", value.losses, TryInto::try_into)?,
            health: value
                .health
                .map(|health| required("health", Some(health)))
                .transpose()?,
        })
    }
}

impl From<&LossTotal> for v1::LossTotal {
    fn from(
        LossTotal {
            stage,
            count,
            records,
        }: &LossTotal,
    ) -> Self {
        Self {
            stage: stage.clone(),
            count: *count,
            records: *records,
        }
    }
}

impl TryFrom<v1::LossTotal> for LossTotal {
    type Error = ConvertError;

    fn try_from(value: v1::LossTotal) -> Result<Self, ConvertError> {
        let v1::LossTotal {
            stage,
            count,
            records,
        } = value;
        Ok(Self {
            stage: to_text("stage", stage)?,
            count,
            records,
        })
    }
}

impl From<&ServerStatus> for v1::GetServerStatusResponse {
    fn from(value: &ServerStatus) -> Self {
        let ServerStatus {
            version,
            started_at,
            heartbeat_interval,
            store,
            totals,
            authenticated,
            coverage,
            refusals,
            policy,
        } = value;
        let refusal = |(reason, count): &(String, u64)| v1::RefusalCount {
            reason: reason.clone(),
            count: *count,
        };
        Self {
            version: version.clone(),
            started_at: Some((*started_at).into()),
            heartbeat_interval: Some(from_duration(*heartbeat_interval)),
            store: store.clone(),
            store_bytes: totals.bytes,
            nodes_reporting: totals.nodes_reporting,
            nodes_stale: totals.nodes_stale,
            facts: totals.facts,
            emulated_facts: totals.emulated_facts,
            failed_facts: totals.failed_facts,
            events: totals.events,
            unexplained_gap: totals.unexplained_gap,
            losses: totals.losses.iter().map(Into::into).collect(),
            authenticated: *authenticated,
            coverage: Some(coverage.into()),
            refusals: refusals.iter().map(refusal).collect(),
            policy: policy.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::GetServerStatusResponse> for ServerStatus {
    type Error = ConvertError;

    fn try_from(value: v1::GetServerStatusResponse) -> Result<Self, ConvertError> {
        Ok(Self {
            version: to_text("version", value.version)?,
            started_at: to_time("started_at", value.started_at)?,
            heartbeat_interval: to_duration("heartbeat_interval", value.heartbeat_interval)?,
            store: to_text("store", value.store)?,
            totals: Totals {
                bytes: value.store_bytes,
                nodes_reporting: value.nodes_reporting,
                nodes_stale: value.nodes_stale,
                facts: value.facts,
                emulated_facts: value.emulated_facts,
                failed_facts: value.failed_facts,
                events: value.events,
                unexplained_gap: value.unexplained_gap,
                losses: each("losses", value.losses, TryInto::try_into)?,
            },
            authenticated: value.authenticated,
            coverage: required("coverage", Some(value.coverage.unwrap_or_default()))?,
            refusals: each("refusals", value.refusals, |refusal| {
                Ok((to_text("reason", refusal.reason)?, refusal.count))
            })?,
            policy: some("policy", value.policy)?,
        })
    }
}
