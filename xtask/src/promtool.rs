//! The alert rules: whether Prometheus takes them, and whether they fire when they should. And whether it
//! takes what the dashboard asks.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::vm::Arch;
use crate::{apt, paths, progress};

/// Rules, and beneath them their tests.
const ALERTS: &str = "deploy/alerts";

const DASHBOARD: &str = "deploy/dashboards/archtrace.json";

/// Checks the rules and runs their unit tests.
///
/// # Errors
/// If one fails, or promtool cannot be had.
pub(crate) fn check() -> Result<()> {
    let promtool = promtool()?;
    let run = |title: &str, task: &str, files: Vec<OsString>| {
        let mut command = Command::new(&promtool);
        command.args([task, "rules"]).args(files);
        progress::command(title, command.current_dir(paths::root()))
    };
    run("check the alert rules", "check", yaml(ALERTS)?)?;
    let tests = Path::new(ALERTS).join("tests");
    run("test the alert rules", "test", yaml(&tests)?)?;
    let asked = asked(&paths::root().join(DASHBOARD))?;
    let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    fs::write(file.path(), asked).context("write what the dashboard asks")?;
    let files = vec![file.path().as_os_str().to_owned()];
    run("check what the dashboard asks", "check", files)
}

/// What a dashboard asks Prometheus, as a file of rules (JSON is YAML): promtool then reads it.
fn asked(dashboard: &Path) -> Result<String> {
    let text = fs::read_to_string(dashboard);
    let text = text.with_context(|| format!("read {}", dashboard.display()))?;
    let dashboard: Value = serde_json::from_str(&text).context("the dashboard is no JSON")?;
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let rules: Vec<_> = targets
        .filter_map(|target| target["expr"].as_str())
        .enumerate()
        // What Grafana puts in.
        .map(|(i, expr)| (i, expr.replace("$__rate_interval", "5m")))
        .map(|(i, expr)| json!({ "record": format!("panel:{i}"), "expr": expr }))
        .collect();
    ensure!(!rules.is_empty(), "the dashboard asks nothing");
    Ok(json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string())
}

/// The YAML files of a directory of the workspace, sorted.
fn yaml(dir: impl AsRef<Path>) -> Result<Vec<OsString>> {
    let dir = dir.as_ref();
    let entries = fs::read_dir(paths::root().join(dir));
    let entries = entries.with_context(|| format!("read {}", dir.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let name = PathBuf::from(entry?.file_name());
        if name
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(dir.join(name).into_os_string());
        }
    }
    files.sort_unstable();
    ensure!(!files.is_empty(), "no YAML file in {}", dir.display());
    Ok(files)
}

/// Prometheus' tool: an installed one, or that of Debian's package, taken out of it, since its
/// installation would start a service of the whole machine.
fn promtool() -> Result<PathBuf> {
    if let Some(installed) = paths::program("promtool") {
        return Ok(installed);
    }
    let host = Arch::host().filter(|_| apt::is_here());
    let host = host.context("promtool is missing; install your distribution's Prometheus")?;
    let package = apt::Package {
        suite: "bookworm",
        arch: host.as_str(),
        name: "prometheus",
        version: None,
        part: "",
    };
    let dir = apt::unpack(package, &["./usr/bin/promtool"])?;
    Ok(dir.join("usr/bin/promtool"))
}
