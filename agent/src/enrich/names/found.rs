//! What was found out of a container.

use std::sync::Arc;

use archtrace_facts::arch::Arch;
use archtrace_facts::identity::{Identity, LastExit};
use archtrace_facts::text::escape;

use super::pod::Pod;

/// Longest text that is kept. Names of Kubernetes have 253 characters, keys of labels 317; references of
/// images are longer only where somebody tries.
pub(crate) const MAX_TEXT: usize = 512;

/// What the cgroup's path says: the part of an [`Identity`] that names are looked up by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) pod_uid: String,
    pub(crate) container_id: String,
    pub(crate) unit: String,
}

impl From<&Identity> for Place {
    fn from(path: &Identity) -> Self {
        Self {
            pod_uid: path.pod_uid.clone(),
            container_id: path.container_id.clone(),
            unit: path.unit.clone(),
        }
    }
}

/// What was found out of a container, or of a pod as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) source: Source,
    pub(crate) pod: Arc<Pod>,
    pub(crate) container: String,
    pub(crate) image: String,
    pub(crate) image_id: String,
    pub(crate) image_arch: Option<Arch>,
    pub(crate) attempt: u32,
    pub(crate) last_exit: Option<LastExit>,
}

/// Who told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Names of files, which tell less than the runtime.
    Logs,
    /// The runtime.
    Runtime,
}

impl Found {
    /// A pod and nothing more.
    pub(crate) fn pod(source: Source, pod: Arc<Pod>) -> Self {
        Self {
            source,
            pod,
            container: String::new(),
            image: String::new(),
            image_id: String::new(),
            image_arch: None,
            attempt: 0,
            last_exit: None,
        }
    }

    /// Whether this can be the container at `place`. A cgroup may be called by anybody's id; the pod it
    /// lies in cannot be chosen.
    pub(crate) fn fits(&self, place: &Place) -> bool {
        place.pod_uid.is_empty() || self.pod.uid.is_empty() || place.pod_uid == self.pod.uid
    }

    /// Whose the cgroup at `place` is.
    pub(crate) fn identity(&self, place: &Place) -> Identity {
        let Self {
            source: _,
            pod,
            container,
            image,
            image_id,
            image_arch,
            attempt,
            last_exit,
        } = self;
        let pod_uid = match &*place.pod_uid {
            "" => &pod.uid,
            known => known,
        };
        Identity {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            container: container.clone(),
            pod_uid: pod_uid.to_owned(),
            container_id: place.container_id.clone(),
            unit: place.unit.clone(),
            image: image.clone(),
            image_id: image_id.clone(),
            image_arch: *image_arch,
            workload: pod.workload.clone(),
            workload_from_api: false,
            labels: pod.labels.clone(),
            attempt: *attempt,
            last_exit: last_exit.clone(),
        }
    }
}

/// A text of somebody else's: printable, and of a length that is no nuisance.
pub(crate) fn short(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    let mut text = escape(&text.as_bytes()[..end]);
    // Escapes are longer than what they stand for.
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}
