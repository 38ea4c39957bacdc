//! Follows pods and what controls them, and names what is stored.
//!
//! Metadata only: neither what is in a pod's containers nor how they do. What controls pods is read first, so
//! that nearly every pod has a name when it is read.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use archtrace_facts::controllers::{Kind, Object, Reference, Skipped};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::waiting::Waiting;
use super::{Counts, Names, watch};
use crate::store::Store;

/// How often names that are due are stored.
const TICK: Duration = Duration::from_secs(1);

/// How long pods wait for what controls them to be read, should the API not let us, or not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two reads of all pods for those that were given up: they are a load for the API server.
const BEGIN_AGAIN: Duration = Duration::from_secs(60);

/// How long a pod is remembered that is gone, at least: agents may tell of it late.
const REMEMBER: Duration = Duration::from_secs(600);

/// A static pod's UID as its node knows it: the API has another one for its mirror
/// (`ConfigMirrorAnnotationKey`, pkg/kubelet/types/pod_update.go).
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Follows them for ever.
pub(super) async fn follow<S: Store>(
    client: Client,
    names: Arc<Names>,
    counts: Arc<Counts>,
    store: Arc<S>,
) {
    let mut sets = Source::of::<ReplicaSet>(&client, Kind::ReplicaSet);
    let mut jobs = Source::of::<Job>(&client, Kind::Job);
    let mut pods = Source::of::<Pod>(&client, Kind::Pod);
    let mut known = Known {
        names,
        counts,
        waiting: Waiting::default(),
        began_again: None,
        said: Vec::new(),
    };
    let started = Instant::now();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut forget = interval(REMEMBER);
    let mut failing = false;
    loop {
        let is_prepared = sets.is_read && jobs.is_read || started.elapsed() > PATIENCE;
        tokio::select! {
            told = sets.events.next() => known.take(&mut sets, told),
            told = jobs.events.next() => known.take(&mut jobs, told),
            told = pods.events.next(), if is_prepared && known.waiting.has_room() => {
                known.take(&mut pods, told);
            }
            _ = forget.tick() => known.names.write().forget(),
            _ = tick.tick() => {
                known.counts.set_pods(known.names.read().pods());
                let stored = known.waiting.store(&*store, &known.names, &known.counts).await;
                if let Err(error) = &stored && !failing {
                    tracing::error!(%error, "cannot store what pods belong to; trying again");
                }
                failing = stored.is_err();
                let controllers = || sets.has_news() | jobs.has_news();
                if known.begins_again(Instant::now(), controllers) {
                    // What those that were given up belong to may be known now.
                    pods = Source { is_read: pods.is_read, ..Source::of::<Pod>(&client, Kind::Pod) };
                    pods.all_is_news = true;
                }
            }
        }
    }
}

/// What is told of objects of one kind.
struct Source {
    kind: Kind,
    events: BoxStream<'static, Result<Event<ObjectMeta>, watcher::Error>>,
    /// Whether all were read once.
    is_read: bool,
    /// All were read since somebody asked last, or one was told that pods waited for.
    was_told: bool,
    /// What is known already is to be stored too, until all were read.
    all_is_news: bool,
    /// What was logged last: the same is not logged again.
    trouble: Option<String>,
}

impl Source {
    fn of<K>(client: &Client, kind: Kind) -> Self
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let events = watch::metadata::<K>(client).map(|told| {
            told.map(|event| match event {
                Event::Init => Event::Init,
                Event::InitApply(object) => Event::InitApply(object.metadata),
                Event::InitDone => Event::InitDone,
                Event::Apply(object) => Event::Apply(object.metadata),
                Event::Delete(object) => Event::Delete(object.metadata),
            })
        });
        Self {
            kind,
            events: events.boxed(),
            is_read: false,
            was_told: false,
            all_is_news: false,
            trouble: None,
        }
    }

    fn has_news(&mut self) -> bool {
        std::mem::take(&mut self.was_told)
    }

    fn failed(&mut self, error: &watcher::Error) {
        let resource = self.kind.resource();
        let told = error.to_string();
        if self.trouble.as_ref() == Some(&told) {
            return;
        }
        if watch::is_forbidden(error) {
            let group = match self.kind {
                Kind::Pod => "",
                Kind::ReplicaSet => "apps",
                Kind::Job => "batch",
            };
            tracing::warn!(
                error = told,
                "the Kubernetes API does not let us watch {resource}: give the service account the rule \
                 apiGroups [\"{group}\"], resources [{resource}], verbs [list, watch], as \
                 deploy/rbac/collector.yaml does; until then workloads are what labels say"
            );
        } else {
            tracing::warn!(
                error = told,
                "cannot watch {resource}: what is known of them stays, and it is tried again"
            );
        }
        self.trouble = Some(told);
    }
}

