//! What was seen of an agent on a node, and what follows from it.
//!
//! The first of these that holds: it fails, it is emulated, it runs in a version that is not certified, it
//! runs natively, it may be where nothing is seen, it is missing. So whoever runs natively in one container and fails in another, fails.

use std::time::{Duration, SystemTime};

use super::{Reason, Status};
use crate::arch::Arch;
use crate::fact::{Cause, IllegalInstruction, Mode, Via};
use crate::identity::LastExit;
use crate::policy::{Agent, Version, Waiver};
use crate::select::wildcard;

/// For how long what happened once says how it is, though the agent ran afterwards. The kubelet waits five
/// minutes at most before it starts a container again, and forgets earlier restarts after ten.
const OF_LATE: Duration = Duration::from_secs(600);

/// From the first sight of a pod on until one without a process in its containers is failing: images have
/// to be pulled.
const STARTING: Duration = Duration::from_secs(120);

/// Restarts of a container that are a loop, if the last one was of late. One or two are how a new node
/// settles.
const LOOP: u32 = 3;

/// The container that only holds a pod's namespaces: it is there while nothing of the pod runs.
const SANDBOX: &str = "pause";

/// Whether the node tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reports {
    /// Now.
    Now,
    /// Once, but not of late.
    Before,
    /// Never.
    Never,
}

/// A binary of the agent's on the node. Texts are empty where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Its instruction set.
    pub arch: Option<Arch>,
    /// How it ran; `None` is nothing that ran.
    pub mode: Option<Mode>,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// How it came to its emulator.
    pub via: Option<Via>,
    /// Processes alive, if it is emulated.
    pub processes: u64,
    /// When it was seen first.
    pub first_seen: Option<SystemTime>,
    /// When it was seen last.
    pub last_seen: Option<SystemTime>,
    /// Its path.
    pub binary: &'a str,
    /// What interprets it.
    pub emulator: &'a str,
    /// Namespace of its pod.
    pub namespace: &'a str,
    /// Its pod.
    pub pod: &'a str,
    /// Its container.
    pub container: &'a str,
    /// What its pod belongs to.
    pub workload: &'a str,
    /// Its systemd unit.
    pub unit: &'a str,
    /// Its image, as the pod asks for it.
    pub image: &'a str,
    /// Digest of the image's configuration.
    pub image_id: &'a str,
    /// How often its container was started before.
    pub attempt: u32,
    /// How the container ended before.
    pub last_exit: Option<&'a LastExit>,
}

/// Something that happened to the agent on the node, lately: a failed exec, or a death of SIGILL if there is
/// an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble<'a> {
    /// What it happened to; `mode` is how that ran, `last_seen` when it happened.
    pub seen: Seen<'a>,
    /// What it died of.
    pub instruction: Option<&'a IllegalInstruction>,
}

/// How it is with an agent on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// How.
    pub status: Status,
    /// How it would be without the waiver.
    pub waived: Option<Status>,
    /// The waiver; or one that would be it, had it not expired.
    pub waiver: Option<&'a Waiver>,
    /// Why.
    pub reason: Reason<'a>,
    /// What shows it.
    pub shown_by: Option<Seen<'a>>,
}

/// A node, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Cluster of the node; may be empty.
    pub cluster: &'a str,
    /// Its name.
    pub node: &'a str,
    /// Its instruction set.
    pub arch: Arch,
    /// Whether it tells of itself.
    pub reports: Reports,
    /// The sandbox of a pod that may be the agent's: of its processes nothing is seen.
    pub hidden: Option<&'a str>,
}

/// Decides how it is with the agent on the node. `names` knows what else an image goes by, by the digest of
/// its configuration.
#[must_use]
pub fn judge<'a>(
    agent: &'a Agent,
    on: Asked<'a>,
    seen: &[Seen<'a>],
    troubles: &[Trouble<'a>],
    names: &dyn Fn(&str) -> &'a [String],
    now: SystemTime,
) -> Verdict<'a> {
    let (status, reason, shown_by) = match on.reports {
        Reports::Never => (Status::Unknown, Reason::NeverReported, None),
        Reports::Before => (Status::Stale, Reason::Silent, None),
        Reports::Now => failing(seen, troubles, now)
            .or_else(|| emulated(seen, now))
            .or_else(|| running(agent, on.arch, seen, names))
            .unwrap_or_else(|| match on.hidden {
                Some(sandbox) => (Status::Unknown, Reason::Hidden(sandbox), None),
                None => absent(seen, now),
            }),
    };
    let covers = |waiver: &&Waiver| waiver.covers(on.cluster, on.node, on.arch, status);
    let holds = |waiver: &&Waiver| waiver.expires > now;
    let mut waivers = agent.waivers.iter().filter(covers);
    let waiver = waivers.clone().find(holds);
    Verdict {
        status: waiver.map_or(status, |_| Status::Waived),
        waived: waiver.map(|_| status),
        waiver: waiver.or_else(|| waivers.next()),
        reason,
        shown_by,
    }
}

type Found<'a> = (Status, Reason<'a>, Option<Seen<'a>>);

