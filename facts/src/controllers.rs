//! What pods belong to, by the references to owners that the Kubernetes API tells.
//!
//! A pod names the object that controls it (`metadata.ownerReferences`, the one with `controller: true`).
//! A ReplicaSet and a Job are made by something that people know: their own owner is what counts, a
//! Deployment, a Rollout, a CronJob. What owns those in turn is not looked for.

mod object;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::text::escape;
pub use object::{Kind, NoUid, Object, Reference, Skipped, Uid};

/// Pods that are remembered: three times what 10,000 nodes have with 30 each.
pub const MAX_PODS: usize = 1_000_000;

/// ReplicaSets, Jobs and what else controls pods: a Deployment keeps ten old ReplicaSets
/// (`revisionHistoryLimit`).
pub const MAX_CONTROLLERS: usize = 1_000_000;

/// All pods, and what they belong to.
///
/// ```
/// use archtrace_facts::controllers::{Controllers, Kind, Object, Reference};
///
/// let (pod, set) = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002");
/// let by = |kind, name, uid| Some(Reference { kind, name, uid });
/// let mut known = Controllers::default();
/// let controller = by("ReplicaSet", "api-7c9", set);
/// known.put(Kind::Pod, &Object { uid: pod, name: "api-7c9-x2k4z", controller, is_mirror: false }).expect("valid");
/// assert_eq!(known.workload(pod, "api-7c9-x2k4z"), None, "whose the ReplicaSet is, nobody said yet");
/// let controller = by("Deployment", "api", "00000000-0000-4000-8000-000000000003");
/// known.put(Kind::ReplicaSet, &Object { uid: set, name: "api-7c9", controller, is_mirror: false }).expect("valid");
/// assert_eq!(known.workload(pod, "api-7c9-x2k4z").as_deref(), Some("Deployment/api"));
/// ```
#[derive(Debug)]
pub struct Controllers {
    pods: HashMap<Uid, Pod>,
    controllers: HashMap<Uid, Controller>,
    /// Each text once: all ReplicaSets of a Deployment have the same.
    texts: HashSet<Arc<str>>,
    /// Pods that are gone, since [`Controllers::forget`] was called last, and before.
    leaving: Vec<Uid>,
    left: Vec<Uid>,
    /// Of each kind, which list is the newest.
    lists: [u8; Kind::ALL.len()],
    max_pods: usize,
    max_controllers: usize,
}

/// 36 bytes with its UID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pod {
    controller: Option<Uid>,
    list: u8,
    is_leaving: bool,
    /// Whoever may create pods may write any UID into the annotation that makes one a mirror.
    is_mirror: bool,
}

#[derive(Debug, Default)]
struct Controller {
    /// What its pods belong to; `None` until it was told.
    workload: Option<Arc<str>>,
    /// How many pods name it.
    pods: u32,
    list: u8,
    /// Whether its own kind is watched, and it is there.
    is_told: bool,
}

impl Default for Controllers {
    fn default() -> Self {
        Self::with_limits(MAX_PODS, MAX_CONTROLLERS)
    }
}

impl Controllers {
    fn with_limits(max_pods: usize, max_controllers: usize) -> Self {
        Self {
            pods: HashMap::new(),
            controllers: HashMap::new(),
            texts: HashSet::new(),
            leaving: Vec::new(),
            left: Vec::new(),
            lists: [0; Kind::ALL.len()],
            max_pods,
            max_controllers,
        }
    }

    /// What the pod belongs to, as kind and name; `None` while that is not known. `name` is the pod's: one
    /// that nothing controls is its own workload.
    #[must_use]
    pub fn workload(&self, pod_uid: &str, name: &str) -> Option<String> {
        let pod = self.pods.get(&pod_uid.parse().ok()?)?;
        match pod.controller {
            None => (!name.is_empty()).then(|| format!("Pod/{name}")),
            Some(uid) => Some(self.controllers.get(&uid)?.workload.as_deref()?.to_owned()),
        }
    }

    /// Whether the API knows, or knew a while ago, a pod with this UID.
    #[must_use]
    pub fn knows(&self, pod_uid: &str) -> bool {
        pod_uid
            .parse()
            .is_ok_and(|uid| self.pods.contains_key(&uid))
    }

