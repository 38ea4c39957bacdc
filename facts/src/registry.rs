//! What registries tell of the images that pods ask for, and what follows: has a tag an image for an
//! architecture?
//!
//! [`Verdict::Lacks`] is only said of what a registry told itself. Whatever could not be asked is
//! [`Verdict::Unknown`], with the reason, and never either of the others.

mod reference;

use std::time::SystemTime;

use crate::arch::Arch;
use crate::fact::words;
use crate::fleet::Coverage;
use crate::platform::Platform;
pub use reference::{ParseReferenceError, Reference, is_digest};

words! {
    /// Whether there is an image for an architecture; the worst is the greatest.
    Verdict, "verdict" {
        /// The registry has one.
        Has = "HAS",
        /// Nobody could tell.
        Unknown = "UNKNOWN",
        /// The registry has none.
        Lacks = "LACKS",
    }
}

words! {
    /// Why a registry's answer is not there.
    Trouble, "trouble with a registry" {
        /// It was not asked (yet).
        NotAsked = "not_asked",
        /// What pods ask for is no reference to a registry.
        NoReference = "no_reference",
        /// The registry does not have it (any more).
        Gone = "gone",
        /// The registry does not let the collector ask.
        Denied = "denied",
        /// The registry wants to be asked later (429).
        Busy = "busy",
        /// The registry said that it failed (5xx).
        Unavailable = "unavailable",
        /// There was no connection, or no answer in time.
        Unreachable = "unreachable",
        /// The answer makes no sense, is too large, or leads to where nobody should be led.
        Invalid = "invalid",
        /// It is something else than an image: a chart, a signature.
        NoImage = "no_image",
    }
}

/// Why a registry's answer is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In a word.
    pub trouble: Trouble,
    /// For people: what happened, and what to do about it. Printable, without secrets.
    pub message: String,
}

/// What a registry has under one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Whether it is an index of several images; else it is one, for one platform.
    pub is_index: bool,
    /// Digest of the index or manifest: what the tag led to when it was asked.
    pub digest: String,
    /// What there is an image for, each once, sorted; [`Listing::MAX_PLATFORMS`] at most. Attestations,
    /// which are for `unknown/unknown`, are none.
    pub platforms: Vec<Platform>,
}

impl Listing {
    /// Go knows some fifty; variants included, nobody has twice as many.
    pub const MAX_PLATFORMS: usize = 100;

    /// Whether nodes of this architecture, which run Linux, get an image that is for them. Variants do not
    /// matter: which of them a CPU runs is not known here.
    #[must_use]
    pub fn has(&self, arch: Arch) -> bool {
        let wanted = Platform::linux(arch);
        self.platforms
            .iter()
            .any(|platform| platform.serves(&wanted))
    }

    /// Its platforms, as a list for people.
    #[must_use]
    pub fn named(&self) -> String {
        let names: Vec<_> = self.platforms.iter().map(ToString::to_string).collect();
        names.join(", ")
    }
}

/// What is known of one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The whole reference that was asked for; as pods ask for it, if it is none.
    pub reference: String,
    /// When the registry was asked last; `None` if it never was.
    pub checked_at: Option<SystemTime>,
    /// What it told then.
    pub told: Result<Listing, Problem>,
}

impl Check {
    /// Nobody asked, for this reason.
    #[must_use]
    pub fn without(reference: &str, trouble: Trouble, message: impl Into<String>) -> Self {
        Self {
            reference: reference.to_owned(),
            checked_at: None,
            told: Err(Problem {
                trouble,
                message: message.into(),
            }),
        }
    }

    /// Whether there is an image for this architecture.
    #[must_use]
    pub fn verdict(&self, arch: Arch) -> Verdict {
        match &self.told {
            Ok(listing) if listing.has(arch) => Verdict::Has,
            Ok(_) => Verdict::Lacks,
            Err(_) => Verdict::Unknown,
        }
    }

    /// The reason for [`Check::verdict`], as a sentence without a full stop.
    #[must_use]
    pub fn why(&self, arch: Arch) -> String {
        let listing = match &self.told {
            Ok(listing) => listing,
            Err(Problem { trouble, message }) => return format!("{trouble}: {message}"),
        };
        let named = listing.named();
        match (listing.is_index, listing.has(arch)) {
            (true, true) => format!("its index has {named}"),
            (true, false) if named.is_empty() => "its index has no image at all".to_owned(),
            (true, false) => format!("its index has {named}, and none for {arch}"),
            (false, true) => format!("it is one image, for {named}"),
            (false, false) => format!("it is one image, for {named} only"),
        }
    }
}

/// Who runs a tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct User {
    /// Cluster of its nodes; may be empty.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Kind and name, such as `Deployment/api`; empty for pods of which nobody knows what they belong to.
    pub workload: String,
}

