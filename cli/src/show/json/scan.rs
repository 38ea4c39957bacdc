//! What a scan found: a line for each finding, and one for each thing that was audited.

use std::collections::BTreeMap;

use archtrace_facts::audit::{Audit, Role};
use archtrace_facts::finding::{Id, Severity};
use archtrace_images::Part;
use serde::Serialize;

use crate::show::scan::{Finding, Target, platform};

/// Which of the two a line is: `kind` tells.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    Finding(FindingLine<'a>),
    Summary(Summary<'a>),
}

#[derive(Serialize)]
pub(crate) struct FindingLine<'a> {
    path: &'a str,
    finding: &'a str,
    severity: Option<&'a str>,
    image: &'a str,
    platform: &'a str,
    file: Option<&'a str>,
    arch: Option<String>,
    expected: Option<String>,
    role: Option<&'a str>,
    main: Option<&'a str>,
    has: &'a [String],
    message: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Summary<'a> {
    path: &'a str,
    image: &'a str,
    platform: String,
    expected: String,
    main: Option<&'a str>,
    main_arch: Option<String>,
    files: u64,
    bytes: u64,
    elf: BTreeMap<String, u64>,
    findings: u64,
    skipped: BTreeMap<&'a str, u64>,
    /// Platforms of the same path that nobody asked for.
    left_out: &'a [String],
}

/// Findings first, then what was looked at; nothing of what failed, which stderr tells.
pub(crate) fn scan(target: &Target) -> impl Iterator<Item = Line<'_>> {
    let findings = target.findings.iter();
    let summaries = target.outcome.iter().flat_map(move |report| {
        let parts = report.parts.iter();
        parts.map(move |part| Line::Summary(summary(target, part, &report.left_out)))
    });
    findings
        .map(|finding| Line::Finding(line(target, finding)))
        .chain(summaries)
}

fn line<'a>(target: &'a Target, finding: &'a Finding) -> FindingLine<'a> {
    let Finding {
        id,
        image,
        platform,
        file,
        arch,
        expected,
        role,
        why: _,
        main,
        has,
        message,
    } = finding;
    FindingLine {
        path: &target.path,
        finding: id.map_or("", Id::as_str),
        severity: id
            .and_then(Id::entry)
            .map(|entry| Severity::as_str(entry.severity)),
        image,
        platform,
        file: file.as_deref(),
        arch: arch.map(|arch| arch.to_string()),
        expected: expected.map(|arch| arch.to_string()),
        role: role.map(Role::as_str),
        main: main.as_deref(),
        has,
        message,
    }
}

fn summary<'a>(target: &'a Target, part: &'a Part, left_out: &'a [String]) -> Summary<'a> {
    let Part { name, claim, audit } = part;
    let Audit {
        expected,
        files,
        bytes,
        elf,
        main,
        foreign: _,
        more_foreign,
        skipped,
    } = audit;
    let platform = platform(claim.as_ref());
    let told = target.findings.iter();
    let told = told.filter(|finding| finding.image == *name && finding.platform == platform);
    Summary {
        path: &target.path,
        image: name,
        expected: expected.to_string(),
        main: main.as_ref().map(|(path, _)| &**path),
        main_arch: main.as_ref().map(|(_, arch)| arch.to_string()),
        files: *files,
        bytes: *bytes,
        elf: elf
            .iter()
            .map(|(arch, count)| (arch.to_string(), *count))
            .collect(),
        findings: told.count() as u64 + more_foreign,
        skipped: skipped
            .iter()
            .map(|(why, count)| (why.as_str(), *count))
            .collect(),
        left_out,
        platform,
    }
}
