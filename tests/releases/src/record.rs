//! Writes down what a release leaves behind: its collector and its made-up agents run, over a file and over a
//! database; then its collector, started again, is asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_postgres::{Cluster, PASSWORD};
use archtrace_sim::collector::{Collector, Config};
use rusqlite::Connection;
use serde_json::Value;
use tokio::time::sleep;

use crate::{ask, left};

/// What a fleet is like: a few nodes are as good as many, and everything that can happen does.
const FLEET: [&str; 18] = [
    "--nodes=6",
    "--facts=10",
    "--duration=12s",
    "--updates-per-second=10",
    "--events-per-second=6",
    "--losses-per-second=0.5",
    "--pods-per-second=1",
    "--cuts-per-second=0.3",
    "--moves-per-second=0",
    "--restarts-per-second=0.5",
    "--jumps-per-second=0.2",
    "--cluster=sim",
    "--seed=7",
    "--settle=60s",
    "--duplicates=0",
    "--old-epochs=0",
    "--slow-readers=0",
    "--probes=0",
];

/// After so long nobody reports any more, so that answers do not depend on when they are given.
const SILENCE: Duration = Duration::from_secs(5);

/// What is recorded, and where to.
#[derive(Debug)]
pub struct Recording {
    /// The directory of the release's programs.
    pub programs: PathBuf,
    /// Its protocol, as `cargo xtask proto --publish` wrote it.
    pub protocol: PathBuf,
    /// The directory to write to.
    pub out: PathBuf,
}

impl Recording {
    /// Records it.
    ///
    /// # Errors
    /// If something does not run, or says that it is not right.
    pub async fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.out)?;
        fs::copy(&self.protocol, self.out.join(left::PROTOCOL)).context("copy the protocol")?;
        let scratch = tempfile::tempdir()?;
        self.sqlite(scratch.path()).await?;
        let cluster = archtrace_postgres::start().context("there is no PostgreSQL")?;
        self.postgres(scratch.path(), &cluster).await
    }

    async fn sqlite(&self, scratch: &Path) -> Result<()> {
        let path = scratch.join("store.db");
        let store = format!("sqlite:{}", path.display());
        self.fill_and_ask(scratch, "sqlite", &store).await?;
        let out = self.out.join(left::SQLITE);
        if out.exists() {
            fs::remove_file(&out)?;
        }
        // One file, without the log beside it.
        let out = out.to_str().context("the path is no text")?;
        Connection::open(&path)?.execute("VACUUM INTO ?", [out])?;
        Ok(())
    }

    async fn postgres(&self, scratch: &Path, cluster: &Cluster) -> Result<()> {
        let url = cluster.database("archtrace");
        // One line of JSON for each statement.
        for setting in [
            "logging_collector = on",
            "log_destination = jsonlog",
            "log_statement = 'all'",
        ] {
            cluster.sql("archtrace", &format!("ALTER SYSTEM SET {setting}"))?;
        }
        cluster.restart()?;
        self.fill_and_ask(scratch, "postgres", &url).await?;
        self.write(left::STATEMENTS, &statements(cluster)?.into())?;
        let dump = cluster.dump("archtrace")?;
        ensure!(!dump.contains(PASSWORD), "the password is in the dump");
        fs::write(self.out.join(left::POSTGRES), dump)?;
        Ok(())
    }

    async fn fill_and_ask(&self, scratch: &Path, kind: &str, store: &str) -> Result<()> {
        let config = Config {
            program: self.programs.join("archtrace-collector"),
            store: store.to_owned(),
            options: vec!["--heartbeat-interval=1s".to_owned()],
            log: scratch.join(format!("{kind}.log")),
        };
        let collector = Collector::start(&config)?;
        let url = format!("http://{}", collector.address());
        let mut fleet = Command::new(self.programs.join("archtrace-sim"));
        let fleet = fleet.args(FLEET).arg(format!("--collector={url}")).status();
        ensure!(
            fleet.context("run the fleet")?.success(),
            "not everything is right"
        );
        collector.kill()?;
        let collector = Collector::start(&config)?;
        sleep(SILENCE).await;
        let protocol = left::protocol(&self.protocol)?;
        let url = format!("http://{}", collector.address());
        let answers = ask::all(&protocol, &url).await?;
        self.write(&left::answers(kind), &answers)?;
        collector.kill()
    }

    fn write(&self, name: &str, what: &Value) -> Result<()> {
        let path = self.out.join(name);
        let text = format!("{what:#}\n");
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }
}

/// What was sent to the database: each text once, in order. Texts differ where many conditions may be asked for;
/// those of schemas are steps that are over.
fn statements(cluster: &Cluster) -> Result<Vec<String>> {
    let shown = cluster
        .psql("archtrace")
        .args(["--command", "SHOW data_directory"])
        .output()?;
    let data = PathBuf::from(String::from_utf8(shown.stdout)?.trim());
    let mut texts = std::collections::BTreeSet::new();
    for entry in fs::read_dir(data.join("log")).context("read the server's log")? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        for line in fs::read_to_string(&path)?.lines() {
            let line: Value = serde_json::from_str(line).context("the server's log")?;
            let message = line["message"].as_str().unwrap_or_default();
            let Some((_, text)) = message
                .strip_prefix("execute ")
                .and_then(|named| named.split_once(": "))
            else {
                continue;
            };
            texts.insert(text.to_owned());
        }
    }
    ensure!(!texts.is_empty(), "the server logged no statement");
    Ok(texts.into_iter().collect())
}
