//! How it is with mandated agents.

use archtrace_facts::coverage::{InForce, Past, Place, Row, Total, WaiverNote};

use crate::convert::{
    ConvertError, at_most, each, required, some_time, some_word, to_text, to_time, to_word,
};
use crate::v1;

impl From<&Row> for v1::AgentCoverage {
    fn from(row: &Row) -> Self {
        let Row {
            place:
                Place {
                    agent,
                    cluster,
                    node,
                },
            node_arch,
            status,
            since,
            waived,
            waiver,
            reason,
            namespace,
            pod,
            workload,
            unit,
            binary,
            image,
            seen,
            past,
        } = row.clone();
        Self {
            agent,
            cluster,
            node,
            node_arch: node_arch.to_string(),
            status: status.to_string(),
            since: since.map(Into::into),
            waived_status: waived.map(|status| status.to_string()).unwrap_or_default(),
            waiver: waiver.as_ref().map(Into::into),
            reason,
            namespace,
            pod,
            workload,
            unit,
            binary,
            image,
            seen: seen.map(Into::into),
            past: past.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::AgentCoverage> for Row {
    type Error = ConvertError;

    fn try_from(row: v1::AgentCoverage) -> Result<Self, ConvertError> {
        at_most("past", row.past.len(), Past::MOST)?;
        Ok(Self {
            place: Place {
                agent: to_text("agent", row.agent)?,
                cluster: to_text("cluster", row.cluster)?,
                node: to_text("node", row.node)?,
            },
            node_arch: to_word("node_arch", &row.node_arch)?,
            status: to_word("status", &row.status)?,
            since: some_time("since", row.since)?,
            waived: some_word("waived_status", &row.waived_status)?,
            waiver: row
                .waiver
                .map(|waiver| required("waiver", Some(waiver)))
                .transpose()?,
            reason: to_text("reason", row.reason)?,
            namespace: to_text("namespace", row.namespace)?,
            pod: to_text("pod", row.pod)?,
            workload: to_text("workload", row.workload)?,
            unit: to_text("unit", row.unit)?,
            binary: to_text("binary", row.binary)?,
            image: to_text("image", row.image)?,
            seen: some_time("seen", row.seen)?,
            past: each("past", row.past, TryInto::try_into)?,
        })
    }
}

impl From<&WaiverNote> for v1::CoverageWaiver {
    fn from(waiver: &WaiverNote) -> Self {
        let WaiverNote {
            owner,
            reason,
            expires,
            expired,
        } = waiver.clone();
        Self {
            owner,
            reason,
            expires: Some(expires.into()),
            expired,
        }
    }
}

impl TryFrom<v1::CoverageWaiver> for WaiverNote {
    type Error = ConvertError;

    fn try_from(waiver: v1::CoverageWaiver) -> Result<Self, ConvertError> {
        Ok(Self {
            owner: to_text("owner", waiver.owner)?,
            reason: to_text("reason", waiver.reason)?,
            expires: to_time("expires", waiver.expires)?,
            expired: waiver.expired,
        })
    }
}

impl From<&Past> for v1::PastCoverage {
    fn from(past: &Past) -> Self {
        let Past {
            status,
            since,
            until,
        } = *past;
        Self {
            status: status.to_string(),
            since: Some(since.into()),
            until: Some(until.into()),
        }
    }
}

impl TryFrom<v1::PastCoverage> for Past {
    type Error = ConvertError;

    fn try_from(past: v1::PastCoverage) -> Result<Self, ConvertError> {
        Ok(Self {
            status: to_word("status", &past.status)?,
            since: to_time("since", past.since)?,
            until: to_time("until", past.until)?,
        })
    }
}

impl From<&Total> for v1::CoverageTotal {
    fn from(total: &Total) -> Self {
        let Total {
            agent,
            status,
            nodes,
        } = total.clone();
        Self {
            agent,
            status: status.to_string(),
            nodes,
        }
    }
}

impl TryFrom<v1::CoverageTotal> for Total {
    type Error = ConvertError;

    fn try_from(total: v1::CoverageTotal) -> Result<Self, ConvertError> {
        Ok(Self {
            agent: to_text("agent", total.agent)?,
            status: to_word("status", &total.status)?,
            nodes: total.nodes,
        })
    }
}

impl From<&InForce> for v1::PolicyInForce {
    fn from(policy: &InForce) -> Self {
        let InForce {
            source,
            agents,
            loaded_at,
            problem,
        } = policy.clone();
        Self {
            source,
            agents,
            loaded_at: loaded_at.map(Into::into),
            problem,
        }
    }
}

impl TryFrom<v1::PolicyInForce> for InForce {
    type Error = ConvertError;

    fn try_from(policy: v1::PolicyInForce) -> Result<Self, ConvertError> {
        Ok(Self {
            source: to_text("source", policy.source)?,
            agents: policy.agents,
            loaded_at: some_time("loaded_at", policy.loaded_at)?,
            problem: to_text("problem", policy.problem)?,
        })
    }
}

/// The totals of an answer.
///
/// # Errors
/// If one does not read.
pub fn decode_totals(totals: Vec<v1::CoverageTotal>) -> Result<Vec<Total>, ConvertError> {
    each("totals", totals, TryInto::try_into)
}
