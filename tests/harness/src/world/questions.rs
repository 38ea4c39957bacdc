//! What archtrace, and the machine itself, say of the world.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::Program;
use serde_json::Value;

use super::{NODE, World};
use crate::client::Fact;
use crate::wait::eventually;

impl World {
    /// What `archtrace nodes` says of this node.
    ///
    /// # Errors
    /// If it is not listed.
    pub fn node(&self) -> Result<Value> {
        let nodes = self.client().ask(&["nodes"])?;
        nodes
            .into_iter()
            .find(|node| node["node"] == NODE)
            .context("the node is not listed")
    }

    /// Whether the kernel tells of every file of an exec (tiers 1 and 2), also of processes that
    /// are gone a moment later.
    ///
    /// # Errors
    /// If the node is not listed.
    pub fn sees_headers(&self) -> Result<bool> {
        Ok(self.header_tier()? != 3)
    }

    /// The tier in which the hook that sees headers runs.
    ///
    /// # Errors
    /// If the node is not listed.
    pub fn header_tier(&self) -> Result<u64> {
        let node = self.node()?;
        let hooks = node["preflight"]["hooks"].as_array();
        hooks
            .into_iter()
            .flatten()
            .find(|hook| hook["name"] == "header")
            .and_then(|hook| hook["tier"].as_u64())
            .context("the node has no hook for headers")
    }

    /// Whether programs of the CPU's 32-bit mode run here.
    ///
    /// # Errors
    /// If that cannot be tried.
    pub fn runs_32bit(&self) -> Result<bool> {
        let file = self.dir().join("runs-32-bit");
        if !file.exists() {
            self.program(&file, self.native.compat(), Program::Exit(0))?;
        }
        let status = Command::new(&file).stdin(Stdio::null()).status();
        Ok(status.is_ok_and(|status| status.success()))
    }

    /// Waits until there is exactly one fact of `binary` in `mode`, with this count.
    ///
    /// # Errors
    /// If there is not, in time.
    pub fn counted(
        &self,
        binary: &str,
        mode: &str,
        count: u64,
        limit: Duration,
    ) -> Result<(Fact, Duration)> {
        let client = self.client();
        eventually(limit, || {
            let facts = client.facts(&["--mode", mode])?;
            let mut facts = facts.into_iter().filter(|fact| fact.binary == binary);
            let fact = facts
                .next()
                .with_context(|| format!("no {mode} fact of {binary}"))?;
            let another = facts.next();
            ensure!(
                another.is_none(),
                "more than one {mode} fact of {binary}: {fact:?} and {another:?}"
            );
            ensure!(
                fact.count == count,
                "{} execs of {binary} were counted, {count} happened",
                fact.count
            );
            Ok(fact)
        })
    }
}
