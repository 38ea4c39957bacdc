//! The page for browsers: how long its views take, asked as a browser does.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::plan::{DAEMON_SETS, UNITS};

/// Views that are measured, in the order of [`Pages::views`].
pub(super) const VIEWS: [&str; 4] = ["front", "emulated", "coverage", "one workload"];

/// Times of each view.
pub(super) type Times = [Vec<Duration>; VIEWS.len()];

/// A view is some hundred kB.
const MOST: u64 = 16 << 20;

/// Mandated agents: the DaemonSets, and some of the units.
const AGENTS: usize = DAEMON_SETS.len() + 4;

/// Writes a policy that mandates agents which are on all nodes; one of them in a version that is not certified
/// on arm64.
pub(super) fn policy(directory: &Path) -> Result<PathBuf> {
    let mut text = "agents:\n".to_owned();
    for (namespace, name, _) in DAEMON_SETS {
        let _ = writeln!(
            text,
            "  - name: {name}\n    match:\n      namespace: {namespace}\n      workload: DaemonSet/{name}"
        );
        if name == "falco" {
            text.push_str("    certified:\n      amd64: [\"*\"]\n      arm64: [\"none\"]\n");
        }
    }
    let mut units: Vec<_> = UNITS
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("system.slice/"))
        .collect();
    units.dedup();
    for unit in units.into_iter().take(AGENTS - DAEMON_SETS.len()) {
        let _ = writeln!(text, "  - name: {unit}\n    match:\n      unit: {unit}");
    }
    let path = directory.join("policy.yaml");
    std::fs::write(&path, text).context("write a policy")?;
    Ok(path)
}

/// Where pages are.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    address: SocketAddr,
    workload: String,
}

impl Pages {
    /// Finds one of the workloads that are emulated.
    pub(super) async fn new(address: SocketAddr) -> Result<Self> {
        let emulated = get(address, "/emulated").await?;
        let link = emulated.split("href=\"").skip(1);
        let mut links = link.filter_map(|link| link.split_once('"'));
        let workload = links.find(|(link, _)| link.starts_with("/workload?"));
        let (workload, _) = workload.context("no workload is emulated")?;
        Ok(Self {
            address,
            workload: workload.replace("&#38;", "&").replace("&amp;", "&"),
        })
    }

    fn views(&self) -> [&str; VIEWS.len()] {
        ["/", "/emulated", "/coverage", &self.workload]
    }

    /// Asks for each view once, each on a connection of its own.
    pub(super) async fn ask(&self, times: &mut Times) -> Result<()> {
        for (view, times) in self.views().into_iter().zip(times) {
            let start = Instant::now();
            let text = get(self.address, view).await?;
            times.push(start.elapsed());
            ensure!(text.contains("</html>"), "{view} ends too early");
        }
        Ok(())
    }
}

async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.take(MOST).read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    let text = asked.await.with_context(|| format!("ask for {path}"))?;
    let first = text.lines().next().unwrap_or_default();
    ensure!(first.starts_with("HTTP/1.1 200"), "{path}: {first}");
    Ok(text)
}
