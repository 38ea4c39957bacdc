//! `model.proto`: nodes, and how well their agents can watch.

use archtrace_facts::arch::Arch;
use archtrace_facts::node::{Handler, Health, HookReport, NodeInfo, Preflight, Uncovered};
use prost::Message as _;

use super::{ConvertError, at_most, each, some_word, to_text, to_texts, to_time, to_word};
use crate::v1;

/// Extensions that a CPU may have: five times as many as today's.
const MAX_FEATURES: usize = 1024;

/// Sandboxes on one node: several times as many as a kubelet takes pods.
const MAX_UNCOVERED: usize = 4096;

/// A [`Preflight`] as bytes for a store: a newer version reads what an older one wrote.
#[must_use]
pub fn encode_preflight(preflight: &Preflight) -> Vec<u8> {
    v1::Preflight::from(preflight).encode_to_vec()
}

/// What [`encode_preflight`] wrote.
///
/// # Errors
/// If it did not write this.
pub fn decode_preflight(bytes: &[u8]) -> Result<Preflight, ConvertError> {
    let message = v1::Preflight::decode(bytes);
    message
        .map_err(|error| ConvertError::new("preflight", error.to_string()))?
        .try_into()
}

/// A [`NodeInfo`] as bytes for a store: a newer version reads what an older one wrote.
#[must_use]
pub fn encode_node(node: &NodeInfo) -> Vec<u8> {
    v1::NodeInfo::from(node).encode_to_vec()
}

/// What [`encode_node`] wrote.
///
/// # Errors
/// If it did not write this.
pub fn decode_node(bytes: &[u8]) -> Result<NodeInfo, ConvertError> {
    let message = v1::NodeInfo::decode(bytes);
    message
        .map_err(|error| ConvertError::new("node", error.to_string()))?
        .try_into()
}

/// A [`Handler`] as bytes for a store: a newer version reads what an older one wrote.
#[must_use]
pub fn encode_handler(handler: &Handler) -> Vec<u8> {
    v1::BinfmtHandler::from(handler).encode_to_vec()
}

/// What [`encode_handler`] wrote.
///
/// # Errors
/// If it did not write this.
pub fn decode_handler(bytes: &[u8]) -> Result<Handler, ConvertError> {
    let message = v1::BinfmtHandler::decode(bytes);
    message
        .map_err(|error| ConvertError::new("handler", error.to_string()))?
        .try_into()
}

impl From<&NodeInfo> for v1::NodeInfo {
    fn from(node: &NodeInfo) -> Self {
        let node = node.clone();
        Self {
            name: node.name,
            uid: node.uid,
            arch: node.arch.to_string(),
            kernel_release: node.kernel_release,
            cpu_model: node.cpu_model,
            page_size: node.page_size,
            boot_id: node.boot_id,
            agent_version: node.agent_version,
            cpu_generation: node.cpu_generation,
            cpu_features: node.cpu_features,
            runs_32bit: node.runs_32bit,
            lockdown: node.lockdown,
        }
    }
}

impl TryFrom<v1::NodeInfo> for NodeInfo {
    type Error = ConvertError;

    fn try_from(node: v1::NodeInfo) -> Result<Self, ConvertError> {
        if node.name.is_empty() {
            return Err(ConvertError::missing("name"));
        }
        at_most("cpu_features", node.cpu_features.len(), MAX_FEATURES)?;
        Ok(Self {
            name: to_text("name", node.name)?,
            uid: to_text("uid", node.uid)?,
            arch: to_word("arch", &node.arch)?,
            kernel_release: to_text("kernel_release", node.kernel_release)?,
            cpu_model: to_text("cpu_model", node.cpu_model)?,
            page_size: node.page_size,
            boot_id: to_text("boot_id", node.boot_id)?,
            agent_version: to_text("agent_version", node.agent_version)?,
            cpu_generation: to_text("cpu_generation", node.cpu_generation)?,
            cpu_features: to_texts("cpu_features", node.cpu_features)?,
            runs_32bit: node.runs_32bit,
            lockdown: to_text("lockdown", node.lockdown)?,
        })
    }
}

