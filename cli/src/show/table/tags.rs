//! Tags that pods ask for: one row each; wide, with all that is known of each.

use std::time::SystemTime;

use archtrace_facts::registry::{DeployedTag, User, Verdict};
use comfy_table::{Cell, Color, ContentArrangement};

use super::Listing;
use super::images::by_arch;
use crate::show::human::{age, count, utc};

pub(crate) fn tags(tags: &[DeployedTag]) -> String {
    let now = SystemTime::now();
    let head = ["IMAGE", "STATUS", "WHY", "WORKLOADS", "NODES", "CHECKED"];
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for tag in tags {
        let first = tag.users.first().map(user).unwrap_or_default();
        let others = (tag.users.len() as u64 + tag.more_users).saturating_sub(1);
        let users = match others {
            0 => first,
            others => format!("{first} and {} more", count(others)),
        };
        let checked = tag.check.checked_at;
        table.add(vec![
            table.plain(&tag.reference),
            verdict(&table, tag.verdict),
            table.plain(&tag.why),
            table.plain(users),
            table.plain(by_arch(&tag.nodes)),
            table.plain(checked.map_or("never".to_owned(), |at| age(at, now))),
        ]);
    }
    table.text()
}

pub(crate) fn tags_wide(tags: &[DeployedTag]) -> String {
    let mut text = String::new();
    for tag in tags {
        let DeployedTag {
            reference,
            verdict: is,
            why,
            check,
            users,
            more_users,
            nodes,
            node_names,
        } = tag;
        let mut table = Listing::new(&[], ContentArrangement::Disabled);
        table.pair("image", reference);
        table.pair("asked for", &check.reference);
        let cell = verdict(&table, *is);
        table.add(vec![table.plain("status"), cell]);
        table.pair("why", why);
        if let Ok(listing) = &check.told {
            table.pair("digest", &listing.digest);
        }
        let checked = check.checked_at.map_or("never".to_owned(), utc);
        table.pair("checked", checked);
        for known in users {
            table.pair("workload", user(known));
        }
        if *more_users > 0 {
            table.pair("workload", format!("and {} more", count(*more_users)));
        }
        table.pair("nodes", by_arch(nodes));
        table.pair("such as", node_names.join(", "));
        text.push_str(&table.text());
        text.push('\n');
    }
    text
}

fn verdict(table: &Listing, verdict: Verdict) -> Cell {
    let cell = table.plain(verdict);
    match verdict {
        Verdict::Has => table.colour(cell, Color::Green),
        Verdict::Unknown => table.colour(cell, Color::Yellow),
        Verdict::Lacks => table.colour(cell, Color::Red),
    }
}

fn user(user: &User) -> String {
    let User {
        cluster: _,
        namespace,
        workload,
    } = user;
    match workload.as_str() {
        "" => format!("{namespace} (unknown)"),
        workload => format!("{namespace}/{workload}"),
    }
}
