//! Native code among the files of a container's images.

use super::image::references;
use super::images::{Audited, Images};
use super::runtime::sentence;
use super::seen::Container;
use super::{Evidence, EvidenceKind, Layer, Row, Status, row};
use crate::arch::Arch;
use crate::audit::Foreign;
use crate::finding;

/// A row for each reference that its pods ask for.
pub(super) fn rows(container: &Container, images: &Images, arch: Arch) -> Vec<Row> {
    let mut rows: Vec<_> = references(container)
        .into_iter()
        .map(|(reference, ids)| {
            let variants = images.variants(reference, &ids).into_iter();
            let audits = variants.filter_map(|variant| variant.audit.as_ref());
            row_of(
                reference,
                audits.filter(|audit| audit.expected == arch),
                arch,
            )
        })
        .collect();
    if rows.is_empty() {
        rows.push(row_of(&container.name, std::iter::empty(), arch));
    }
    rows
}

fn row_of<'a>(reference: &str, audits: impl Iterator<Item = &'a Audited>, arch: Arch) -> Row {
    let row = |status, why: String| row(Layer::Dependencies, reference, status, why);
    let audits: Vec<_> = audits.collect();
    let shown = |files: fn(&Audited) -> &(Vec<Foreign>, u64)| {
        let kept = audits.iter().flat_map(|audit| &files(audit).0).cloned();
        let more = audits.iter().map(|audit| files(audit).1).sum::<u64>();
        (kept.collect::<Vec<_>>(), more)
    };
    let (severe, more) = shown(|audit| &audit.severe);
    if let Some(worst) = severe
        .iter()
        .min_by_key(|file| finding::of_foreign(file.role))
    {
        let id = finding::of_foreign(worst.role);
        let title = id.entry().map_or("", |entry| entry.title);
        return row(Status::Fix, sentence(title))
            .finding(id)
            .shown_by(severe.iter().map(evidence), more);
    }
    if audits.is_empty() {
        return row(
            Status::Gate,
            format!("no files of a variant for {arch} were looked at"),
        )
        .action(format!(
            "look for yourself: archtrace scan IMAGE.tar --arch {arch}"
        ));
    }
    let (minor, more) = shown(|audit| &audit.minor);
    if !minor.is_empty() {
        return row(
            Status::Gate,
            "files of another architecture, in places where nothing looks for them by itself"
                .to_owned(),
        )
        .finding(finding::Id::ForeignFile)
        .action("find out whether something runs or loads them by their path")
        .shown_by(minor.iter().map(evidence), more);
    }
    if !audits.iter().all(|audit| audit.is_complete) {
        return row(Status::Gate, "not all of its files were looked at".to_owned())
            .action(format!("archtrace images -o wide says why; archtrace scan IMAGE.tar --arch {arch} has no such bounds"));
    }
    row(
        Status::Pass,
        format!("all of its native code is for {arch}"),
    )
}

fn evidence(file: &Foreign) -> Evidence {
    Evidence {
        kind: EvidenceKind::File,
        what: file.path.clone(),
        arch: Some(file.arch),
        node: String::new(),
        detail: file.role.to_string(),
        seen: None,
    }
}
