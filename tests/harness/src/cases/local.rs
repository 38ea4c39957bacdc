//! What the agent answers itself, with the collector down.

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::Program;
use serde_json::Value;

use super::Outcome;
use super::kinds::SOON;
use crate::client::Client;
use crate::wait::eventually;
use crate::world::{NODE, World, run};

/// Every question, to the agent's socket. Comes after cases that end the agent by SIGKILL, so that the
/// socket has replaced the one that was left.
pub(super) fn answers(world: &mut World) -> Result<Outcome> {
    let program = world.program("local-answers", world.foreign(), Program::Exit(0))?;
    let binary = program.display().to_string();
    run(&program, 3)?;
    world.counted(&binary, "emulated", 3, SOON)?;
    world.kill_collector()?;
    let told = run(&program, 2).and_then(|()| asked(&world.local_client(), &binary));
    // Whatever came of it: other cases need the collector.
    world.start_collector()?;
    let told = told?;
    world.counted(&binary, "emulated", 5, SOON)?;
    Ok(Outcome::Pass(told))
}

fn asked(client: &Client, binary: &str) -> Result<String> {
    let is_ours = |object: &&Value| object["binary"] == binary;
    let ((), after) = eventually(SOON, || {
        let facts = client.facts(&["--mode", "emulated"])?;
        let fact = facts.iter().find(|fact| fact.binary == binary);
        let count = fact.context("the agent has no fact of it")?.count;
        ensure!(count == 5, "the agent counts {count} execs of 5");
        Ok(())
    })?;
    let emulated = client.ask(&["emulated", "--binary", binary])?;
    ensure!(
        emulated.len() == 1 && emulated.iter().all(|fact| fact["count"] == 5),
        "emulated: {emulated:?}"
    );
    let events = client.ask(&["events", "--kind", "emulated_exec", "--since", "1h"])?;
    ensure!(
        events.iter().any(|event| is_ours(&event)),
        "events: nothing of {binary} in {events:?}"
    );
    let nodes = client.ask(&["nodes"])?;
    ensure!(
        nodes.len() == 1
            && nodes
                .iter()
                .all(|node| node["node"] == NODE && node["state"] == "reporting"),
        "nodes: {nodes:?}"
    );
    let summary = client.ask(&["summary", "--by", "mode"])?;
    let sum = summary.iter().find(|row| row["mode"] == "emulated");
    let sum = sum.with_context(|| format!("summary: {summary:?}"))?;
    ensure!(sum["coverage"]["reporting"] == 1, "summary: {summary:?}");
    let findings = client.ask(&["findings", "--finding", "emulated-process"])?;
    ensure!(
        findings.iter().any(|finding| is_ours(&finding)),
        "findings: nothing of {binary} in {findings:?}"
    );
    let status = client.ask(&["status"])?;
    ensure!(
        status.iter().all(|status| status["nodes_reporting"] == 1),
        "status: {status:?}"
    );
    Ok(format!(
        "counted {} ms after the collector was gone; {} emulated fact(s) in all",
        after.as_millis(),
        sum["facts"]
    ))
}