struct Known {
    names: Arc<Names>,
    counts: Arc<Counts>,
    waiting: Waiting,
    /// When all pods were last read again for those that were given up.
    began_again: Option<Instant>,
    /// Why objects were skipped, as far as that was logged.
    said: Vec<Skipped>,
}

impl Known {
    fn take(
        &mut self,
        source: &mut Source,
        told: Option<Result<Event<ObjectMeta>, watcher::Error>>,
    ) {
        let kind = source.kind;
        let event = match told {
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                self.counts.error(kind);
                return source.failed(&error);
            }
            // It never ends.
            None => return,
        };
        // That a list begins says nothing of how it goes.
        if !matches!(event, Event::Init) && source.trouble.take().is_some() {
            tracing::info!("the Kubernetes API tells of {} again", kind.resource());
        }
        match event {
            Event::Init => self.names.write().begin(kind),
            Event::InitApply(object) => {
                self.put(kind, object, source.all_is_news);
            }
            // A connection that was silent for long tells of it only now, and no list comes.
            Event::Apply(object) => {
                source.was_told |= self.put(kind, object, source.all_is_news);
            }
            Event::InitDone => {
                self.names.write().end(kind);
                self.listed(source);
            }
            Event::Delete(object) => {
                let (uid, is_mirror) = (uid(kind, &object), is_mirror(kind, &object));
                self.names.write().remove(kind, uid, is_mirror);
            }
        }
    }

    /// Whether all pods are to be read again, as something was told of controllers since some were given up.
    fn begins_again(&mut self, now: Instant, has_news: impl FnOnce() -> bool) -> bool {
        let lately = self
            .began_again
            .is_some_and(|at| now.duration_since(at) < BEGIN_AGAIN);
        // News is kept until then.
        let begins = !lately && has_news() && std::mem::take(&mut self.waiting.gave_up);
        if begins {
            self.began_again = Some(now);
        }
        begins
    }

    fn listed(&mut self, source: &mut Source) {
        if source.is_read {
            self.counts.restart(source.kind);
        } else if source.kind == Kind::Pod {
            let (pods, bytes) = {
                let known = self.names.read();
                (known.pods(), known.bytes())
            };
            tracing::info!(
                pods,
                bytes,
                "names of workloads come from the Kubernetes API"
            );
        }
        if source.kind == Kind::Pod {
            self.names.set_whole();
        }
        (source.is_read, source.was_told, source.all_is_news) = (true, true, false);
    }

    /// Whether it is what pods waited for.
    fn put(&mut self, kind: Kind, object: ObjectMeta, is_news: bool) -> bool {
        let is_mirror = is_mirror(kind, &object);
        let references = object.owner_references.iter().flatten();
        let mut controllers = references.filter(|by| by.controller == Some(true) && !is_mirror);
        let controller = controllers.next().map(|by| Reference {
            kind: &by.kind,
            name: &by.name,
            uid: &by.uid,
        });
        let uid = uid(kind, &object).to_owned();
        let told = Object {
            uid: &uid,
            name: object.name.as_deref().unwrap_or_default(),
            controller,
            is_mirror,
        };
        let (is_awaited, put) = {
            let mut known = self.names.write();
            (known.awaits(&uid), known.put(kind, &told))
        };
        let is_told = is_awaited && put == Ok(true);
        match put {
            Ok(changed) if kind == Kind::Pod && (changed || is_news) => {
                let namespace = object.namespace.unwrap_or_default();
                self.waiting
                    .add(namespace, object.name.unwrap_or_default(), uid);
            }
            Ok(_) => {}
            Err(why) => self.skipped(kind, why),
        }
        is_told
    }

    fn skipped(&mut self, kind: Kind, why: Skipped) {
        self.counts.skipped(why);
        if self.said.contains(&why) {
            return;
        }
        self.said.push(why);
        let resource = kind.resource();
        match why {
            Skipped::Full => tracing::warn!(
                "the cluster has more {resource} than are remembered: workloads of the others are what \
                 labels say; archtrace_collector_kubernetes_skipped_total counts them"
            ),
            Skipped::Invalid => {
                tracing::warn!(
                    "the Kubernetes API tells of {resource} without valid names, or with those of others; left out"
                );
            }
        }
    }
}

fn is_mirror(kind: Kind, object: &ObjectMeta) -> bool {
    let annotations = object.annotations.as_ref();
    kind == Kind::Pod && annotations.is_some_and(|known| known.contains_key(MIRROR))
}

/// As the node knows it.
fn uid(kind: Kind, object: &ObjectMeta) -> &str {
    let annotations = object.annotations.as_ref();
    let mirrored = annotations.and_then(|known| known.get(MIRROR));
    let mirrored = mirrored.filter(|_| kind == Kind::Pod);
    mirrored.or(object.uid.as_ref()).map_or("", |uid| uid)
}

#[cfg(test)]
mod tests;
