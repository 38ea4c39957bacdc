//! How a container's processes ran.

use super::seen::{self, Container};
use super::{Layer, Row, Status, row};
use crate::arch::Arch;
use crate::fact::Mode;

/// Its row.
pub(super) fn row_of(container: &Container, arch: Arch) -> Row {
    let Container {
        name,
        good,
        bad,
        more_bad,
        hidden,
        blind,
        ..
    } = container;
    let row = |status, why: String| row(Layer::Runtime, name, status, why);
    // In the order of the catalogue, which has in front what matters most.
    if let Some((id, _)) = bad.iter().min_by_key(|(id, _)| *id) {
        let title = id.entry().map_or("", |entry| entry.title);
        let mut shown: Vec<_> = bad.iter().collect();
        shown.sort_by(|a, b| seen::order(a).cmp(&seen::order(b)));
        let evidence = shown.into_iter().map(|(_, evidence)| evidence.clone());
        return row(Status::Fix, sentence(title))
            .finding(*id)
            .shown_by(evidence, *more_bad);
    }
    let evidence = good.iter().map(|good| good.example.clone());
    let gate = |why: String, action: String| {
        row(Status::Gate, why)
            .action(action)
            .shown_by(evidence.clone(), 0)
    };
    if let Some(runtime) = hidden {
        return gate(
            format!("a pod of it runs in {runtime}, where nothing is seen of it"),
            format!("run one replica without {runtime} on a node that is {arch}, and verify that"),
        );
    }
    if let Some((node, why)) = blind {
        return gate(
            format!("ran on {node}, where not all is seen: the agent there {why}"),
            "run one replica on another node: archtrace findings --finding agent-degraded says which \
             these are"
                .to_owned(),
        );
    }
    let there = |mode| {
        good.iter()
            .find(|good| good.node_arch == arch && good.mode == mode)
    };
    if there(Mode::Compat).is_some() {
        return gate(
            format!("runs 32-bit programs, which not every {arch} CPU has a mode for"),
            "build them for 64 bits, or keep it on nodes whose CPU has that mode".to_owned(),
        );
    }
    match there(Mode::Native) {
        Some(good) if good.is_current => {
            row(Status::Pass, format!("native on {arch}")).shown_by([good.example.clone()], 0)
        }
        Some(_) => gate(
            format!("was native on {arch}, on nodes that do not report any more"),
            "look why they are silent: archtrace nodes".to_owned(),
        ),
        None if good.is_empty() => gate(
            format!("nothing of it was seen to run on {arch}"),
            canary(arch),
        ),
        None => {
            let mut archs: Vec<_> = good.iter().map(|good| good.node_arch.to_string()).collect();
            archs.sort_unstable();
            archs.dedup();
            gate(
                format!("ran on {} only, and not yet on {arch}", archs.join(" and ")),
                canary(arch),
            )
        }
    }
}

fn canary(arch: Arch) -> String {
    format!(
        "run one replica on a node that is {arch}, and watch it: archtrace verify --arch {arch}"
    )
}

/// Titles of findings are sentences that begin in upper case.
pub(super) fn sentence(title: &str) -> String {
    let mut chars = title.chars();
    let first = chars.next().map(|first| first.to_lowercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}
