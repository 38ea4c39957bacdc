//! What a scan found: a heading for each image, what is wrong with it, and its files.

use std::fmt::Write as _;

use archtrace_facts::finding::{Id, Severity};
use archtrace_images::{Part, Report};
use comfy_table::{Color, ContentArrangement};

use super::Listing;
use crate::show::human::count;
use crate::show::scan::{Finding, Target, looked_at, platform, reason};

/// Files of one image that a table has: a screen or two, ...
const MAX_ROWS: usize = 40;
/// ... and of one that is for another architecture as a whole: to see that it is so.
const MAX_EXAMPLES: usize = 5;

pub(crate) fn scan(targets: &[Target]) -> String {
    let mut text = String::new();
    for target in targets {
        let Ok(report) = &target.outcome else {
            continue;
        };
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing to a String cannot fail.
        for missing in &report.missing {
            let heading = heading(target, &missing.name, &missing.platform.to_string());
            let finding = target
                .findings
                .iter()
                .find(|finding| is_about(finding, &missing.name, &missing.platform.to_string()));
            let _ = writeln!(text, "{heading}");
            text.push_str(&whole(finding.into_iter()));
        }
        for part in &report.parts {
            text.push_str(&one(target, part));
        }
        text.push_str(&left_out(report));
    }
    text
}

pub(crate) fn scan_wide(targets: &[Target]) -> String {
    let head = [
        "PATH", "IMAGE", "PLATFORM", "FINDING", "SEVERITY", "FILE", "ARCH", "EXPECTED", "ROLE",
        "WHY",
    ];
    let mut table = Listing::new(&head, ContentArrangement::Disabled);
    for target in targets {
        for finding in &target.findings {
            let severity = finding.id.and_then(Id::entry).map(|entry| entry.severity);
            let text =
                |text: Option<&dyn ToString>| text.map_or(String::new(), ToString::to_string);
            table.add(vec![
                table.plain(&target.path),
                table.plain(&finding.image),
                table.plain(&finding.platform),
                table.plain(text(finding.id.as_ref().map(|id| id as _))),
                table.severity(severity),
                table.plain(finding.file.as_deref().unwrap_or_default()),
                table.plain(text(finding.arch.as_ref().map(|arch| arch as _))),
                table.plain(text(finding.expected.as_ref().map(|arch| arch as _))),
                table.plain(text(finding.role.as_ref().map(|role| role as _))),
                table.plain(&finding.message),
            ]);
        }
    }
    let any = targets.iter().any(|target| !target.findings.is_empty());
    let mut text = if any { table.text() } else { String::new() };
    for target in targets {
        let Ok(report) = &target.outcome else {
            continue;
        };
        for part in &report.parts {
            let heading = heading(target, &part.name, &platform(part.claim.as_ref()));
            let _ = writeln!(text, "{heading}: {}", looked_at(&part.audit));
            text.push_str(&skipped(part));
        }
        text.push_str(&left_out(report));
    }
    text
}

fn one(target: &Target, part: &Part) -> String {
    let platform = platform(part.claim.as_ref());
    let mut text = format!("{}\n", heading(target, &part.name, &platform));
    let findings: Vec<_> = target
        .findings
        .iter()
        .filter(|finding| is_about(finding, &part.name, &platform))
        .collect();
    let (files, images): (Vec<&Finding>, Vec<&Finding>) = findings
        .into_iter()
        .partition(|finding| finding.file.is_some());
    text.push_str(&whole(images.iter().copied()));
    let is_whole = |finding: &&Finding| finding.id != Some(Id::MissingPlatform);
    let rows = if images.iter().any(is_whole) {
        MAX_EXAMPLES
    } else {
        MAX_ROWS
    };
    if !files.is_empty() {
        let mut table = Listing::new(
            &["  FILE", "ARCH", "WHY IT MATTERS"],
            ContentArrangement::Disabled,
        );
        for finding in files.iter().take(rows) {
            let severity = finding.id.and_then(Id::entry).map(|entry| entry.severity);
            let file = finding.file.as_deref().unwrap_or_default();
            table.add(vec![
                table.plain(format!("  {file}")),
                table.by_severity(
                    finding.arch.map_or(String::new(), |arch| arch.to_string()),
                    severity,
                ),
                table.plain(finding.why),
            ]);
        }
        text.push_str(&table.text());
    }
    let shown = files.len().min(rows);
    let more = (files.len() - shown) as u64 + part.audit.more_foreign;
    // Writing to a String cannot fail.
    if more > 0 {
        let _ = writeln!(
            text,
            "  ... and {} more; -o wide, json and sarif have up to 10,000",
            count(more)
        );
    }
    let number = images.len() as u64 + files.len() as u64 + part.audit.more_foreign;
    let verdict = match number {
        0 => "clean".to_owned(),
        number => format!("{} finding(s)", count(number)),
    };
    let expected = part.audit.expected;
    let _ = writeln!(
        text,
        "  {verdict} for {expected}; {}",
        looked_at(&part.audit)
    );
    text.push_str(&skipped(part));
    text
}

/// What is about an image as such.
fn whole<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let mut text = String::new();
    for Finding { id, message, .. } in findings {
        let name = id.map_or("", |id| id.as_str());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name}: {message}{}", id.map_or("", hint));
    }
    text
}

/// What may be meant instead.
fn hint(id: Id) -> &'static str {
    match id {
        Id::WrongPlatformImage => "; --arch says what it should be for",
        Id::MissingPlatform => "; --arch or --platforms says what it should have",
        _ => "",
    }
}

fn is_about(finding: &Finding, image: &str, platform: &str) -> bool {
    finding.image == image && finding.platform == platform
}

fn heading(target: &Target, image: &str, platform: &str) -> String {
    let words = [&*target.path, image, platform];
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join("  ")
}

fn skipped(part: &Part) -> String {
    let mut text = String::new();
    for (why, number) in &part.audit.skipped {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  not looked at: {}, {}",
            count(*number),
            reason(*why)
        );
    }
    text
}

fn left_out(report: &Report) -> String {
    if report.left_out.is_empty() {
        return String::new();
    }
    format!(
        "  not asked for, and not looked at: {}\n",
        report.left_out.join(", ")
    )
}

/// The colour of a severity, where it has one.
pub(super) fn colour(severity: Severity) -> Option<Color> {
    match severity {
        Severity::High | Severity::Critical => Some(Color::Red),
        Severity::Medium => Some(Color::Yellow),
        Severity::Info | Severity::Low => None,
    }
}
