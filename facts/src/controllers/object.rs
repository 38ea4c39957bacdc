//! What the API tells of one object.

use std::str::FromStr;

/// Bytes of a kind or a name: names of objects have 253 at most (RFC 1123).
const MAX_NAME: usize = 253;

/// The UID of an object: RFC 4122, with or without dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uid([u8; 16]);

/// A text is no UID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no UID of an object: 32 hex digits, with or without dashes")]
pub struct NoUid;

impl FromStr for Uid {
    type Err = NoUid;

    fn from_str(text: &str) -> Result<Self, NoUid> {
        let (mut bytes, mut count) = ([0_u8; 16], 0);
        for digit in text.bytes().filter(|byte| *byte != b'-') {
            let value = char::from(digit).to_digit(16).ok_or(NoUid)?;
            let byte = bytes.get_mut(count / 2).ok_or(NoUid)?;
            // A digit of base 16 fits.
            *byte = (*byte << 4) | u8::try_from(value).map_err(|_| NoUid)?;
            count += 1;
        }
        (count == 32).then_some(Self(bytes)).ok_or(NoUid)
    }
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Pods.
    Pod,
    /// ReplicaSets, which belong to Deployments and the like.
    ReplicaSet,
    /// Jobs, which may belong to CronJobs.
    Job,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pod, Self::ReplicaSet, Self::Job];

    /// As objects name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::ReplicaSet => "ReplicaSet",
            Self::Job => "Job",
        }
    }

    /// As URLs and rights name it.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::ReplicaSet => "replicasets",
            Self::Job => "jobs",
        }
    }
}

/// What controls an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Such as `ReplicaSet`.
    pub kind: &'a str,
    /// Its name, in the object's own namespace.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

/// An object, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    /// Its UID.
    pub uid: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What controls it; `None` if nothing does.
    pub controller: Option<Reference<'a>>,
    /// Whether it is the API's picture of a pod that a node has by itself, and its UID is what the picture says.
    pub is_mirror: bool,
}

impl Object<'_> {
    /// Whether all names are some that the API gives.
    pub(super) fn has_names(&self) -> bool {
        let of_controller = self.controller.iter().flat_map(|by| [by.kind, by.name]);
        let mut names = of_controller.chain([self.name]);
        names.all(is_name)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME
}

/// Why an object is not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// A UID or a name is none that the API gives; or it is a mirror pod's, and the UID is another pod's.
    Invalid,
    /// There are as many of its kind as may be: [`MAX_PODS`](super::MAX_PODS), [`MAX_CONTROLLERS`](super::MAX_CONTROLLERS).
    Full,
}
