//! Whether the service may move: its image before anything runs, and what was seen of it.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::fleet::{Fleet, HSM_JAR, library_path};
use super::{expect, told};
use crate::pods::Image;
use crate::world::{NODE, World};

/// The vendor's library, the sidecar, and an image for one platform.
pub(super) fn week_one(world: &World, fleet: &Fleet) -> Result<()> {
    let (native, foreign) = (fleet.native.as_str(), fleet.foreign.as_str());
    let library = format!("{HSM_JAR}!/{}", library_path(fleet.foreign));
    scans(world, fleet, &library)?;

    let emulator = world.emulator().display();
    let ran = |binary: &str| {
        json!([{
            "kind": "fact", "what": binary, "arch": foreign, "node": NODE,
            "detail": format!("emulated by {emulator} on {native}"),
        }])
    };
    let service = json!([{
        "namespace": "paykit", "workload": "Deployment/payments-api", "arch": native, "status": "FIX",
        "rows": [
            {"layer": "runtime", "component": "payments-api", "status": "PASS"},
            {"layer": "image", "component": fleet.canary.image.name, "status": "PASS"},
            {
                "layer": "native_dependencies", "component": fleet.canary.image.name,
                "status": "FIX", "finding": "foreign-library", "more_evidence": 0,
                "evidence": [{"kind": "file", "what": library, "arch": foreign, "detail": "jar_entry"}],
            },
            {
                "layer": "sidecars", "component": "envoy", "status": "FIX",
                "finding": "emulated-process", "evidence": ran("/usr/local/bin/envoy"),
            },
            {"layer": "agents", "component": "edr", "status": "FIX"},
            {"layer": "agents", "component": "observer", "status": "FIX"},
        ],
    }]);
    told(
        world,
        &matrix("Deployment/payments-api", native),
        2,
        &service,
    )?;
    let ledger = json!([{
        "workload": "Deployment/ledger", "status": "FIX",
        "rows": [
            {
                "layer": "runtime", "component": "ledger", "status": "FIX",
                "finding": "emulated-process", "evidence": ran("/bin/ledger"),
            },
            {
                "layer": "image", "component": fleet.ledger.image.name, "status": "FIX",
                "finding": "wrong-platform-image",
                "evidence": [{
                    "kind": "image", "what": fleet.ledger.image.name, "arch": foreign,
                    "detail": format!("it runs /bin/ledger, which is {foreign}"),
                }],
            },
            {"layer": "native_dependencies"},
            {"layer": "sidecars", "status": "PASS"},
            {"layer": "agents", "component": "edr"},
            {"layer": "agents", "component": "observer"},
        ],
    }]);
    told(world, &matrix("Deployment/ledger", native), 2, &ledger)?;
    images(world, fleet, &library)
}

fn matrix<'a>(workload: &'a str, arch: &'a str) -> [&'a str; 6] {
    ["matrix", workload, "-n", "paykit", "--arch", arch]
}

/// Before anything runs: what CI would have said of each image; and of the container that runs.
fn scans(world: &World, fleet: &Fleet, library: &str) -> Result<()> {
    let (native, foreign) = (fleet.native.as_str(), fleet.foreign.as_str());
    let found = json!({
        "kind": "finding", "finding": "foreign-library", "severity": "high", "file": library,
        "arch": foreign, "expected": native, "role": "jar_entry",
    });
    let main = |path: &str, arch: &str, findings: u64| {
        json!({
            "kind": "summary", "main": path, "main_arch": arch, "expected": native,
            "findings": findings, "skipped": {},
        })
    };
    let missing = |has: &str| {
        json!({
            "kind": "finding", "finding": "missing-platform", "platform": format!("linux/{native}"),
            "has": [format!("linux/{has}")],
        })
    };
    let mislabelled = json!({
        "kind": "finding", "finding": "mislabelled-image", "platform": format!("linux/{native}"),
        "arch": foreign, "expected": native, "main": "/usr/local/bin/envoy",
    });
    let program = json!({
        "kind": "finding", "finding": "foreign-program", "file": "/usr/local/bin/envoy",
        "arch": foreign, "expected": native, "role": "main",
    });
    let (service, envoy, ledger) = (&fleet.canary, &fleet.sidecar, &fleet.ledger);
    for (image, told) in [
        (&service.image, json!([found, main("/bin/java", native, 1)])),
        (
            &envoy.image,
            json!([
                mislabelled,
                program,
                main("/usr/local/bin/envoy", foreign, 2)
            ]),
        ),
        (
            &ledger.image,
            json!([missing(foreign), {"main_arch": foreign, "expected": foreign, "findings": 0}]),
        ),
    ] {
        scan(world, fleet, image, 2, &told)?;
    }
    // The container's root, as the service's first process has it.
    let pid = world.kubelet()?.main_process(&service.pod, &service.id)?;
    let root = format!("/proc/{pid}/root");
    let arguments = ["scan", &root, "--arch", native];
    let answer = world.client().answer(&arguments)?;
    expect::answer(
        &answer,
        2,
        &json!([found, {"kind": "summary", "findings": 1}]),
    )
    .with_context(|| format!("archtrace {}", arguments.join(" ")))
}

