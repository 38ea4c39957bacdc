//! What was seen of a workload, put together fact by fact.

use std::time::SystemTime;

use super::{Evidence, EvidenceKind, Row, is_severe};
use crate::arch::Arch;
use crate::fact::{Cause, Mode};
use crate::finding::Id;

/// Containers of one workload that are judged: a pod has a few. Pods of which nobody knows what they
/// belong to are one workload, which may have any number.
pub const MAX_CONTAINERS: usize = 64;

/// Images of one container that are judged: one, and two in the middle of a roll-out.
pub const MAX_IMAGES: usize = 8;

/// What was seen of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Cluster of its nodes.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Kind and name.
    pub workload: String,
    /// Its containers; [`MAX_CONTAINERS`] at most.
    pub containers: Vec<Container>,
    /// How often something was seen of others.
    pub more_containers: u64,
}

/// What was seen of a container, in all pods of the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its images, as pods ask for them and by the digest of their configuration; [`MAX_IMAGES`] at most.
    pub images: Vec<(String, String)>,
    /// How often another image was seen.
    pub more_images: u64,
    /// What the CPU ran.
    pub good: Vec<Good>,
    /// What it did not, and is a finding; [`Row::EVIDENCE`] at most.
    pub bad: Vec<(Id, Evidence)>,
    /// How often something else was seen that is bad.
    pub more_bad: u64,
    /// The sandbox that hides what runs in it, if a pod has one.
    pub hidden: Option<String>,
    /// A node that a pod has run on and whose agent may take anything for native, and why.
    pub blind: Option<(String, String)>,
}

/// Programs that the CPU ran on nodes of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// Instruction set of the nodes.
    pub node_arch: Arch,
    /// [`Mode::Native`] or [`Mode::Compat`].
    pub mode: Mode,
    /// Whether one of the nodes reports now.
    pub is_current: bool,
    /// How many facts these are.
    pub facts: u64,
    /// One of them.
    pub example: Evidence,
}

/// A fact, as far as it counts here.
#[derive(Clone, Copy, Debug)]
pub struct Ran<'a> {
    /// Name of its node.
    pub node: &'a str,
    /// Instruction set of its node.
    pub node_arch: Arch,
    /// Whether the node reports now.
    pub is_current: bool,
    /// The binary.
    pub binary: &'a str,
    /// Its instruction set.
    pub arch: Arch,
    /// How it ran.
    pub mode: Mode,
    /// What interprets it; empty if nothing does.
    pub emulator: &'a str,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// The finding that it is.
    pub finding: Option<Id>,
    /// When it was last seen.
    pub last_seen: SystemTime,
}

impl Seen {
    /// The container of this name; `None` if there are too many.
    pub fn container(&mut self, name: &str) -> Option<&mut Container> {
        let known = self.containers.iter().position(|known| known.name == name);
        let place = match known {
            Some(place) => place,
            None if self.containers.len() >= MAX_CONTAINERS => {
                self.more_containers += 1;
                return None;
            }
            None => {
                self.containers.push(Container {
                    name: name.to_owned(),
                    ..Container::default()
                });
                self.containers.len() - 1
            }
        };
        self.containers.get_mut(place)
    }
}

impl Container {
    /// One of its pods has this image.
    pub fn image(&mut self, reference: &str, id: &str) {
        let is_it = |(known, known_id): &(String, String)| known == reference && known_id == id;
        if (reference.is_empty() && id.is_empty()) || self.images.iter().any(is_it) {
            return;
        }
        if self.images.len() >= MAX_IMAGES {
            self.more_images += 1;
            return;
        }
        self.images.push((reference.to_owned(), id.to_owned()));
    }

    /// Something ran in it, or failed to.
    pub fn ran(&mut self, ran: &Ran<'_>) {
        match ran.mode {
            Mode::Native | Mode::Compat => self.good(ran),
            Mode::Emulated | Mode::Failed => {
                if let Some(id) = ran.finding.filter(|id| is_severe(*id)) {
                    self.bad(id, ran.evidence());
                }
            }
        }
    }

    /// Something in it died of an instruction.
    pub fn died(&mut self, id: Id, evidence: Evidence) {
        if is_severe(id) {
            self.bad(id, evidence);
        }
    }

    fn good(&mut self, ran: &Ran<'_>) {
        let known = self
            .good
            .iter_mut()
            .find(|known| (known.node_arch, known.mode) == (ran.node_arch, ran.mode));
        let Some(known) = known else {
            self.good.push(Good {
                node_arch: ran.node_arch,
                mode: ran.mode,
                is_current: ran.is_current,
                facts: 1,
                example: ran.evidence(),
            });
            return;
        };
        known.facts += 1;
        known.is_current |= ran.is_current;
        // The same one, in whatever order they come.
        if ran.name() < (&known.example.what, &known.example.node) {
            known.example = ran.evidence();
        }
    }

    /// Each once by what it is, and by name; those that come first in the order of names are kept.
    fn bad(&mut self, id: Id, evidence: Evidence) {
        let same = |(known, of): &&mut (Id, Evidence)| {
            *known == id
                && (&of.what, &of.detail, of.kind)
                    == (&evidence.what, &evidence.detail, evidence.kind)
        };
        if let Some((_, known)) = self.bad.iter_mut().find(same) {
            known.seen = known.seen.max(evidence.seen);
            if evidence.node < known.node {
                known.node = evidence.node;
            }
            return;
        }
        self.bad.push((id, evidence));
        if self.bad.len() > Row::EVIDENCE {
            self.bad.sort_by(|a, b| order(a).cmp(&order(b)));
            self.bad.truncate(Row::EVIDENCE);
            self.more_bad += 1;
        }
    }
}

/// The order in which what is bad is shown, and beyond its bound left out.
pub(super) fn order((id, evidence): &(Id, Evidence)) -> (EvidenceKind, Id, &str, &str) {
    (evidence.kind, *id, &evidence.what, &evidence.detail)
}

impl Ran<'_> {
    fn name(&self) -> (&str, &str) {
        (self.binary, self.node)
    }

    pub(super) fn evidence(&self) -> Evidence {
        let how = match (self.mode, self.cause) {
            (Mode::Emulated, _) => format!("emulated by {}", self.emulator),
            (Mode::Failed, Some(cause)) => format!("failed: {cause}"),
            (mode, _) => mode.to_string(),
        };
        Evidence {
            kind: EvidenceKind::Fact,
            what: self.binary.to_owned(),
            arch: Some(self.arch),
            node: self.node.to_owned(),
            detail: format!("{how} on {}", self.node_arch),
            seen: Some(self.last_seen),
        }
    }
}
