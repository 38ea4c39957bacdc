//! Which platforms a container's images are for.

use std::collections::BTreeMap;

use super::images::{Images, Variant};
use super::runtime::sentence;
use super::seen::Container;
use super::{Evidence, EvidenceKind, Layer, Registry, Row, Status, row};
use crate::arch::Arch;
use crate::finding::Id;
use crate::registry::{Check, Verdict};

/// A row for each reference that its pods ask for; one that says so, if none is known.
pub(super) fn rows(
    container: &Container,
    images: &Images,
    registry: &Registry<'_>,
    arch: Arch,
) -> Vec<Row> {
    let mut rows: Vec<_> = references(container)
        .into_iter()
        .map(|(reference, ids)| row_of(reference, &ids, images, registry, arch))
        .collect();
    if rows.is_empty() {
        let why = format!("the image of {} is not known", container.name);
        rows.push(row(Layer::Image, &container.name, Status::Gate, why).action(NAMES));
    }
    if container.more_images > 0 {
        let why = format!("{} has more images than are looked at", container.name);
        rows.push(
            row(Layer::Image, &container.name, Status::Gate, why)
                .action("ask again when the roll-out is over: archtrace images"),
        );
    }
    rows
}

const NAMES: &str = "give the agents access to the container runtime: archtrace nodes -o wide says why they have none";

/// What pods ask for, and what that was.
pub(super) fn references(container: &Container) -> BTreeMap<&str, Vec<&str>> {
    let mut references: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (reference, id) in &container.images {
        let name = if reference.is_empty() { id } else { reference };
        references.entry(name).or_default().push(id);
    }
    references
}

fn row_of(
    reference: &str,
    ids: &[&str],
    images: &Images,
    registry: &Registry<'_>,
    arch: Arch,
) -> Row {
    let row = |status, why: String| row(Layer::Image, reference, status, why);
    let used: Vec<_> = ids.iter().filter_map(|id| images.of_id(id)).collect();
    let variants = images.variants(reference, ids);
    let for_arch = || {
        variants
            .iter()
            .filter(|variant| variant.arch == Some(arch))
            .copied()
    };
    // On nodes of another architecture the variant for this one is no obstacle.
    let wrong = used
        .iter()
        .filter(|variant| variant.arch != Some(arch))
        .map(|variant| (Id::WrongPlatformImage, *variant));
    let labels = used.iter().copied().chain(for_arch());
    let labels = labels.map(|variant| (Id::MislabelledImage, variant));
    let mut bad: Vec<_> = labels
        .chain(wrong)
        .filter(|(id, of)| of.findings.contains(id))
        .collect();
    bad.sort_by_key(|(id, _)| *id);
    if let Some((id, _)) = bad.first() {
        let title = id.entry().map_or("", |entry| entry.title);
        let mut evidence: Vec<_> = bad.iter().map(|(id, of)| evidence(of, Some(*id))).collect();
        evidence.dedup();
        return row(Status::Fix, sentence(title))
            .finding(*id)
            .shown_by(evidence, 0);
    }
    let check = registry(reference);
    let verdict = check.as_deref().map(|check| check.verdict(arch));
    let told = || check.as_deref().map(|check| told(check, arch));
    let shown: Vec<_> = told()
        .into_iter()
        .chain(variants.iter().map(|variant| evidence(variant, None)))
        .collect();
    // Whatever nodes pulled before: the next one gets what the registry has.
    if verdict == Some(Verdict::Lacks) {
        let why = format!("its registry has no image for {arch} under this name");
        return row(Status::Fix, why)
            .finding(Id::MissingPlatform)
            .shown_by(shown, 0);
    }
    if let Some(variant) = for_arch().find(|variant| variant.audit.is_some()) {
        let why = format!("has a variant for {arch}, on {} node(s)", variant.nodes);
        let has = told().filter(|_| verdict == Some(Verdict::Has));
        let shown = std::iter::once(evidence(variant, None)).chain(has);
        return row(Status::Pass, why).shown_by(shown, 0);
    }
    if for_arch().next().is_some() {
        return row(
            Status::Gate,
            format!("the files of its variant for {arch} were not looked at yet"),
        )
        .action("wait for the agents' audit: archtrace images")
        .shown_by(shown, 0);
    }
    if verdict == Some(Verdict::Has) {
        let why = format!("its registry has a variant for {arch}, which no node has pulled yet");
        return row(Status::Gate, why)
            .action(format!(
                "archtrace scan --arch {arch} looks at its files before a node does"
            ))
            .shown_by(shown, 0);
    }
    let mut archs: Vec<_> = variants.iter().filter_map(|variant| variant.arch).collect();
    archs.sort_unstable_by_key(ToString::to_string);
    archs.dedup();
    let why = if archs.is_empty() {
        "nothing is known of its platforms".to_owned()
    } else {
        let archs: Vec<_> = archs.iter().map(ToString::to_string).collect();
        format!(
            "only its variant for {} was seen, and none for {arch}",
            archs.join(" and ")
        )
    };
    row(Status::Gate, why)
        .action(format!(
            "is linux/{arch} among its platforms? docker buildx imagetools inspect; then archtrace scan --arch {arch}"
        ))
        .shown_by(shown, 0)
}

/// What the registry told.
fn told(check: &Check, arch: Arch) -> Evidence {
    Evidence {
        kind: EvidenceKind::Image,
        what: check.reference.clone(),
        arch: None,
        node: String::new(),
        detail: format!("in the registry, {}", check.why(arch)),
        seen: check.checked_at,
    }
}

fn evidence(variant: &Variant, id: Option<Id>) -> Evidence {
    let main = variant.audit.as_ref().and_then(|audit| audit.main.as_ref());
    let detail = match (id, main) {
        (Some(_), Some((path, arch))) => format!("it runs {path}, which is {arch}"),
        (Some(id), None) => id.to_string(),
        (None, _) => format!("on {} node(s)", variant.nodes),
    };
    Evidence {
        kind: EvidenceKind::Image,
        what: variant.name.clone(),
        arch: variant.arch,
        node: String::new(),
        detail,
        seen: None,
    }
}
