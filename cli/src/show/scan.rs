//! What a scan found, as findings of the catalogue, each with a sentence.

use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Audit, Foreign, Role, Skip, is_library_name};
use archtrace_facts::finding::{self, Id};
use archtrace_images::{Claim, Kind, Missing, Part, Report, ScanError};

use super::human::count;

/// One path, and what became of it.
#[derive(Debug)]
pub(crate) struct Target {
    /// As it was named, printable.
    pub(crate) path: String,
    pub(crate) outcome: Result<Report, ScanError>,
    pub(crate) findings: Vec<Finding>,
}

/// Something that somebody should act on.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    pub(crate) id: Option<Id>,
    /// The image's name; may be empty.
    pub(crate) image: String,
    /// The image's platform; empty where it is no image.
    pub(crate) platform: String,
    /// The file that it is about, if it is about one.
    pub(crate) file: Option<String>,
    pub(crate) arch: Option<Arch>,
    pub(crate) expected: Option<Arch>,
    pub(crate) role: Option<Role>,
    /// Why the file matters, for people.
    pub(crate) why: &'static str,
    /// What the image runs.
    pub(crate) main: Option<String>,
    /// Platforms that there are instead.
    pub(crate) has: Vec<String>,
    /// One sentence, without a full stop.
    pub(crate) message: String,
}

impl Target {
    pub(crate) fn new(path: String, outcome: Result<Report, ScanError>) -> Self {
        let findings = outcome.as_ref().map_or_else(|_| Vec::new(), findings);
        Self {
            path,
            outcome,
            findings,
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.outcome.is_err()
    }

    /// Whether something was not looked at that might be a finding.
    pub(crate) fn is_incomplete(&self) -> bool {
        let parts = self.outcome.iter().flat_map(|report| &report.parts);
        let mut skipped = parts.flat_map(|part| &part.audit.skipped);
        skipped.any(|(why, _)| matters(*why))
    }
}

/// Another file system is not of the tree: nobody asked for it.
fn matters(why: Skip) -> bool {
    why != Skip::OtherFileSystem
}

fn findings(report: &Report) -> Vec<Finding> {
    let missing = report.missing.iter().map(missing);
    let parts = report.parts.iter();
    missing
        .chain(parts.flat_map(|part| of_part(part, report.kind)))
        .collect()
}

fn missing(missing: &Missing) -> Finding {
    let Missing {
        name,
        platform,
        has,
        listed,
    } = missing;
    let message = if *listed {
        format!("its index names {platform}, but none of its files were saved")
    } else {
        format!("there is no {platform}, only {}", has.join(", "))
    };
    Finding {
        id: Some(Id::MissingPlatform),
        image: name.clone(),
        platform: platform.to_string(),
        expected: Some(platform.isa()),
        has: has.clone(),
        message,
        ..Finding::default()
    }
}

fn of_part(part: &Part, kind: Kind) -> Vec<Finding> {
    let Part { name, claim, audit } = part;
    let common = || Finding {
        image: name.clone(),
        platform: platform(claim.as_ref()),
        expected: Some(audit.expected),
        ..Finding::default()
    };
    let mut findings = Vec::new();
    if let Some(message) = claim.as_ref().and_then(contradiction) {
        findings.push(Finding {
            id: Some(Id::MislabelledImage),
            arch: claim.as_ref().map(|claim| claim.config.isa()),
            message,
            ..common()
        });
    }
    // A tree claims nothing; what it is asked about is where it should run. A file is no image.
    let claimed = claim.as_ref().map(|claim| claim.platform().isa());
    let node = (claim.is_none() && kind != Kind::File).then_some(audit.expected);
    for id in finding::of_image(claimed, node, audit) {
        if matches!(id, Id::MislabelledImage | Id::WrongPlatformImage) {
            findings.push(Finding {
                id: Some(id),
                arch: finding::really(audit),
                main: audit.main.as_ref().map(|(path, _)| path.clone()),
                message: really(audit),
                ..common()
            });
        }
    }
    findings.extend(audit.foreign.iter().map(|file| {
        let Foreign { path, arch, role } = file;
        let (id, why) = match (kind, role) {
            (Kind::File, Role::Other) => (itself(path), "the file itself"),
            _ => (finding::of_foreign(*role), words(*role)),
        };
        Finding {
            id: Some(id),
            file: Some(path.clone()),
            arch: Some(*arch),
            role: Some(*role),
            why,
            message: format!("for {arch}, not {}: {why}", audit.expected),
            ..common()
        }
    }));
    findings
}

/// A file that is in no tree: there is no place that says what it is for.
fn itself(path: &str) -> Id {
    if is_library_name(path.as_bytes()) {
        Id::ForeignLibrary
    } else {
        Id::ForeignProgram
    }
}

/// The platform by which an image is offered.
pub(crate) fn platform(claim: Option<&Claim>) -> String {
    claim.map_or(String::new(), |claim| claim.platform().to_string())
}

/// Where an index says another platform than the image itself.
fn contradiction(claim: &Claim) -> Option<String> {
    let index = claim.index.as_ref()?;
    let same = (&index.os, &index.arch) == (&claim.config.os, &claim.config.arch);
    let config = &claim.config;
    (!same).then(|| format!("the index says {index}, the image's own configuration {config}"))
}

fn really(audit: &Audit) -> String {
    let expected = audit.expected;
    if let Some((path, arch)) = &audit.main {
        return format!("it should be for {expected}, and runs {path}, which is for {arch}");
    }
    let all: u64 = audit.elf.iter().map(|(_, count)| count).sum();
    let most = audit.elf.iter().max_by_key(|(_, count)| *count);
    most.map_or(String::new(), |(arch, most)| {
        let (most, all) = (count(*most), count(all));
        format!("it should be for {expected}, and {most} of its {all} ELF files are for {arch}")
    })
}

/// Why a file matters, for people.
fn words(role: Role) -> &'static str {
    match role {
        Role::Main => "what the image runs",
        Role::Program => "a program in a directory of PATH",
        Role::Library => "a shared library where the loader looks",
        Role::NodeAddon => "an add-on of Node.js, which require() loads",
        Role::PythonExtension => "part of a Python package, which import loads",
        Role::JarEntry => "in a jar that has none for the right one",
        Role::WheelEntry => "in a wheel that has none for the right one",
        Role::Other => "used only if something names its path",
    }
}

