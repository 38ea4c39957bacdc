//! Images: one row each; wide, with their foreign files below.

use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::audit::Audit;
use archtrace_facts::fleet::FleetImage;
use archtrace_facts::registry::Check;
use comfy_table::{Color, ContentArrangement};

use super::Listing;
use crate::show::human::{age, count, utc};

pub(crate) fn images(images: &[FleetImage]) -> String {
    let now = SystemTime::now();
    let head = [
        "IMAGE",
        "CLAIMS",
        "NODES",
        "MAIN",
        "FILES",
        "FINDINGS",
        "LAST SEEN",
    ];
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for value in images {
        let image = &value.image;
        let audit = image.audit.as_ref();
        let findings = findings(value);
        let cell = table.plain(&findings);
        let findings = if findings.is_empty() {
            cell
        } else {
            table.colour(cell, Color::Yellow)
        };
        table.add(vec![
            table.plain(image.names.first().unwrap_or(&image.id)),
            table.plain(image.arch.map_or("?".to_owned(), |arch| arch.to_string())),
            table.plain(by_arch(&value.nodes)),
            table.plain(audit.map_or("not audited yet".to_owned(), main)),
            table.plain(audit.map_or(String::new(), |audit| by_arch(&audit.elf))),
            findings,
            table.plain(age(value.last_seen, now)),
        ]);
    }
    table.text()
}

pub(crate) fn images_wide(images: &[FleetImage]) -> String {
    let mut text = String::new();
    for value in images {
        let mut table = Listing::new(&[], ContentArrangement::Disabled);
        let image = &value.image;
        for name in &image.names {
            table.pair("image", name);
        }
        table.pair("image id", &image.id);
        table.pair(
            "claims",
            image.arch.map_or("?".to_owned(), |arch| arch.to_string()),
        );
        table.pair("nodes", by_arch(&value.nodes));
        table.pair("findings", findings(value));
        for check in &value.registry {
            table.pair("registry", registry(check));
        }
        table.pair("last seen", utc(value.last_seen));
        match &image.audit {
            None => table.pair("audit", "not yet"),
            Some(audit) => {
                table.pair("main", main(audit));
                table.pair("files", format!("{} looked at", count(audit.files)));
                table.pair("elf files", by_arch(&audit.elf));
                for (why, many) in &audit.skipped {
                    table.pair("skipped", format!("{} {why}", count(*many)));
                }
                for file in &audit.foreign {
                    table.pair(
                        "foreign",
                        format!("{} {} ({})", file.arch, file.path, file.role),
                    );
                }
                if audit.more_foreign > 0 {
                    table.pair("foreign", format!("and {} more", count(audit.more_foreign)));
                }
            }
        }
        text.push_str(&table.text());
        text.push('\n');
    }
    text
}

fn findings(image: &FleetImage) -> String {
    let ids: Vec<_> = image.findings().iter().map(|id| id.as_str()).collect();
    ids.join(", ")
}

/// What there is for whoever pulls it now.
fn registry(check: &Check) -> String {
    let Check {
        reference,
        checked_at,
        told,
    } = check;
    let at = checked_at.map_or(String::new(), |at| format!(" (asked {})", utc(at)));
    match told {
        Ok(listing) => format!("{reference} has {}{at}", listing.named()),
        Err(problem) => format!("{reference}: {}: {}{at}", problem.trouble, problem.message),
    }
}

fn main(audit: &Audit) -> String {
    match &audit.main {
        Some((path, arch)) => format!("{arch} {path}"),
        None => String::new(),
    }
}

/// Such as `amd64 3, arm64 120`.
pub(super) fn by_arch(counts: &[(Arch, u64)]) -> String {
    let words: Vec<_> = counts
        .iter()
        .map(|(arch, number)| format!("{arch} {}", count(*number)))
        .collect();
    words.join(", ")
}