impl From<&Preflight> for v1::Preflight {
    fn from(preflight: &Preflight) -> Self {
        let Preflight {
            hooks,
            missing,
            handlers,
            binfmt,
            uncovered,
            names,
        } = preflight.clone();
        let hook = |HookReport {
                        name,
                        mechanism,
                        tier,
                        proven,
                        reasons,
                    }| v1::HookReport {
            name,
            mechanism,
            tier,
            proven,
            reasons,
        };
        let pod = |Uncovered { cgroup, runtime }| v1::UncoveredPod { cgroup, runtime };
        Self {
            hooks: hooks.into_iter().map(hook).collect(),
            missing,
            handlers: handlers.iter().map(Into::into).collect(),
            binfmt,
            uncovered: uncovered.into_iter().map(pod).collect(),
            names,
        }
    }
}

impl TryFrom<v1::Preflight> for Preflight {
    type Error = ConvertError;

    fn try_from(preflight: v1::Preflight) -> Result<Self, ConvertError> {
        let v1::Preflight {
            hooks,
            missing,
            handlers,
            binfmt,
            uncovered,
            names,
        } = preflight;
        at_most("uncovered", uncovered.len(), MAX_UNCOVERED)?;
        Ok(Self {
            hooks: each("hooks", hooks, to_hook)?,
            missing: to_texts("missing", missing)?,
            handlers: each("handlers", handlers, Handler::try_from)?,
            binfmt: to_text("binfmt", binfmt)?,
            uncovered: each("uncovered", uncovered, to_uncovered)?,
            names: to_text("names", names)?,
        })
    }
}

fn to_hook(hook: v1::HookReport) -> Result<HookReport, ConvertError> {
    Ok(HookReport {
        name: to_text("name", hook.name)?,
        mechanism: to_text("mechanism", hook.mechanism)?,
        tier: hook.tier,
        proven: hook.proven,
        reasons: to_texts("reasons", hook.reasons)?,
    })
}

fn to_uncovered(pod: v1::UncoveredPod) -> Result<Uncovered, ConvertError> {
    Ok(Uncovered {
        cgroup: to_text("cgroup", pod.cgroup)?,
        runtime: to_text("runtime", pod.runtime)?,
    })
}

impl From<&Health> for v1::AgentHealth {
    fn from(health: &Health) -> Self {
        let Health {
            resident_bytes,
            cpu_ns,
            queued_records,
            spooled_bytes,
            spool,
        } = health.clone();
        Self {
            resident_bytes,
            cpu_nanoseconds: cpu_ns,
            queued_records,
            spooled_bytes,
            spool,
        }
    }
}

impl TryFrom<v1::AgentHealth> for Health {
    type Error = ConvertError;

    fn try_from(health: v1::AgentHealth) -> Result<Self, ConvertError> {
        let v1::AgentHealth {
            resident_bytes,
            cpu_nanoseconds,
            queued_records,
            spooled_bytes,
            spool,
        } = health;
        Ok(Self {
            resident_bytes,
            cpu_ns: cpu_nanoseconds,
            queued_records,
            spooled_bytes,
            spool: to_text("spool", spool)?,
        })
    }
}

/// As stores keep it.
#[must_use]
pub fn encode_health(health: &Health) -> Vec<u8> {
    v1::AgentHealth::from(health).encode_to_vec()
}

/// What [`encode_health`] wrote.
///
/// # Errors
/// If it was not.
pub fn decode_health(bytes: &[u8]) -> Result<Health, ConvertError> {
    let message = v1::AgentHealth::decode(bytes);
    message
        .map_err(|error| ConvertError::new("health", error.to_string()))?
        .try_into()
}

impl From<&Handler> for v1::BinfmtHandler {
    fn from(handler: &Handler) -> Self {
        let Handler {
            name,
            enabled,
            interpreter,
            flags,
            arch,
            since,
        } = handler.clone();
        Self {
            name,
            enabled,
            interpreter,
            flags,
            arch: arch.map(|arch: Arch| arch.to_string()).unwrap_or_default(),
            since: since.map(Into::into),
        }
    }
}

impl TryFrom<v1::BinfmtHandler> for Handler {
    type Error = ConvertError;

    fn try_from(handler: v1::BinfmtHandler) -> Result<Self, ConvertError> {
        Ok(Self {
            name: to_text("name", handler.name)?,
            enabled: handler.enabled,
            interpreter: to_text("interpreter", handler.interpreter)?,
            flags: to_text("flags", handler.flags)?,
            arch: some_word("arch", &handler.arch)?,
            since: handler
                .since
                .map(|since| to_time("since", Some(since)))
                .transpose()?,
        })
    }
}