/// Why something was not looked at, for people.
pub(crate) fn reason(why: Skip) -> &'static str {
    match why {
        Skip::Entries => "beyond the number of entries that are looked at",
        Skip::Depth => "nested too deep",
        Skip::Bytes => "too large to be looked at",
        Skip::Unreadable => "unreadable",
        Skip::BadArchive => "no sound archive",
        Skip::OtherFileSystem => "of another mounted file system",
        Skip::Time => "out of time",
    }
}

/// What was looked at, in one line: `1,234 file(s), of which ELF: 5 amd64, 6 arm64, 2 of no node's
/// machine`.
pub(crate) fn looked_at(audit: &Audit) -> String {
    let is_named = |arch: Arch| !matches!(arch, Arch::Other(_) | Arch::Unknown);
    let (named, others): (Vec<_>, Vec<_>) = audit.elf.iter().partition(|(arch, _)| is_named(*arch));
    let named = named
        .iter()
        .map(|(arch, number)| format!("{} {arch}", count(*number)));
    let others: u64 = others.iter().map(|(_, number)| number).sum();
    let others = (others > 0).then(|| format!("{} of no node's machine", count(others)));
    let elf: Vec<_> = named.chain(others).collect();
    let elf = if elf.is_empty() {
        "none".to_owned()
    } else {
        elf.join(", ")
    };
    format!("{} file(s), of which ELF: {elf}", count(audit.files))
}