/// A reference that pods ask for now, and what its registry has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployedTag {
    /// As pods ask for it.
    pub reference: String,
    /// Whether it has an image for the architecture that was asked for.
    pub verdict: Verdict,
    /// Why, as a sentence without a full stop.
    pub why: String,
    /// What is known of it.
    pub check: Check,
    /// Workloads that run it; [`DeployedTag::USERS`] at most.
    pub users: Vec<User>,
    /// How many more of these there are.
    pub more_users: u64,
    /// How many nodes run it, by their architecture.
    pub nodes: Vec<(Arch, u64)>,
    /// Names of some of them; [`DeployedTag::NAMES`] at most.
    pub node_names: Vec<String>,
}

impl DeployedTag {
    /// Workloads that are told of each.
    pub const USERS: usize = 100;
    /// Nodes that are named.
    pub const NAMES: usize = 10;
}

/// What follows from all tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every tag has an image, and every node tells which tags it runs.
    Fine,
    /// A tag has none.
    Lacking,
    /// None is known to lack one, and not all is known.
    NotKnown,
}

impl Outcome {
    /// What follows from these verdicts. Where nothing is deployed nothing is known, and a node that does not
    /// report may run anything.
    #[must_use]
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>, coverage: &Coverage) -> Self {
        match verdicts.into_iter().max() {
            Some(Verdict::Lacks) => Self::Lacking,
            Some(Verdict::Has) if coverage.stale == 0 && coverage.unknown == 0 => Self::Fine,
            Some(Verdict::Has | Verdict::Unknown) | None => Self::NotKnown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch::{Amd64, Arm, Arm64};

    fn listing(is_index: bool, platforms: &[&str]) -> Check {
        let platforms = platforms.iter().map(|text| {
            let mut parts = text.split('/').map(str::to_owned);
            let mut next = || parts.next().unwrap_or_default();
            Platform {
                os: next(),
                arch: next(),
                variant: next(),
            }
        });
        Check {
            reference: "reg.example/app:1".to_owned(),
            checked_at: Some(SystemTime::UNIX_EPOCH),
            told: Ok(Listing {
                is_index,
                digest: String::new(),
                platforms: platforms.collect(),
            }),
        }
    }

    fn check(told: &Check, arch: Arch, verdict: Verdict, why: &str) {
        assert_eq!((told.verdict(arch), &*told.why(arch)), (verdict, why));
    }

    #[test]
    fn only_what_a_registry_told_is_lacking() {
        let both = listing(true, &["linux/amd64", "linux/arm64/v8"]);
        check(
            &both,
            Arm64,
            Verdict::Has,
            "its index has linux/amd64, linux/arm64/v8",
        );
        check(
            &both,
            Arm,
            Verdict::Lacks,
            "its index has linux/amd64, linux/arm64/v8, and none for arm",
        );
        let windows = listing(true, &["windows/arm64", "linux/amd64/v3"]);
        check(
            &windows,
            Arm64,
            Verdict::Lacks,
            "its index has windows/arm64, linux/amd64/v3, and none for arm64",
        );
        check(
            &listing(true, &[]),
            Amd64,
            Verdict::Lacks,
            "its index has no image at all",
        );
        let one = listing(false, &["linux/amd64"]);
        check(
            &one,
            Amd64,
            Verdict::Has,
            "it is one image, for linux/amd64",
        );
        check(
            &one,
            Arm64,
            Verdict::Lacks,
            "it is one image, for linux/amd64 only",
        );
        check(
            &listing(true, &["linux/arm/v7"]),
            Arm,
            Verdict::Has,
            "its index has linux/arm/v7",
        );
        // A word of Go's that has no name here lacks nothing less.
        check(
            &listing(false, &["linux/sparc64"]),
            Arm64,
            Verdict::Lacks,
            "it is one image, for linux/sparc64 only",
        );
        for trouble in Trouble::ALL {
            let told = Check::without("x", *trouble, "so it is");
            check(
                &told,
                Arm64,
                Verdict::Unknown,
                &format!("{trouble}: so it is"),
            );
        }
    }

    #[test]
    fn the_worst_tag_decides_and_silence_is_not_fine() {
        use Verdict::{Has, Lacks, Unknown};
        let (all, silent) = (
            Coverage::default(),
            [
                Coverage {
                    stale: 1,
                    ..Coverage::default()
                },
                Coverage {
                    unknown: 1,
                    ..Coverage::default()
                },
            ],
        );
        for (verdicts, outcome) in [
            (&[Has, Has][..], Outcome::Fine),
            (&[Has, Unknown], Outcome::NotKnown),
            (&[Unknown, Lacks, Has], Outcome::Lacking),
            (&[], Outcome::NotKnown),
        ] {
            assert_eq!(
                Outcome::of(verdicts.iter().copied(), &all),
                outcome,
                "{verdicts:?}"
            );
        }
        for silent in &silent {
            assert_eq!(Outcome::of([Has], silent), Outcome::NotKnown);
            assert_eq!(Outcome::of([Lacks], silent), Outcome::Lacking);
        }
    }
}