fn failing<'a>(seen: &[Seen<'a>], troubles: &[Trouble<'a>], now: SystemTime) -> Option<Found<'a>> {
    let runs = seen.iter().filter(|seen| seen.runs());
    let ran_last = runs.filter_map(|seen| seen.last_seen).max();
    let holds = |at: Option<SystemTime>| {
        is_of_late(at, now) || at.is_some_and(|at| ran_last.is_none_or(|ran| ran <= at))
    };
    let refused = seen.iter().copied().filter(Seen::is_refused);
    let refused = refused.map(|seen| Trouble {
        seen,
        instruction: None,
    });
    let troubles = troubles.iter().copied();
    let happened =
        |trouble: &Trouble<'a>| trouble.instruction.is_some() || trouble.seen.is_refused();
    let last = refused
        .chain(troubles.filter(happened))
        .filter(|trouble| holds(trouble.seen.last_seen))
        .max_by_key(|trouble| (trouble.seen.last_seen, trouble.seen.binary));
    if let Some(Trouble { seen, instruction }) = last {
        let reason = match instruction {
            Some(instruction) => Reason::IllegalInstruction(instruction, seen.mode),
            None => Reason::Refused(seen.arch, seen.cause),
        };
        return Some((Status::Failing, reason, Some(seen)));
    }
    let restarts =
        |seen: &&Seen<'a>| seen.runs() && seen.attempt >= LOOP && is_of_late(seen.first_seen, now);
    let looping = seen.iter().filter(restarts);
    let looping = looping.max_by_key(|seen| (seen.attempt, seen.binary))?;
    let reason = Reason::Restarts(looping.attempt, looping.last_exit);
    Some((Status::Failing, reason, Some(*looping)))
}

fn emulated<'a>(seen: &[Seen<'a>], now: SystemTime) -> Option<Found<'a>> {
    let is_it = |seen: &&Seen<'a>| {
        seen.mode == Some(Mode::Emulated)
            && seen.via != Some(Via::Build)
            && (seen.processes > 0 || is_of_late(seen.last_seen, now))
    };
    let found = seen.iter().filter(is_it);
    let found = found.max_by_key(|seen| (seen.processes, seen.binary))?;
    let reason = Reason::Emulated(found.arch, found.emulator, found.processes);
    Some((Status::Emulated, reason, Some(*found)))
}

/// It runs natively: in a certified version, if every image of it is.
fn running<'a>(
    agent: &'a Agent,
    arch: Arch,
    seen: &[Seen<'a>],
    names: &dyn Fn(&str) -> &'a [String],
) -> Option<Found<'a>> {
    let natives = || seen.iter().filter(|seen| seen.is_native());
    // The first that ran is what the others were started by.
    let first = natives().min_by_key(|seen| (seen.first_seen, seen.binary))?;
    let Some(certified) = &agent.certified else {
        return Some((Status::Native, Reason::Native(None), Some(*first)));
    };
    let Some(versions) = certified.get(&arch).filter(|versions| !versions.is_empty()) else {
        let reason = Reason::NoneCertified(arch);
        return Some((Status::Uncertified, reason, Some(*first)));
    };
    let version_of = |seen: &Seen<'a>| {
        let mut versions = versions.iter();
        versions.find(|version| is_version(version, seen, names))
    };
    let others = natives().filter(|seen| version_of(seen).is_none());
    if let Some(other) = others.min_by_key(|seen| (seen.image, seen.binary)) {
        let reason = match other.image {
            "" => Reason::NoImage,
            image => Reason::NotCertified(image, arch),
        };
        return Some((Status::Uncertified, reason, Some(*other)));
    }
    let version = version_of(first);
    Some((Status::Native, Reason::Native(version), Some(*first)))
}

fn absent<'a>(seen: &[Seen<'a>], now: SystemTime) -> Found<'a> {
    let sandbox = seen.iter().filter(|seen| seen.container == SANDBOX);
    let Some(sandbox) = sandbox.min_by_key(|seen| seen.first_seen) else {
        return (Status::Missing, Reason::Nothing, None);
    };
    let since = sandbox.first_seen.unwrap_or(now);
    if since + STARTING <= now {
        return (Status::Failing, Reason::NothingRuns, Some(*sandbox));
    }
    (Status::Missing, Reason::Starting, Some(*sandbox))
}

fn is_of_late(time: Option<SystemTime>, now: SystemTime) -> bool {
    time.is_some_and(|time| time + OF_LATE >= now)
}

impl Seen<'_> {
    /// Whether it is one of the agent's own, and not of what only holds its pod, and ran.
    fn runs(&self) -> bool {
        self.is_native() || (self.mode == Some(Mode::Emulated) && self.container != SANDBOX)
    }

    fn is_native(&self) -> bool {
        matches!(self.mode, Some(Mode::Native | Mode::Compat)) && self.container != SANDBOX
    }

    /// Whether the kernel refused to execute it for what it is. A text without `#!` is what shells run in
    /// the kernel's stead, and of other errors nothing is known.
    fn is_refused(&self) -> bool {
        let is_other = matches!(
            self.cause,
            None | Some(Cause::NoShebang | Cause::EmptyFile | Cause::Other)
        );
        self.mode == Some(Mode::Failed) && !is_other
    }
}

fn is_version<'a>(
    version: &Version,
    seen: &Seen<'a>,
    names: &dyn Fn(&str) -> &'a [String],
) -> bool {
    match version {
        Version::Tag(pattern) => tag(seen.image).is_some_and(|tag| wildcard(pattern, tag)),
        Version::Digest(digest) => {
            let is_it = |name: &str| digest_of(name) == Some(digest);
            seen.image_id == digest
                || is_it(seen.image)
                || names(seen.image_id).iter().any(|name| is_it(name))
        }
    }
}

/// The tag of an image as pods name it; `latest` where they name none, as runtimes do.
pub(super) fn tag(image: &str) -> Option<&str> {
    if image.is_empty() {
        return None;
    }
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    // A colon before the last slash is that of a port.
    let last = name.rsplit('/').next().unwrap_or(name);
    match (last.split_once(':'), digest) {
        (Some((_, tag)), _) => Some(tag),
        (None, Some(_)) => None,
        (None, None) => Some("latest"),
    }
}

fn digest_of(image: &str) -> Option<&str> {
    image.split_once('@').map(|(_, digest)| digest)
}
