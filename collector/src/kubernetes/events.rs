//! Events of Kubernetes about what happened in pods.
//!
//! What comes into the store is read as exports read it. Which of it becomes an Event, `facts::pod_event`
//! decides; a queue leads to the task that writes them, so that an API server that is slow or away holds
//! nothing else back. What the queue has no room for is counted and left out: the same happens again, or was
//! not worth the load.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use archtrace_export::{PositionError, Positions, Refusal, Sink, Taken};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::pod_event::{Decision, KEPT, Ledger, NoEvent, PodEvent};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::counts::{Dropped, Told};
use super::{Counts, Names};

/// Events that wait to be written, a kilobyte each: three minutes of what may come in the long run.
const QUEUE: usize = 1000;

/// How old something is by when the pod's name should be known. Names come from the container runtime, which
/// answers within a second unless it hangs.
const NAMED_WITHIN: Duration = Duration::from_secs(10);

/// Until it is looked whether it is.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How long the API server may take for one.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long one waits for an API server that is away.
const GIVE_UP: Duration = Duration::from_secs(600);

/// Between two tries; and after one that was forbidden, which somebody has to change first.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Who says so.
const COMPONENT: &str = "archtrace-collector";

/// How far events were told.
pub(super) fn positions(
    state: Option<&Path>,
    store_name: &str,
) -> Result<Positions, PositionError> {
    match state {
        Some(state) => Positions::open(&state.join("kubernetes.position"), store_name),
        None => Ok(Positions::in_memory(store_name)),
    }
}

/// What takes events, and what writes them.
pub(super) fn start(
    client: Client,
    names: Option<Arc<Names>>,
    counts: Arc<Counts>,
) -> (PodEvents, impl Future<Output = ()> + Send) {
    let (queue, queued) = mpsc::channel(QUEUE);
    let ledger: Arc<Mutex<Ledger>> = Arc::default();
    let sink = PodEvents {
        ledger: Arc::clone(&ledger),
        started: Instant::now(),
        early_since: None,
        names,
        counts: Arc::clone(&counts),
        queue,
    };
    let writer = Writer {
        client,
        ledger,
        counts,
        trouble: None,
    };
    (sink, writer.run(queued))
}

/// One that is to be written.
#[derive(Debug)]
struct Queued {
    event: PodEvent,
    is_new: bool,
    since: Instant,
}

/// Takes events.
#[derive(Debug)]
pub(super) struct PodEvents {
    ledger: Arc<Mutex<Ledger>>,
    started: Instant,
    /// Since when it was too early for what was to be taken.
    early_since: Option<Instant>,
    names: Option<Arc<Names>>,
    counts: Arc<Counts>,
    queue: mpsc::Sender<Queued>,
}

impl Sink for PodEvents {
    async fn send(&mut self, events: &[NodeEvent]) -> Result<Taken, Refusal> {
        let now = SystemTime::now();
        let told: Vec<_> = events.iter().map(PodEvent::of).collect();
        let is_early = told.iter().zip(events).any(|(told, event)| {
            // A clock that is ahead of ours is not waited for.
            let age = now.duration_since(event.record.time());
            *told == Err(NoEvent::NoName) && age.is_ok_and(|age| age < NAMED_WITHIN)
        });
        // What was refused comes again together with what is newer, which may be too early in turn: a pod whose
        // name nobody learns would hold back those of all others for as long as something happens in it.
        let waited = self.early_since.map(|since| since.elapsed());
        let is_enough = waited.is_some_and(|waited| waited >= NAMED_WITHIN);
        if is_early && !is_enough {
            self.early_since.get_or_insert_with(Instant::now);
            return Err(Refusal::Early { after: LOOK_AGAIN });
        }
        self.early_since = None;
        for told in told {
            match told {
                Ok(event) => self.take(event, now),
                Err(NoEvent::OtherKind) => {}
                Err(NoEvent::NoName) => self.counts.dropped(Dropped::NoName),
                Err(NoEvent::Invalid) => self.counts.dropped(Dropped::Invalid),
            }
        }
        Ok(Taken::default())
    }
}

impl PodEvents {
    fn take(&mut self, event: PodEvent, now: SystemTime) {
        let age = now.duration_since(event.time).unwrap_or_default();
        if age > KEPT {
            return self.counts.dropped(Dropped::Old);
        }
        // An agent speaks for its node only, but could name any pod.
        let names = self.names.as_ref();
        if names.and_then(|names| names.knows(&event.pod_uid)) == Some(false) {
            return self.counts.dropped(Dropped::UnknownPod);
        }
        let decided = ledger(&self.ledger).decide(&event, self.started.elapsed());
        let is_new = match decided {
            Decision::Create => true,
            Decision::Update => false,
            Decision::Merge => return self.counts.tell(Told::Merged),
            Decision::TooMany => return self.counts.dropped(Dropped::Rate),
        };
        let queued = Queued {
            event,
            is_new,
            since: Instant::now(),
        };
        if let Err(refused) = self.queue.try_send(queued) {
            ledger(&self.ledger).forget(&refused.into_inner().event);
            self.counts.dropped(Dropped::Queue);
        }
    }
}

