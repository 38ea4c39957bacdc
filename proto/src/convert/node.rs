//! `model.proto`: nodes, and how well their agents can watch.

use archtrace_facts::arch::Arch;
use archtrace_facts::node::{Handler, HookReport, NodeInfo, Preflight};
use prost::Message as _;

use super::{ConvertError, each, to_text, to_texts, to_word};
use crate::v1;

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
        }
    }
}

impl TryFrom<v1::NodeInfo> for NodeInfo {
    type Error = ConvertError;

    fn try_from(node: v1::NodeInfo) -> Result<Self, ConvertError> {
        if node.name.is_empty() {
            return Err(ConvertError::missing("name"));
        }
        Ok(Self {
            name: to_text("name", node.name)?,
            uid: to_text("uid", node.uid)?,
            arch: to_word("arch", &node.arch)?,
            kernel_release: to_text("kernel_release", node.kernel_release)?,
            cpu_model: to_text("cpu_model", node.cpu_model)?,
            page_size: node.page_size,
            boot_id: to_text("boot_id", node.boot_id)?,
            agent_version: to_text("agent_version", node.agent_version)?,
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
        let handler = |Handler {
                           name,
                           enabled,
                           interpreter,
                           flags,
                           arch,
                       }| v1::BinfmtHandler {
            name,
            enabled,
            interpreter,
            flags,
            arch: arch.map(|arch: Arch| arch.to_string()).unwrap_or_default(),
        };
        Self {
            hooks: hooks.into_iter().map(hook).collect(),
            missing,
            handlers: handlers.into_iter().map(handler).collect(),
            binfmt,
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
        } = preflight;
        Ok(Self {
            hooks: each("hooks", hooks, to_hook)?,
            missing: to_texts("missing", missing)?,
            handlers: each("handlers", handlers, to_handler)?,
            binfmt: to_text("binfmt", binfmt)?,
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

fn to_handler(handler: v1::BinfmtHandler) -> Result<Handler, ConvertError> {
    Ok(Handler {
        name: to_text("name", handler.name)?,
        enabled: handler.enabled,
        interpreter: to_text("interpreter", handler.interpreter)?,
        flags: to_text("flags", handler.flags)?,
        arch: if handler.arch.is_empty() {
            None
        } else {
            Some(to_word("arch", &handler.arch)?)
        },
    })
}