fn scan(world: &World, fleet: &Fleet, image: &Image, code: i32, told: &Value) -> Result<()> {
    let path = fleet.file("image.tar", &image.archive())?;
    let arguments = ["scan", &path, "--arch", fleet.native.as_str(), "--strict"];
    let answer = world.client().answer(&arguments)?;
    expect::answer(&answer, code, told).with_context(|| format!("scan {}", image.name))
}

/// What the node's agent found in the images of its containers.
fn images(world: &World, fleet: &Fleet, library: &str) -> Result<()> {
    let (native, foreign) = (fleet.native.as_str(), fleet.foreign.as_str());
    let image = |of: &Image, claim: &str, main: &str, findings: Value| {
        json!([{
            "image_id": of.id(), "images": [of.name], "image_arch": claim, "main_arch": main,
            "expected_arch": claim, "audited": true, "complete": true, "nodes": {native: 1},
            "findings": findings,
        }])
    };
    let (service, envoy, ledger) = (&fleet.canary, &fleet.sidecar, &fleet.ledger);
    let mut jar = image(&service.image, native, native, json!(["foreign-library"]));
    jar[0]["foreign"] = json!([{"path": library, "arch": foreign, "role": "jar_entry"}]);
    for (name, expected) in [
        (&service.image.name, jar),
        (
            &envoy.image.name,
            image(
                &envoy.image,
                native,
                foreign,
                json!(["mislabelled-image", "foreign-program"]),
            ),
        ),
        (
            &ledger.image.name,
            image(
                &ledger.image,
                foreign,
                foreign,
                json!(["wrong-platform-image"]),
            ),
        ),
    ] {
        told(world, &["images", name], 0, &expected)?;
    }
    Ok(())
}

/// The same image for both, with the library for both: nothing holds it back but what is waived.
pub(super) fn week_two(world: &World, fleet: &Fleet) -> Result<()> {
    let native = fleet.native.as_str();
    let clean = json!([{
        "kind": "summary", "main": "/bin/java", "main_arch": native, "findings": 0,
    }]);
    scan(world, fleet, &fleet.canary.image, 0, &clean)
}

/// Every row passes, now that the mandated agents do, and every node reports.
pub(super) fn moves(world: &World, fleet: &Fleet) -> Result<()> {
    let native = fleet.native.as_str();
    let service = json!([{
        "workload": "Deployment/payments-api", "status": "WAIVED",
        "rows": [
            {"layer": "runtime", "component": "payments-api", "status": "PASS"},
            {"layer": "image", "component": fleet.canary.image.name, "status": "PASS"},
            {"layer": "native_dependencies", "component": fleet.canary.image.name, "status": "PASS"},
            {"layer": "sidecars", "component": "envoy", "status": "PASS"},
            {"layer": "agents", "component": "observer", "status": "WAIVED"},
            {"layer": "agents", "component": "edr", "status": "PASS"},
        ],
    }]);
    told(
        world,
        &matrix("Deployment/payments-api", native),
        0,
        &service,
    )
}

/// Nobody knows what runs on a node that is silent, nor whether the mandated agents do.
pub(super) fn waits(world: &World, fleet: &Fleet) -> Result<()> {
    let gate = json!([{"workload": "Deployment/payments-api", "status": "GATE"}]);
    let asked = matrix("Deployment/payments-api", fleet.native.as_str());
    told(world, &asked, 3, &gate)
}
