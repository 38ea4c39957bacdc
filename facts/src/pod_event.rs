//! What `kubectl describe pod` shows of what happened in a pod: which events become Events of Kubernetes,
//! under which name, and how often.
//!
//! An Event costs the whole cluster something, so there are few: one for each pod, reason and binary, told
//! again only when [`AGAIN`] has passed, and no more than [`PER_SECOND`] in the long run, of which a pod has
//! no more than a tenth. Its name follows from what it is about, so that several collectors write one Event
//! and not one each.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::fact::{Event, EventKind};
use crate::fleet::NodeEvent;
use crate::report::Record;
use crate::sentence::sentence;

/// How long until an Event is brought up to date: Kubernetes' own components do so every five minutes for one
/// object (`defaultSpamQPS` of client-go's tools/record/events_cache.go).
pub const AGAIN: Duration = Duration::from_secs(300);

/// How long an API server keeps Events unless it is told otherwise (`--event-ttl`). What is older is not worth
/// one.
pub const KEPT: Duration = Duration::from_secs(3600);

/// Writes in the long run, over all pods: a rollout of emulated pods must not be a load for the API server.
pub const PER_SECOND: u32 = 5;

/// Writes at once.
pub const BURST: u32 = 100;

/// What one pod may have of [`PER_SECOND`] and of [`BURST`]: one part of so many. Who starts thousands of files
/// in one pod takes nothing from others.
pub const SHARES: u32 = 10;

/// Pods whose shares are not whole: each was written to, so that [`BURST`] and what comes in the 20 seconds in
/// which a share is whole again are 200. Each takes some 100 bytes.
const MAX_SHARES: usize = 1000;

/// Series that are remembered: as many as [`PER_SECOND`] allows in [`KEPT`], and a few more. Each takes some
/// 100 bytes.
const MAX_SERIES: usize = 20_000;

/// Bytes of a message (`NoteLengthLimit` of pkg/apis/core/validation/events.go).
const MAX_MESSAGE: usize = 1024;

/// Bytes of a pod's name within that of its Event: names of objects have 253 at most, and 17 come behind.
const MAX_PREFIX: usize = 230;

/// `errno(3)`.
const ENOEXEC: i32 = 8;

/// Why there is an Event, as its `reason` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A binary was started under an emulator.
    EmulatedExec,
    /// The kernel knows no way to execute a file.
    ExecFormatError,
    /// A process died of SIGILL.
    IllegalInstruction,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::EmulatedExec,
        Self::ExecFormatError,
        Self::IllegalInstruction,
    ];

    /// As people see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmulatedExec => "EmulatedExec",
            Self::ExecFormatError => "ExecFormatError",
            Self::IllegalInstruction => "IllegalInstruction",
        }
    }

    fn of(event: &Event) -> Option<Self> {
        match event.kind {
            EventKind::EmulatedExec => Some(Self::EmulatedExec),
            EventKind::IllegalInstruction => Some(Self::IllegalInstruction),
            // Whatever else fails names its error itself, or is found by whoever tried.
            EventKind::FailedExec => (event.errno == ENOEXEC).then_some(Self::ExecFormatError),
        }
    }
}

/// What an Event of Kubernetes says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodEvent {
    /// Its own name: that of the pod, and 16 hex digits of what it is about.
    pub name: String,
    /// Namespace of the pod, and so of the Event.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod.
    pub pod_uid: String,
    /// Why.
    pub reason: Reason,
    /// One sentence; nothing of any arguments.
    pub message: String,
    /// How often the agent has seen it so far; 1 at least.
    pub count: u64,
    /// When it happened last.
    pub time: SystemTime,
}

/// Why something that happened becomes no Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEvent {
    /// It is of no such kind, or did not happen in a pod.
    OtherKind,
    /// It is not known yet which pod it was.
    NoName,
    /// A name is none that the API gives. They go into a URL.
    Invalid,
}

impl PodEvent {
    /// What is to be said of something that happened.
    ///
    /// # Errors
    /// If nothing is.
    pub fn of(happened: &NodeEvent) -> Result<Self, NoEvent> {
        let Record::Event(event) = &happened.record else {
            return Err(NoEvent::OtherKind);
        };
        let identity = &happened.identity;
        let reason = Reason::of(event).filter(|_| !identity.pod_uid.is_empty());
        let reason = reason.ok_or(NoEvent::OtherKind)?;
        let (namespace, pod) = (&identity.namespace, &identity.pod);
        if namespace.is_empty() || pod.is_empty() {
            return Err(NoEvent::NoName);
        }
        if !is_label(namespace) || !is_subdomain(pod) {
            return Err(NoEvent::Invalid);
        }
        let binary = event.key.shown_binary();
        let container = &identity.container;
        let place = if container.is_empty() {
            String::new()
        } else {
            format!("container {container}: ")
        };
        let message = format!("{place}{binary}: {}", sentence(happened));
        Ok(Self {
            name: name(
                pod,
                &[&identity.pod_uid, reason.as_str(), &event.key.binary],
            ),
            namespace: namespace.clone(),
            pod: pod.clone(),
            pod_uid: identity.pod_uid.clone(),
            reason,
            message: cut(message),
            count: event.count.max(1),
            time: event.time,
        })
    }
}

