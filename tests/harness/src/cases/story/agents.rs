//! What policy mandates on the node.

use anyhow::Result;
use serde_json::{Value, json};

use super::fleet::{Fleet, MANDATED, Placed, Policy, Waiver};
use super::told;
use crate::world::{NODE, World};

const EDR: [&str; 3] = ["coverage", "--agent", "edr"];
const OBSERVER: [&str; 3] = ["coverage", "--agent", "observer"];
const EVERY: [&str; 1] = ["coverage"];

/// One is emulated, and one does not start. What is less on this kernel, if something is.
pub(super) fn week_one(world: &World, fleet: &Fleet) -> Result<Option<&'static str>> {
    let edr = |status: &str, waived: Option<&str>, waiver: Value| {
        let emulator = world.emulator().display();
        let reason = format!(
            "{} program under {emulator}, 1 process",
            fleet.foreign.as_str()
        );
        json!([{
            "status": status, "waived_status": waived, "waiver": waiver, "reason": reason,
            "agent": "edr", "node": NODE, "node_arch": fleet.native.as_str(),
            "workload": "DaemonSet/falcon-sensor", "namespace": "falcon-system",
            "pod": fleet.edr.pod.name, "binary": "/opt/falcon/sensor", "image": fleet.edr.image.name,
        }])
    };
    told(world, &EDR, 5, &edr("EMULATED", None, Value::Null))?;
    let less = failing(world, fleet)?;

    fleet.policy(Policy {
        edr: Waiver::Holds,
        observer: Waiver::Holds,
        ..MANDATED
    })?;
    let waived = edr(
        "WAIVED",
        Some("EMULATED"),
        waiver("2200-02-01T00:00:00Z", false),
    );
    told(world, &EDR, 0, &waived)?;
    let both = json!([
        {"agent": "edr", "status": "WAIVED"},
        {"agent": "observer", "status": "WAIVED"},
    ]);
    told(world, &EVERY, 0, &both)?;

    fleet.policy(Policy {
        edr: Waiver::Expired,
        observer: Waiver::Holds,
        ..MANDATED
    })?;
    let expired = edr("EMULATED", None, waiver("2001-02-01T00:00:00Z", true));
    told(world, &EDR, 5, &expired)?;
    told(
        world,
        &EVERY,
        5,
        &json!([{"status": "EMULATED"}, {"status": "WAIVED"}]),
    )?;
    Ok(less)
}

/// The one that does not start. Without the header hook nobody knows why, and only after two minutes that it
/// does not.
fn failing(world: &World, fleet: &Fleet) -> Result<Option<&'static str>> {
    let Placed { pod, image, .. } = &fleet.observer;
    if !world.sees_headers()? {
        let row = json!({"agent": "observer", "node": NODE, "waived_status": null, "waiver": null});
        told(world, &OBSERVER, 5, &json!([row]))?;
        return Ok(Some(
            "an agent that does not start is failing after two minutes only, and not told why: its file is gone with its container",
        ));
    }
    let reason = format!(
        "exec format error: foreign_elf, {} file",
        fleet.foreign.as_str()
    );
    let row = json!({
        "agent": "observer", "status": "FAILING", "waived_status": null, "waiver": null,
        "node": NODE, "workload": "DaemonSet/observer", "namespace": "monitoring", "pod": pod.name,
        "reason": reason, "binary": "/bin/observer", "image": image.name,
    });
    told(world, &OBSERVER, 5, &json!([row]))?;
    Ok(None)
}

/// The vendor's build for this architecture runs natively, and is fine as soon as security says so.
pub(super) fn week_two(world: &World, fleet: &Fleet) -> Result<()> {
    let row = |status: &str, reason: String| {
        json!([
            {
                "agent": "edr", "status": status, "reason": reason, "pod": fleet.edr.pod.name,
                "image": fleet.edr.image.name,
            },
            {
                "agent": "observer", "status": "WAIVED", "waived_status": "FAILING",
                "waiver": waiver("2200-02-01T00:00:00Z", false),
            },
        ])
    };
    let reason = format!("tag 7.18.2 is not certified for {}", fleet.native.as_str());
    told(world, &EVERY, 5, &row("UNCERTIFIED", reason))?;
    fleet.policy(Policy {
        certified: "7.18.2",
        observer: Waiver::Holds,
        ..MANDATED
    })?;
    let reason = "runs natively, certified as tag 7.18.2".to_owned();
    told(world, &EVERY, 0, &row("NATIVE", reason))
}

fn waiver(expires: &str, expired: bool) -> Value {
    json!({
        "owner": "jane@paykit.example", "reason": "the vendor was asked",
        "expires": expires, "expired": expired,
    })
}
