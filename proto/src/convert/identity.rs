//! `model.proto`: whose a cgroup is.

use archtrace_facts::identity::{Identity, LastExit};
use archtrace_facts::report::Owner;
use prost::Message as _;

use super::{ConvertError, at_most, required, some_word, to_text};
use crate::v1;

/// Labels of one pod. Kubernetes has no limit; what an agent sends is cut to these.
const MAX_LABELS: usize = 64;

/// An [`Identity`] as bytes for a store: a newer version reads what an older one wrote.
#[must_use]
pub fn encode_identity(identity: &Identity) -> Vec<u8> {
    v1::Identity::from(identity).encode_to_vec()
}

/// What [`encode_identity`] wrote.
///
/// # Errors
/// If it did not write this.
pub fn decode_identity(bytes: &[u8]) -> Result<Identity, ConvertError> {
    let message = v1::Identity::decode(bytes);
    message
        .map_err(|error| ConvertError::new("identity", error.to_string()))?
        .try_into()
}

impl From<&Identity> for v1::Identity {
    fn from(identity: &Identity) -> Self {
        let Identity {
            namespace,
            pod,
            container,
            pod_uid,
            container_id,
            unit,
            image,
            image_id,
            image_arch,
            workload,
            workload_from_api,
            labels,
            attempt,
            last_exit,
        } = identity.clone();
        Self {
            namespace,
            pod,
            container,
            pod_uid,
            container_id,
            unit,
            image,
            image_id,
            image_arch: image_arch.map_or(String::new(), |arch| arch.to_string()),
            workload,
            workload_from_api,
            labels: labels.into_iter().collect(),
            attempt,
            last_exit: last_exit.map(|LastExit { code, reason }| v1::LastExit { code, reason }),
        }
    }
}

impl TryFrom<v1::Identity> for Identity {
    type Error = ConvertError;

    fn try_from(value: v1::Identity) -> Result<Self, ConvertError> {
        at_most("labels", value.labels.len(), MAX_LABELS)?;
        let label = |(key, value)| Ok((to_text("labels", key)?, to_text("labels", value)?));
        let last_exit = |exit: v1::LastExit| {
            Ok(LastExit {
                code: exit.code,
                reason: to_text("last_exit.reason", exit.reason)?,
            })
        };
        Ok(Self {
            namespace: to_text("namespace", value.namespace)?,
            pod: to_text("pod", value.pod)?,
            container: to_text("container", value.container)?,
            pod_uid: to_text("pod_uid", value.pod_uid)?,
            container_id: to_text("container_id", value.container_id)?,
            unit: to_text("unit", value.unit)?,
            image: to_text("image", value.image)?,
            image_id: to_text("image_id", value.image_id)?,
            image_arch: some_word("image_arch", &value.image_arch)?,
            workload: to_text("workload", value.workload)?,
            workload_from_api: value.workload_from_api,
            labels: value
                .labels
                .into_iter()
                .map(label)
                .collect::<Result<_, _>>()?,
            attempt: value.attempt,
            last_exit: value.last_exit.map(last_exit).transpose()?,
        })
    }
}

impl From<&Owner> for v1::Owner {
    fn from(Owner { cgroup, identity }: &Owner) -> Self {
        Self {
            cgroup: cgroup.clone(),
            identity: Some(identity.into()),
        }
    }
}

impl TryFrom<v1::Owner> for Owner {
    type Error = ConvertError;

    fn try_from(value: v1::Owner) -> Result<Self, ConvertError> {
        Ok(Self {
            cgroup: to_text("cgroup", value.cgroup)?,
            identity: required("identity", value.identity)?,
        })
    }
}