/// The same for the same things, and for no others: what tells them apart is hashed with a NUL behind each
/// part, which none can hold. A cryptographic hash, because containers choose their files' names.
fn name(pod: &str, parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
        hasher.update([0]);
    }
    let digits: String = hasher.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // It is ASCII. Each part of a name ends as it begins: with a letter or a digit.
    let prefix = pod.get(..MAX_PREFIX).unwrap_or(pod);
    format!("{}.{digits}", prefix.trim_end_matches(['-', '.']))
}

fn cut(mut message: String) -> String {
    const MORE: &str = "...";
    if message.len() > MAX_MESSAGE {
        let end = message.floor_char_boundary(MAX_MESSAGE - MORE.len());
        message.truncate(end);
        message.push_str(MORE);
    }
    message
}

/// RFC 1123, as Kubernetes has it for namespaces.
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

/// RFC 1123, as Kubernetes has it for pods: parts may be longer than those of a domain.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let is_in = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_open = text.is_empty() || text.starts_with('-') || text.ends_with('-');
    !is_open && text.bytes().all(is_in)
}

/// What is to be done about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Make it.
    Create,
    /// It was made before: bring it up to date.
    Update,
    /// It was written a while ago: the next time says this too.
    Merge,
    /// There were too many lately. It may come again.
    TooMany,
}

/// What was written lately. Times are since any fixed moment.
#[derive(Debug)]
pub struct Ledger {
    series: HashMap<String, Duration>,
    all: Bucket,
    /// By the UIDs of pods; one that is not here is whole.
    shares: HashMap<String, Bucket>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            series: HashMap::new(),
            all: Bucket::full(1),
            shares: HashMap::new(),
        }
    }
}

/// Writes that may be made.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    as_of: Duration,
    /// Which part of all this is.
    part: u32,
}

impl Bucket {
    fn full(part: u32) -> Self {
        Self {
            tokens: f64::from(BURST) / f64::from(part),
            as_of: Duration::ZERO,
            part,
        }
    }

    /// As it is at `now`.
    fn at(self, now: Duration) -> Self {
        let passed = now.saturating_sub(self.as_of).as_secs_f64();
        let part = f64::from(self.part);
        let more = passed * f64::from(PER_SECOND) / part;
        Self {
            tokens: (self.tokens + more).min(f64::from(BURST) / part),
            as_of: now.max(self.as_of),
            part: self.part,
        }
    }

    /// With a write less, if there is one.
    fn less(self) -> Option<Self> {
        let tokens = self.tokens - 1.0;
        (tokens >= 0.0).then_some(Self { tokens, ..self })
    }

    fn is_full(self, now: Duration) -> bool {
        self.at(now).tokens >= Self::full(self.part).tokens
    }
}

impl Ledger {
    /// Decides about one, at `now`.
    pub fn decide(&mut self, event: &PodEvent, now: Duration) -> Decision {
        let written = self.series.get(&event.name).copied();
        if written.is_some_and(|at| now.saturating_sub(at) < AGAIN) {
            return Decision::Merge;
        }
        if written.is_none() && !self.has_room(now) || !self.take_token(&event.pod_uid, now) {
            return Decision::TooMany;
        }
        self.series.insert(event.name.clone(), now);
        if written.is_some() {
            Decision::Update
        } else {
            Decision::Create
        }
    }

    /// What was decided about one was not done: it was not written, and may be the next time.
    pub fn forget(&mut self, event: &PodEvent) {
        self.series.remove(&event.name);
    }

    fn has_room(&mut self, now: Duration) -> bool {
        if self.series.len() >= MAX_SERIES {
            self.series.retain(|_, at| now.saturating_sub(*at) < KEPT);
        }
        self.series.len() < MAX_SERIES
    }

    /// From what all have and from what the pod has, or from neither.
    fn take_token(&mut self, pod_uid: &str, now: Duration) -> bool {
        if self.shares.len() >= MAX_SHARES {
            self.shares.retain(|_, share| !share.is_full(now));
        }
        let share = self.shares.get(pod_uid).copied();
        if share.is_none() && self.shares.len() >= MAX_SHARES {
            return false;
        }
        let share = share.unwrap_or_else(|| Bucket::full(SHARES)).at(now);
        let (Some(all), Some(share)) = (self.all.at(now).less(), share.less()) else {
            return false;
        };
        self.all = all;
        self.shares.insert(pod_uid.to_owned(), share);
        true
    }
}

#[cfg(test)]
mod tests;
