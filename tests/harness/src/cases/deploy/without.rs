//! What is missing with less than the chart gives, and who says so.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::release::{PROFILE_WITHOUT, Release};
use super::{Guest, texts};
use crate::pods::{Deployed, Workload};
use crate::world::World;

/// What `archtrace-agent preflight` comes to.
struct Expected {
    /// What is taken away.
    what: &'static str,
    /// The exit code.
    code: i32,
    /// Where it starts all the same: what the lines of what is missing begin with, and whether handlers of
    /// `binfmt_misc` are seen. Else what is said.
    told: Told,
}

enum Told {
    Report {
        missing: &'static [&'static str],
        handlers: bool,
    },
    Error(&'static str),
}

/// Nothing, but that the runtime's own profile of seccomp stands in for the chart's.
const NOTHING: &str = "nothing";

/// A profile of seccomp that is too old for these capabilities, as some runtimes have one.
const CALL: &str = "bpf(2) in the seccomp profile";

/// docs/security.md has this as a table.
const ALL: [Expected; 6] = [
    Expected {
        what: NOTHING,
        code: 0,
        told: Told::Report {
            missing: &[],
            handlers: true,
        },
    },
    Expected {
        what: "BPF",
        code: 3,
        told: Told::Error("CAP_BPF is missing"),
    },
    Expected {
        what: "PERFMON",
        code: 3,
        told: Told::Error("CAP_PERFMON is missing"),
    },
    Expected {
        what: "SYS_PTRACE",
        code: 0,
        told: Told::Report {
            missing: &["CAP_SYS_PTRACE is missing"],
            handlers: false,
        },
    },
    Expected {
        what: "DAC_READ_SEARCH",
        code: 0,
        told: Told::Report {
            missing: &["CAP_DAC_READ_SEARCH is missing"],
            handlers: true,
        },
    },
    Expected {
        what: CALL,
        code: 1,
        told: Told::Error("a profile of seccomp is in force"),
    },
];

/// Runs the preflight in the agent's pod with each of these.
pub(super) fn reports(world: &World, release: &Release, agent: &Deployed) -> Result<()> {
    let shown: Vec<_> = ALL.iter().map(|expected| expected.what).collect();
    for capability in release.agent.capabilities()? {
        ensure!(
            shown.contains(&capability.as_str()),
            "nothing is shown of {capability}"
        );
    }
    for (attempt, expected) in (0..).zip(&ALL) {
        let workload = less(&release.agent, expected.what)?;
        let workload =
            workload.with_arguments(&["preflight", "--output=json", "--proc=/host/proc"]);
        report(world, release, agent, &workload, attempt, expected)
            .with_context(|| format!("without {}", expected.what))?;
    }
    Ok(())
}

fn less(agent: &Workload, what: &str) -> Result<Workload> {
    match what {
        NOTHING => Ok(agent.with_profile(None)),
        CALL => Ok(agent.with_profile(Some(PROFILE_WITHOUT))),
        capability => agent.without(capability),
    }
}

fn report(
    world: &World,
    release: &Release,
    agent: &Deployed,
    workload: &Workload,
    attempt: u32,
    expected: &Expected,
) -> Result<()> {
    let kubelet = world.kubelet()?;
    let launched = kubelet.launch(agent, workload, &release.cluster, attempt)?;
    let code = kubelet.ended(&launched)?;
    let said = launched.said();
    ensure!(
        code == expected.code,
        "it ended with {code} instead of {}: {said}",
        expected.code
    );
    match expected.told {
        Told::Error(words) => ensure!(said.contains(words), "it says: {said}"),
        Told::Report { missing, handlers } => {
            let report = said.lines().find(|line| line.starts_with('{'));
            let report = report.with_context(|| format!("no report: {said}"))?;
            let report: Value = serde_json::from_str(report)?;
            let told = texts(&report["missing"]);
            ensure!(
                told.len() == missing.len()
                    && told
                        .iter()
                        .zip(missing)
                        .all(|(line, start)| line.starts_with(start)),
                "something else is missing: {report}"
            );
            let seen = report["handlers"]
                .as_array()
                .is_some_and(|all| !all.is_empty());
            ensure!(seen == handlers, "handlers are told as {report}");
        }
    }
    Ok(())
}

/// The agent itself, where it may not read what root may not by the file's mode.
pub(super) fn files(
    world: &World,
    release: &Release,
    agent: &Deployed,
    guest: &Guest,
) -> Result<()> {
    let workload = release.agent.without("DAC_READ_SEARCH")?;
    let kubelet = world.kubelet()?;
    let launched = kubelet.launch(agent, &workload, &release.cluster, 99)?;
    kubelet.ready(&launched)?;
    guest.listed(release)?;
    guest.audited(release, false)?;
    kubelet.end_container(&launched)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_documents_say_what_is_shown() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
        let text = fs::read_to_string(&file).expect("the documents are there");
        for Expected { what, code, told } in &ALL[1..] {
            let name = match *what {
                CALL => CALL.to_owned(),
                capability => format!("CAP_{capability}"),
            };
            let words = match told {
                Told::Error(words) => *words,
                Told::Report { missing, .. } => missing[0],
            };
            let row = format!("| {name} | {code}, `{words}` | ");
            assert!(text.contains(&row), "docs/security.md has no row {row:?}");
        }
    }
}
