//! What pages show, made of what was answered: sorted, summed up and cut here, printed by templates.

mod agents;
mod cover;
mod covered;
mod emulated;
mod events;
mod findings;
mod fleet;
mod node;
mod workload;
mod workloads;

pub(crate) use agents::{Agents, By};
pub(crate) use cover::Cover;
pub(crate) use covered::{Covered, Listed, Narrowed};
pub(crate) use emulated::Emulated;
pub(crate) use events::{EventRow, rows as event_rows};
pub(crate) use findings::FindingRow;
pub(crate) use fleet::{Arrived, Fleet};
pub(crate) use node::{Heard, NodeRow, NodeView};
pub(crate) use workload::{Asked, WorkloadView};
pub(crate) use workloads::Workloads;

use std::time::{Duration, SystemTime};

use archtrace_facts::fact::Mode;
use archtrace_facts::human;
use askama::Template;

use crate::link;

/// What is around every page.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) places: Vec<Place>,
}

/// A place of the navigation.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) link: &'static str,
    pub(crate) is_here: bool,
}

/// The navigation. A view that is added has its place here, and its route in `router`.
const PLACES: [(&str, &str); 7] = [
    ("Fleet", link::FLEET),
    ("Findings", link::FINDINGS),
    ("Emulated", link::EMULATED),
    ("Workloads", link::WORKLOADS),
    ("Nodes", link::NODES),
    ("Coverage", link::COVERAGE),
    ("Events", link::EVENTS),
];

impl Frame {
    /// A page of a place, such as [`link::NODES`]; of none if that is empty.
    pub(crate) fn new(title: impl Into<String>, here: &str) -> Self {
        let places = PLACES.into_iter().map(|(name, link)| Place {
            name,
            link,
            is_here: link == here,
        });
        Self {
            title: title.into(),
            places: places.collect(),
        }
    }
}

/// How long ago something was; exactly for those who ask.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ utc }}" title="{{ utc }}">{{ age }}</time>"#
)]
pub(crate) struct When {
    pub(crate) utc: String,
    pub(crate) age: String,
}

impl When {
    pub(crate) fn new(time: SystemTime, now: SystemTime) -> Self {
        Self {
            utc: human::utc(time),
            age: human::age(time, now),
        }
    }
}

/// A name that leads somewhere; just a name where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Template)]
#[template(
    ext = "html",
    source = r#"{% if link.is_empty() %}{{ name }}{% else %}<a href="{{ link }}">{{ name }}</a>{% endif %}"#
)]
pub(crate) struct Name {
    pub(crate) name: String,
    pub(crate) link: String,
}

impl Name {
    pub(crate) fn node(cluster: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            link: link::node(cluster, name),
        }
    }

    pub(crate) fn workload(cluster: &str, namespace: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            link: link::workload(cluster, namespace, name),
        }
    }
}

/// A part of a whole, as a bar and in words.
#[derive(Clone, Copy, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{{ percent }} %"><rect class="all" width="100" height="8"/><rect class="part" width="{{ percent }}" height="8"/></svg>"#
)]
pub(crate) struct Bar {
    pub(crate) percent: u64,
}

impl Bar {
    pub(crate) fn new(part: u64, whole: u64) -> Self {
        // Parts of nanoseconds of a fleet: 128 bits hold a hundred times them.
        let percent = u128::from(part) * 100 / u128::from(whole.max(1));
        Self {
            percent: u64::try_from(percent).unwrap_or(100).min(100),
        }
    }
}

/// Which part of a long list this is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pager {
    /// From 1 on; 0 if there is nothing.
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) all: usize,
    pub(crate) before: String,
    pub(crate) behind: String,
}

/// Rows of one page: what a browser lays out at once.
pub(crate) const ROWS: usize = 100;

/// The rows of a page, counted from 0, and where it is among all.
pub(crate) fn cut<T>(mut rows: Vec<T>, page: usize, link: &str) -> (Vec<T>, Pager) {
    let all = rows.len();
    let start = page.saturating_mul(ROWS).min(all);
    let end = start.saturating_add(ROWS).min(all);
    rows.truncate(end);
    let rows = rows.split_off(start);
    let to = |page: usize| match page {
        0 => link.to_owned(),
        page => link::with(link, &[("page", &page.to_string())]),
    };
    let pager = Pager {
        first: if rows.is_empty() { 0 } else { start + 1 },
        last: end,
        all,
        before: page.checked_sub(1).map(to).unwrap_or_default(),
        behind: if end < all {
            to(page + 1)
        } else {
            String::new()
        },
    };
    (rows, pager)
}

/// What is known of emulated processes only, such as CPU time; of others a dash.
pub(crate) fn if_emulated(mode: &str, text: String) -> String {
    if mode == Mode::Emulated.as_str() {
        text
    } else {
        "–".to_owned()
    }
}

pub(crate) fn cpu(nanos: u64) -> String {
    human::duration(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_into_pages() {
        for (rows, page, first, last, before, behind) in [
            (0, 0, 0, 0, "", ""),
            (100, 0, 1, 100, "", ""),
            (101, 0, 1, 100, "", "/x?page=1"),
            (101, 1, 101, 101, "/x", ""),
            (250, 1, 101, 200, "/x", "/x?page=2"),
            (5, 7, 0, 5, "/x?page=6", ""),
            (5, usize::MAX, 0, 5, "/x?page=18446744073709551614", ""),
        ] {
            let (cut, pager) = cut((0..rows).collect(), page, "/x");
            assert_eq!((pager.first, pager.last, pager.all), (first, last, rows));
            assert_eq!((&*pager.before, &*pager.behind), (before, behind));
            let expected: Vec<_> = (first.saturating_sub(1)..last).collect();
            assert!(cut.is_empty() && first == 0 || cut == expected, "{page}");
        }
    }

    #[test]
    fn bars_stay_within_their_bounds() {
        for (part, whole, percent) in [(0, 0, 0), (1, 3, 33), (3, 3, 100), (u64::MAX, 1, 100)] {
            assert_eq!(Bar::new(part, whole).percent, percent);
        }
    }

    #[test]
    fn names_are_escaped() {
        let name = Name {
            name: "<script>\"&".to_owned(),
            link: link::node("", "\"><b>"),
        };
        let html = name.render().expect("renders");
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
    }
}
