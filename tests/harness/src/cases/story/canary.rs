//! Whether the canary may be trusted.

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::json;

use super::fleet::{Fleet, SILENT};
use super::{service, told};
use crate::world::{NODE, World};

/// The question, with how many pods there should be if that is said.
fn verify<'a>(fleet: &Fleet, pods: Option<&'a str>) -> Vec<&'a str> {
    let mut arguments = vec![
        "verify",
        "-n",
        "paykit",
        "-l",
        "app=payments-api,track=canary",
    ];
    arguments.extend(["--arch", fleet.native.as_str(), "--for", "1s"]);
    if let Some(pods) = pods {
        arguments.extend(["--expect-pods", pods]);
    }
    arguments
}

/// The sidecar is emulated, and named.
pub(super) fn week_one(world: &World, fleet: &Fleet) -> Result<()> {
    let sidecar = &fleet.sidecar;
    let expected = json!([{
        "verdict": "not_native",
        "arch": fleet.native.as_str(),
        "namespace": "paykit",
        "pods": 1,
        "native_pods": 0,
        "expect_pods": 1,
        "not_native": [{
            "why": "emulated",
            "node": NODE,
            "pod": sidecar.pod.name,
            "pod_uid": sidecar.pod.uid,
            "container": "envoy",
            "container_id": sidecar.id,
            "binary": "/usr/local/bin/envoy",
            "arch": fleet.foreign.as_str(),
            "emulator": world.emulator().display().to_string(),
            "image": sidecar.image.name,
            "workload": "Deployment/payments-api",
            "processes": 1,
        }],
        "more_not_native": 0,
        "doubts": [],
    }]);
    told(world, &verify(fleet, Some("1")), 2, &expected)
}

/// The pod that replaced it is native, and nothing of the one before is told any more.
pub(super) fn week_two(world: &World, fleet: &Fleet) -> Result<()> {
    let native = json!([{
        "verdict": "native", "pods": 1, "native_pods": 1, "not_native": [], "doubts": [],
    }]);
    told(world, &verify(fleet, Some("1")), 0, &native)?;
    told(world, &verify(fleet, None), 0, &native)?;
    let too_few = json!([{
        "verdict": "unknown", "pods": 1, "native_pods": 1, "not_native": [],
        "doubts": [{
            "doubt": "too_few_pods",
            "message": "1 of 2 pods were seen on nodes that report",
        }],
    }]);
    told(world, &verify(fleet, Some("2")), 3, &too_few)
}

/// Nodes that do not report: one that never did, then the canary's own.
pub(super) fn silence(world: &mut World, fleet: &Fleet) -> Result<()> {
    let native = json!([{"verdict": "native", "doubts": []}]);
    let agent = |status: &str, node: &str| json!({"agent": "edr", "status": status, "node": node});
    let coverage = ["coverage", "--agent", "edr"];

    fleet.nodes(&[SILENT])?;
    let rows = json!([agent("UNKNOWN", SILENT), agent("NATIVE", NODE)]);
    told(world, &coverage, 6, &rows)?;
    let more = json!([{
        "verdict": "unknown", "pods": 1, "native_pods": 1,
        "doubts": [{"doubt": "silent_nodes"}],
        "coverage": {"reporting": 1, "unknown": 1, "unknown_nodes": [SILENT]},
    }]);
    told(world, &verify(fleet, None), 3, &more)?;
    told(world, &verify(fleet, Some("1")), 0, &native)?;
    service::waits(world, fleet)?;
    fleet.nodes(&[])?;
    told(world, &coverage, 0, &json!([agent("NATIVE", NODE)]))?;

    // It hangs: what it told before is no answer.
    world.agent()?.signal(Signal::SIGSTOP)?;
    let stale = json!([{
        "verdict": "unknown", "pods": 1, "native_pods": 1,
        "doubts": [{"doubt": "too_few_pods"}, {"doubt": "stale_node"}],
        "coverage": {"reporting": 0, "stale": 1, "stale_nodes": [NODE]},
    }]);
    let silent = told(world, &verify(fleet, Some("1")), 3, &stale)
        .and_then(|()| told(world, &coverage, 6, &json!([agent("STALE", NODE)])));
    world.agent()?.signal(Signal::SIGCONT)?;
    silent?;
    told(world, &verify(fleet, Some("1")), 0, &native)?;
    told(world, &coverage, 0, &json!([agent("NATIVE", NODE)]))
}
