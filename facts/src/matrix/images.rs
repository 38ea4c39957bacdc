//! What is known of images, as far as the matrix asks.

use std::collections::{BTreeSet, HashMap};

use super::is_severe;
use crate::arch::Arch;
use crate::audit::{Foreign, Role};
use crate::finding::{self, Id};
use crate::fleet::FleetImage;

/// Foreign files that are kept of each image: the worst. The list of images has all.
const MAX_FILES: usize = 10;

/// Images by id and by name.
#[derive(Clone, Debug, Default)]
pub struct Images {
    variants: Vec<Variant>,
    by_id: HashMap<String, usize>,
    /// Which of `groups`.
    by_name: HashMap<String, usize>,
    /// Variants that share a name.
    groups: Vec<Vec<usize>>,
}

/// One image: of what goes by one name, the variant for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// What it goes by first, or its id.
    pub(super) name: String,
    /// Which of [`Images::groups`] it is in: one for each of its names.
    groups: Vec<usize>,
    /// The architecture that it claims to be for, or without a claim that of its files.
    pub(super) arch: Option<Arch>,
    /// What it is on the nodes that it is on.
    pub(super) findings: Vec<Id>,
    /// How many these are.
    pub(super) nodes: u64,
    /// What its files are, once they were looked at.
    pub(super) audit: Option<Audited>,
}

/// What was found among its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Audited {
    /// The architecture that they should be for.
    pub(super) expected: Arch,
    /// What it runs.
    pub(super) main: Option<(String, Arch)>,
    /// Files that programs load or people run, and how many more of these there are.
    pub(super) severe: (Vec<Foreign>, u64),
    /// Other foreign files.
    pub(super) minor: (Vec<Foreign>, u64),
    /// Whether all was looked at.
    pub(super) is_complete: bool,
}

impl Variant {
    fn of(of: &FleetImage, groups: Vec<usize>) -> Self {
        let image = &of.image;
        let audit = image.audit.as_ref().map(|audit| {
            // What the image runs is the image's own row.
            let files = || audit.foreign.iter().filter(|file| file.role != Role::Main);
            let some = |severe: bool| {
                let files =
                    || files().filter(|file| is_severe(finding::of_foreign(file.role)) == severe);
                let kept: Vec<_> = files().take(MAX_FILES).cloned().collect();
                let more = files().count() - kept.len();
                (kept, u64::try_from(more).unwrap_or(u64::MAX))
            };
            Audited {
                expected: audit.expected,
                main: audit.main.clone(),
                severe: some(true),
                minor: some(false),
                // Of what there was no room for, nobody knows how bad it is.
                is_complete: audit.is_complete() && audit.more_foreign == 0,
            }
        });
        let really = image.audit.as_ref().and_then(finding::really);
        Self {
            name: image.names.first().unwrap_or(&image.id).clone(),
            groups,
            arch: image.arch.or(really),
            findings: of.findings(),
            nodes: of.nodes.iter().map(|(_, count)| count).sum(),
            audit,
        }
    }
}

impl Images {
    /// Adds one.
    pub fn add(&mut self, image: &FleetImage) {
        let place = self.variants.len();
        let names = &image.image.names;
        let groups: Vec<_> = names.iter().map(|name| self.group(name)).collect();
        for group in &groups {
            if let Some(group) = self.groups.get_mut(*group) {
                group.push(place);
            }
        }
        self.by_id.insert(image.image.id.clone(), place);
        self.variants.push(Variant::of(image, groups));
    }

    fn group(&mut self, name: &str) -> usize {
        if let Some(group) = self.by_name.get(name) {
            return *group;
        }
        self.groups.push(Vec::new());
        self.by_name.insert(name.to_owned(), self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// The image with this id.
    pub(super) fn of_id(&self, id: &str) -> Option<&Variant> {
        self.variants.get(*self.by_id.get(id)?)
    }

    /// The variants of one image, as far as nodes pulled them: those with this id, those that go by this
    /// reference, and those that share a name with the former. Pods ask for `nginx`, and nodes call it
    /// `docker.io/library/nginx:latest`.
    pub(super) fn variants(&self, reference: &str, ids: &[&str]) -> Vec<&Variant> {
        let known = ids.iter().filter_map(|id| self.by_id.get(*id));
        let mut places: BTreeSet<usize> = known.copied().collect();
        let of_known = places.iter().filter_map(|place| self.variants.get(*place));
        let mut groups: BTreeSet<usize> = of_known
            .flat_map(|variant| &variant.groups)
            .copied()
            .collect();
        groups.extend(self.by_name.get(reference));
        let shared = groups.iter().filter_map(|group| self.groups.get(*group));
        places.extend(shared.flatten());
        let variants = places.into_iter();
        variants
            .filter_map(|place| self.variants.get(place))
            .collect()
    }
}