    /// Whether pods belong to this controller, and nobody told yet what it belongs to.
    #[must_use]
    pub fn awaits(&self, controller_uid: &str) -> bool {
        let known = controller_uid.parse().ok();
        let known = known.and_then(|uid: Uid| self.controllers.get(&uid));
        known.is_some_and(|known| known.workload.is_none())
    }

    /// How many pods there are, those that are gone for a while only included.
    #[must_use]
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    /// About how many bytes all this takes: tables double when they are seven eighths full, and have a byte
    /// more for each place.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let places = |capacity: usize| capacity / 7 * 8;
        let texts = self.texts.iter().map(|text| text.len() + 16);
        places(self.pods.capacity()) * (size_of::<(Uid, Pod)>() + 1)
            + places(self.controllers.capacity()) * (size_of::<(Uid, Controller)>() + 1)
            + places(self.texts.capacity()) * (size_of::<Arc<str>>() + 1)
            + texts.sum::<usize>()
            + (self.leaving.capacity() + self.left.capacity()) * size_of::<Uid>()
    }

    /// A list of all objects of a kind begins: what it will not name is gone.
    pub fn begin(&mut self, kind: Kind) {
        let list = &mut self.lists[kind as usize];
        *list = list.wrapping_add(1);
    }

    /// The list has ended.
    pub fn end(&mut self, kind: Kind) {
        let list = self.lists[kind as usize];
        if kind == Kind::Pod {
            for (uid, pod) in &mut self.pods {
                if pod.list != list && !pod.is_leaving {
                    pod.is_leaving = true;
                    self.leaving.push(*uid);
                }
            }
            return;
        }
        let is_gone = |known: &Controller| {
            let is_of_kind = known.is_told && of_kind(known.list) == kind as u8;
            is_of_kind && known.list != stamp(kind, list)
        };
        let all = self.controllers.iter();
        let gone = all.filter(|(_, known)| is_gone(known)).map(|(uid, _)| *uid);
        let gone: Vec<Uid> = gone.collect();
        gone.into_iter().for_each(|uid| self.drop_told(uid));
    }

    /// An object is there, or has changed. Returns whether that is news of it.
    ///
    /// # Errors
    /// If it is not remembered.
    pub fn put(&mut self, kind: Kind, object: &Object<'_>) -> Result<bool, Skipped> {
        let uid: Uid = object.uid.parse().map_err(|NoUid| Skipped::Invalid)?;
        if !object.has_names() {
            return Err(Skipped::Invalid);
        }
        match kind {
            Kind::Pod => self.put_pod(uid, object),
            Kind::ReplicaSet | Kind::Job => self.put_controller(kind, uid, object),
        }
    }

    /// An object is gone; `is_mirror` is that of [`Object`]. A pod stays for a while, so that what is told of it late still finds it; what it
    /// belongs to stays as long as it does.
    pub fn remove(&mut self, kind: Kind, uid: &str, is_mirror: bool) {
        let Ok(uid) = uid.parse() else {
            return;
        };
        if kind != Kind::Pod {
            return self.drop_told(uid);
        }
        if let Some(pod) = self.pods.get_mut(&uid)
            && !pod.is_leaving
            && pod.is_mirror == is_mirror
        {
            pod.is_leaving = true;
            self.leaving.push(uid);
        }
    }

    /// Forgets pods that were gone already when this was called last. The caller says by this how long they
    /// are remembered.
    pub fn forget(&mut self) {
        let left = std::mem::replace(&mut self.left, std::mem::take(&mut self.leaving));
        for uid in left {
            if let Some(pod) = self.pods.get(&uid)
                && pod.is_leaving
            {
                let controller = pod.controller;
                self.pods.remove(&uid);
                self.release(controller);
            }
        }
    }

    fn put_pod(&mut self, uid: Uid, object: &Object<'_>) -> Result<bool, Skipped> {
        let controller = match object.controller {
            Some(by) => Some((by.uid.parse::<Uid>().map_err(|NoUid| Skipped::Invalid)?, by)),
            None => None,
        };
        let list = self.lists[Kind::Pod as usize];
        let new = Pod {
            controller: controller.map(|(uid, _)| uid),
            list,
            is_leaving: false,
            is_mirror: object.is_mirror,
        };
        let had = self.pods.get(&uid).copied();
        if new.is_mirror && had.is_some_and(|had| !had.is_mirror) {
            return Err(Skipped::Invalid);
        }
        if had.is_some_and(|had| had.controller == new.controller) {
            self.pods.insert(uid, new);
            return Ok(false);
        }
        if had.is_none() && self.pods.len() >= self.max_pods {
            return Err(Skipped::Full);
        }
        if let Some((controller, by)) = controller {
            self.hold(controller, by)?;
        }
        self.pods.insert(uid, new);
        self.release(had.and_then(|had| had.controller));
        Ok(true)
    }

    /// One more pod names this.
    fn hold(&mut self, uid: Uid, by: Reference<'_>) -> Result<(), Skipped> {
        let is_new = !self.controllers.contains_key(&uid);
        if is_new && self.controllers.len() >= self.max_controllers {
            return Err(Skipped::Full);
        }
        // What ReplicaSets and Jobs belong to, they tell themselves.
        let tells = [Kind::ReplicaSet, Kind::Job]
            .map(Kind::as_str)
            .contains(&by.kind);
        let workload = (is_new && !tells).then(|| self.text(by.kind, by.name));
        let known = self.controllers.entry(uid).or_default();
        known.pods = known.pods.saturating_add(1);
        if is_new {
            known.workload = workload;
        }
        Ok(())
    }

    /// One pod less names it.
    fn release(&mut self, controller: Option<Uid>) {
        let Some(uid) = controller else {
            return;
        };
        if let Some(known) = self.controllers.get_mut(&uid) {
            known.pods = known.pods.saturating_sub(1);
            if known.pods == 0 && !known.is_told {
                self.drop_controller(uid);
            }
        }
    }

    fn put_controller(
        &mut self,
        kind: Kind,
        uid: Uid,
        object: &Object<'_>,
    ) -> Result<bool, Skipped> {
        let is_new = !self.controllers.contains_key(&uid);
        if is_new && self.controllers.len() >= self.max_controllers {
            return Err(Skipped::Full);
        }
        let (by_kind, name) = match object.controller {
            Some(by) => (by.kind, by.name),
            None => (kind.as_str(), object.name),
        };
        let workload = self.text(by_kind, name);
        let list = stamp(kind, self.lists[kind as usize]);
        let known = self.controllers.entry(uid).or_default();
        (known.list, known.is_told) = (list, true);
        if known.workload.as_ref() == Some(&workload) {
            return Ok(false);
        }
        let had = known.workload.replace(workload);
        self.drop_text(had);
        Ok(true)
    }

    /// It is gone from the API, and stays for its pods.
    fn drop_told(&mut self, uid: Uid) {
        if let Some(known) = self.controllers.get_mut(&uid) {
            known.is_told = false;
            if known.pods == 0 {
                self.drop_controller(uid);
            }
        }
    }

    fn drop_controller(&mut self, uid: Uid) {
        let known = self.controllers.remove(&uid);
        self.drop_text(known.and_then(|known| known.workload));
    }

    fn text(&mut self, kind: &str, name: &str) -> Arc<str> {
        let text = escape(format!("{kind}/{name}").as_bytes());
        if let Some(known) = self.texts.get(text.as_str()) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }

    fn drop_text(&mut self, text: Option<Arc<str>>) {
        // This one and that of the table.
        if let Some(text) = text
            && Arc::strong_count(&text) == 2
        {
            self.texts.remove(&text);
        }
    }
}

/// Which list of which kind named a controller last, in one byte: there is never more than one list of a
/// kind at a time, so that seven bits tell the newest from those before.
fn stamp(kind: Kind, list: u8) -> u8 {
    (list << 1) | u8::from(kind == Kind::Job)
}

/// The kind in a [`stamp`].
fn of_kind(stamp: u8) -> u8 {
    if stamp & 1 == 1 {
        Kind::Job as u8
    } else {
        Kind::ReplicaSet as u8
    }
}

#[cfg(test)]
mod tests;