/// Held for one decision, which leaves it whole.
fn ledger(shared: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why one was not written.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// The same may be taken later.
    Later(String),
    /// Never, unless somebody gives us the right.
    Forbidden(String),
    /// There is no such namespace any more.
    Gone,
    /// Never.
    Invalid(String),
}

struct Writer {
    client: Client,
    ledger: Arc<Mutex<Ledger>>,
    counts: Arc<Counts>,
    /// What was logged last: the same is not logged again.
    trouble: Option<String>,
}

impl Writer {
    async fn run(mut self, mut queued: mpsc::Receiver<Queued>) {
        while let Some(next) = queued.recv().await {
            self.deal_with(&next).await;
        }
    }

    async fn deal_with(&mut self, next: &Queued) {
        let mut pause = PAUSE;
        loop {
            let trouble = match self.write(next).await {
                Ok(told) => {
                    if self.trouble.take().is_some() {
                        tracing::info!("the Kubernetes API takes Events again");
                    }
                    return self.counts.tell(told);
                }
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Later(reason) => {
                    self.say(reason, "is away; Events wait a while");
                    if next.since.elapsed() > GIVE_UP {
                        return self.drop(next, Dropped::Away);
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Trouble::Forbidden(reason) => {
                    self.say(
                        reason,
                        "does not let us write Events: give the service account the rule apiGroups [\"\"], \
                         resources [events], verbs [create, patch], as deploy/rbac/collector-events.yaml does",
                    );
                    self.drop(next, Dropped::Forbidden);
                    return sleep(pause).await;
                }
                Trouble::Gone => return self.drop(next, Dropped::Gone),
                Trouble::Invalid(reason) => {
                    self.say(reason, "does not take an Event");
                    return self.drop(next, Dropped::Invalid);
                }
            }
        }
    }

    /// It was not written: the same is not taken for written when it happens again.
    fn drop(&self, next: &Queued, why: Dropped) {
        ledger(&self.ledger).forget(&next.event);
        self.counts.dropped(why);
    }

    fn say(&mut self, reason: String, what: &str) {
        if self.trouble.as_ref() != Some(&reason) {
            tracing::warn!(reason, "the Kubernetes API {what}");
            self.trouble = Some(reason);
        }
    }

    /// Makes the Event, or brings it up to date; whichever is right, as another collector may have made it,
    /// and it may be gone since.
    async fn write(&self, next: &Queued) -> Result<Told, Trouble> {
        let event = &next.event;
        let events: Api<Event> = Api::namespaced(self.client.clone(), &event.namespace);
        let whole: Event = serde_json::from_value(whole(event))
            .map_err(|error| Trouble::Invalid(error.to_string()))?;
        let change = change(event);
        let mut is_new = next.is_new;
        // One way, the other, and the first again.
        for _ in 0..3 {
            let written = async {
                if is_new {
                    return events.create(&PostParams::default(), &whole).await;
                }
                let patch = Patch::Merge(&change);
                events
                    .patch(&event.name, &PatchParams::default(), &patch)
                    .await
            };
            let answer = timeout(ANSWER_WITHIN, written).await;
            let refused = match answer {
                Ok(Ok(_)) if is_new => return Ok(Told::Created),
                Ok(Ok(_)) => return Ok(Told::Updated),
                Ok(Err(kube::Error::Api(status))) => status,
                Ok(Err(error)) => return Err(Trouble::Later(error.to_string())),
                Err(_) => return Err(Trouble::Later(format!("no answer in {ANSWER_WITHIN:?}"))),
            };
            match (refused.code, is_new) {
                (409, true) | (404, false) => is_new = !is_new,
                _ => return Err(trouble(&refused, is_new)),
            }
        }
        Err(Trouble::Later("the Event comes and goes".to_owned()))
    }
}

fn trouble(refused: &Status, is_new: bool) -> Trouble {
    let reason = || format!("{} ({})", refused.message, refused.code);
    match refused.code {
        404 if is_new => Trouble::Gone,
        // `ForbidsNewContent` of a namespace that is being deleted comes as a missing right.
        403 if refused.message.contains("being terminated") => Trouble::Gone,
        401 | 403 => Trouble::Forbidden(reason()),
        400 | 413 | 422 => Trouble::Invalid(reason()),
        _ => Trouble::Later(reason()),
    }
}

/// An Event of core/v1, which every version of Kubernetes and of kubectl knows.
fn whole(event: &PodEvent) -> serde_json::Value {
    let at = at(event.time);
    json!({
        "metadata": { "name": event.name, "namespace": event.namespace },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": event.namespace,
            "name": event.pod,
            "uid": event.pod_uid,
        },
        "type": "Warning",
        "reason": event.reason.as_str(),
        "message": event.message,
        "count": count(event),
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": { "component": COMPONENT },
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
    })
}

/// What changes of one that is there.
fn change(event: &PodEvent) -> serde_json::Value {
    json!({
        "message": event.message,
        "count": count(event),
        "lastTimestamp": at(event.time),
    })
}

/// The API has 31 bits for it.
fn count(event: &PodEvent) -> i32 {
    i32::try_from(event.count).unwrap_or(i32::MAX)
}

/// Seconds, as `metav1.Time` has them.
fn at(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
