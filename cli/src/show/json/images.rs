//! Images.

use std::collections::BTreeMap;

use archtrace_facts::arch::Arch;
use archtrace_facts::audit::Audit;
use archtrace_facts::finding;
use archtrace_facts::fleet::FleetImage;
use serde::Serialize;

use super::tags::{self, Check};
use crate::show::human::utc;

#[derive(Serialize)]
pub(crate) struct Image<'a> {
    image_id: &'a str,
    images: &'a [String],
    image_arch: Option<String>,
    os: &'a str,
    variant: &'a str,
    nodes: BTreeMap<String, u64>,
    last_seen: String,
    audited: bool,
    complete: Option<bool>,
    expected_arch: Option<String>,
    main: Option<&'a str>,
    main_arch: Option<String>,
    files: Option<u64>,
    elf: Option<BTreeMap<String, u64>>,
    foreign: Vec<File<'a>>,
    more_foreign: u64,
    skipped: BTreeMap<&'static str, u64>,
    findings: Vec<&'static str>,
    registry: Vec<Check<'a>>,
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a str,
    arch: String,
    role: &'static str,
}

pub(crate) fn image(value: &FleetImage) -> Image<'_> {
    let image = &value.image;
    let audit = image.audit.as_ref();
    let main = audit.and_then(|audit| audit.main.as_ref());
    let by_arch = |counts: &[(Arch, u64)]| {
        counts
            .iter()
            .map(|(arch, count)| (arch.to_string(), *count))
            .collect()
    };
    Image {
        image_id: &image.id,
        images: &image.names,
        image_arch: image.arch.map(|arch| arch.to_string()),
        os: &image.os,
        variant: &image.variant,
        nodes: by_arch(&value.nodes),
        last_seen: utc(value.last_seen),
        audited: audit.is_some(),
        complete: audit.map(Audit::is_complete),
        expected_arch: audit.map(|audit| audit.expected.to_string()),
        main: main.map(|(path, _)| path.as_str()),
        main_arch: main.map(|(_, arch)| arch.to_string()),
        files: audit.map(|audit| audit.files),
        elf: audit.map(|audit| by_arch(&audit.elf)),
        foreign: audit.map(files).unwrap_or_default(),
        more_foreign: audit.map_or(0, |audit| audit.more_foreign),
        skipped: audit
            .map(|audit| {
                audit
                    .skipped
                    .iter()
                    .map(|(why, count)| (why.as_str(), *count))
                    .collect()
            })
            .unwrap_or_default(),
        findings: value
            .findings()
            .into_iter()
            .map(finding::Id::as_str)
            .collect(),
        registry: value.registry.iter().map(tags::check).collect(),
    }
}

fn files(audit: &Audit) -> Vec<File<'_>> {
    audit
        .foreign
        .iter()
        .map(|foreign| File {
            path: &foreign.path,
            arch: foreign.arch.to_string(),
            role: foreign.role.as_str(),
        })
        .collect()
}
