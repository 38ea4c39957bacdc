//! What is known of pods, shared by the watch that learns it and the streams of agents that want to know.

#[cfg(feature = "kubernetes")]
use std::sync::RwLockWriteGuard;
#[cfg(feature = "kubernetes")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use archtrace_facts::controllers::Controllers;
use archtrace_facts::report::Owner;

/// What pods belong to.
#[derive(Debug, Default)]
pub(crate) struct Names {
    controllers: RwLock<Controllers>,
    #[cfg(feature = "kubernetes")]
    is_whole: AtomicBool,
}

impl Names {
    /// Locks are held for one look or one change, each of which leaves things whole.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Controllers> {
        self.controllers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(feature = "kubernetes")]
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Controllers> {
        self.controllers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All pods were read once.
    #[cfg(feature = "kubernetes")]
    pub(super) fn set_whole(&self) {
        self.is_whole.store(true, Ordering::Relaxed);
    }

    /// Whether the API has a pod with this UID; `None` until all were read once.
    #[cfg(feature = "kubernetes")]
    pub(super) fn knows(&self, pod_uid: &str) -> Option<bool> {
        let is_whole = self.is_whole.load(Ordering::Relaxed);
        is_whole.then(|| self.read().knows(pod_uid))
    }
}

/// Names the workloads of what an agent tells, as far as the API is known to say. What agents say about
/// where a name is from does not count.
pub(crate) fn name(names: Option<&Names>, owners: &mut [Owner]) {
    if owners.is_empty() {
        return;
    }
    let known = names.map(Names::read);
    for Owner { identity, .. } in owners {
        let known = known.as_ref();
        let workload = known.and_then(|known| known.workload(&identity.pod_uid, &identity.pod));
        identity.workload_from_api = workload.is_some();
        if let Some(workload) = workload {
            identity.workload = workload;
        }
    }
}

#[cfg(test)]
mod tests {
    use archtrace_facts::identity::Identity;

    use super::*;

    /// Where nothing is known, labels count, and nobody else says that it was the API.
    #[test]
    fn an_agent_cannot_speak_for_the_api() {
        for names in [None, Some(&Names::default())] {
            let mut owners = [Owner {
                cgroup: "/a".to_owned(),
                identity: Identity {
                    workload: "Deployment/api".to_owned(),
                    workload_from_api: true,
                    ..Identity::default()
                },
            }];
            name(names, &mut owners);
            let identity = &owners[0].identity;
            assert_eq!(identity.workload, "Deployment/api");
            assert!(!identity.workload_from_api);
        }
    }
}
