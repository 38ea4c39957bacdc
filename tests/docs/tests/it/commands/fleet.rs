//! The nodes that documents tell of, by the code that real agents report with.

use std::time::{Duration, SystemTime};

use archtrace_facts::aggregate::Reading;
use archtrace_facts::arch::Arch::{self, Amd64, Arm64};
use archtrace_facts::audit::{Audit, Foreign, Role};
use archtrace_facts::fact::{
    Cause, Event, EventKind, FactKey, IllegalInstruction, Loss, Mode, Origin, Stage, Via,
};
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;
use archtrace_facts::node::{Handler, HookReport, NodeInfo, Preflight};
use archtrace_sink::{Collector, Files, Outbox, Queue, client};

/// What documents call them: `node-7` emulates, `node-3` crashes, `node-8` has what a canary runs on.
const NODES: [(&str, Arch); 3] = [("node-3", Amd64), ("node-7", Arm64), ("node-8", Arm64)];

/// How often something happens that streams of events tell.
const BETWEEN: Duration = Duration::from_millis(200);

/// Reports for all nodes until it is dropped with its runtime.
pub(crate) async fn report(url: String) {
    let nodes = NODES.map(|(name, arch)| node(name, arch, &url));
    let Some(busy) = nodes
        .into_iter()
        .find_map(|(name, outbox)| (name == "node-7").then_some(outbox))
    else {
        return;
    };
    loop {
        tokio::time::sleep(BETWEEN).await;
        for event in [emulated(SystemTime::now()), refused(SystemTime::now())] {
            busy.lock().push_event(event);
        }
        busy.notify();
    }
}

fn ago(hours: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(hours * 3600 + 60)
}

fn node(name: &'static str, arch: Arch, url: &str) -> (&'static str, Outbox<u32>) {
    let outbox = Outbox::new(preflight(arch), Queue::new(client::random() | 1));
    let mut contents = outbox.lock();
    for (counter, (owner, key, reading)) in (0..).zip(runs(name)) {
        let _ = contents.owners.set(&key.cgroup, owner.clone());
        let _ = contents.owners.set_image(image(&owner));
        contents
            .table
            .name(counter, key, ago(2))
            .expect("there is room");
        contents.table.read(counter, reading);
    }
    if name == "node-3" {
        contents.push_event(death());
        contents.push_loss(Loss {
            stage: Stage::RingBuffer,
            count: 12,
            since: ago(3),
            until: ago(2),
        });
    }
    drop(contents);
    let (identity, collector) = (identity(name, arch), Collector::new(url, Files::default()));
    let (collector, told) = (collector.expect("a URL"), outbox.clone());
    tokio::spawn(async move { match client::run(&[collector], &identity, &told).await {} });
    (name, outbox)
}

fn identity(name: &str, arch: Arch) -> archtrace_sink::Identity {
    let arm = arch == Arm64;
    archtrace_sink::Identity {
        cluster: "prod-1".to_owned(),
        node: NodeInfo {
            name: name.to_owned(),
            uid: String::new(),
            arch,
            kernel_release: "6.12.0".to_owned(),
            cpu_model: if arm { "Neoverse-V1" } else { "EPYC 7R13" }.to_owned(),
            page_size: 4096,
            boot_id: name.to_owned(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            cpu_generation: if arm { "Graviton3" } else { "" }.to_owned(),
            cpu_features: ["aes", "crc32"].map(str::to_owned).to_vec(),
            runs_32bit: Some(true),
            lockdown: "integrity".to_owned(),
        },
        epoch: client::random(),
        attached_at: ago(100),
    }
}

fn preflight(arch: Arch) -> Preflight {
    let hook = |name: &str| HookReport {
        name: name.to_owned(),
        mechanism: "fentry".to_owned(),
        tier: 1,
        proven: true,
        reasons: Vec::new(),
    };
    let qemu = Handler {
        name: "qemu-x86_64".to_owned(),
        enabled: true,
        interpreter: QEMU.to_owned(),
        flags: "POCF".to_owned(),
        arch: Some(Amd64),
        since: Some(ago(50)),
    };
    let emulates = arch == Arm64;
    Preflight {
        hooks: [
            "header", "failure", "exec", "fork", "free", "signal", "cgroup",
        ]
        .map(hook)
        .to_vec(),
        missing: Vec::new(),
        handlers: if emulates { vec![qemu] } else { Vec::new() },
        binfmt: if emulates { "registered" } else { "none" }.to_owned(),
        uncovered: Vec::new(),
        names: "containerd 2.1.1 at /run/containerd/containerd.sock".to_owned(),
    }
}

const QEMU: &str = "/usr/bin/qemu-x86_64-static";

/// What runs on a node: whose it is, what, and what was counted.
fn runs(node: &str) -> Vec<(Identity, FactKey, Reading)> {
    let native = |owner: Identity, binary: &str, arch: Arch| {
        let key = key(&owner, binary, arch, Mode::Native);
        (owner, key, reading(40, 0, 3))
    };
    match node {
        "node-3" => vec![
            native(
                owner(
                    "pay",
                    "Deployment/ledger",
                    "ledger-5f4",
                    "ledger",
                    "acme/ledger:7",
                    Amd64,
                ),
                "/ledger",
                Amd64,
            ),
            native(exporter("node-exporter-x"), "/bin/node_exporter", Amd64),
        ],
        "node-7" => {
            let hsm = hsm();
            let key = key(&hsm, "/usr/bin/hsm-agent", Amd64, Mode::Emulated);
            let refused = (hsm.clone(), refused(ago(0)).key, reading(3, 0, 0));
            vec![
                (hsm, key, reading(1032, 1122, 2)),
                refused,
                native(exporter("node-exporter-y"), "/bin/node_exporter", Arm64),
            ]
        }
        _ => {
            let canary = |pod: &str| {
                let mut owner = owner(
                    "pay",
                    "Deployment/api-canary",
                    pod,
                    "api",
                    "acme/api:8",
                    Arm64,
                );
                owner.labels = [("app", "api"), ("track", "canary")]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into();
                native(owner, "/usr/bin/api", Arm64)
            };
            ["api-canary-1", "api-canary-2", "api-canary-3"]
                .map(canary)
                .to_vec()
        }
    }
}

fn hsm() -> Identity {
    owner(
        "pay",
        "Deployment/api",
        "api-7c9",
        "hsm",
        "acme/hsm:4.2",
        Amd64,
    )
}

fn exporter(pod: &str) -> Identity {
    owner(
        "monitoring",
        "DaemonSet/node-exporter",
        pod,
        "node-exporter",
        "quay.io/prometheus/node-exporter:v1.9",
        Amd64,
    )
}

fn owner(
    namespace: &str,
    workload: &str,
    pod: &str,
    container: &str,
    image: &str,
    arch: Arch,
) -> Identity {
    Identity {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
        pod_uid: format!("uid-of-{pod}"),
        container_id: format!("id-of-{pod}-{container}"),
        image: image.to_owned(),
        image_id: format!("sha256:{image}-{arch}"),
        image_arch: Some(arch),
        workload: workload.to_owned(),
        labels: [("app".to_owned(), container.to_owned())].into(),
        ..Identity::default()
    }
}

/// The image of a container, with a library for the other architecture in it.
fn image(owner: &Identity) -> Image {
    let arch = owner.image_arch.unwrap_or(Arm64);
    let foreign = Foreign {
        path: "/usr/lib/libhsm.so".to_owned(),
        arch: if arch == Arm64 { Amd64 } else { Arm64 },
        role: Role::Library,
    };
    Image {
        id: owner.image_id.clone(),
        names: vec![owner.image.clone()],
        arch: owner.image_arch,
        os: "linux".to_owned(),
        variant: String::new(),
        audit: Some(Audit {
            expected: arch,
            files: 4212,
            bytes: 1 << 20,
            elf: vec![(arch, 388)],
            main: Some(("/usr/bin/main".to_owned(), arch)),
            foreign: if owner.container == "hsm" {
                vec![foreign]
            } else {
                Vec::new()
            },
            more_foreign: 0,
            skipped: Vec::new(),
        }),
    }
}

fn key(owner: &Identity, binary: &str, arch: Arch, mode: Mode) -> FactKey {
    FactKey {
        cgroup: format!("/kubepods/{}/{}", owner.pod_uid, owner.container_id),
        binary: binary.to_owned(),
        path_resolved: true,
        arch,
        mode,
        emulator: (mode == Mode::Emulated).then(|| QEMU.to_owned()),
        via: (mode == Mode::Emulated).then_some(Via::BinfmtMisc),
        cause: (mode == Mode::Failed).then_some(Cause::ForeignElf),
    }
}

fn reading(count: u64, cpu_seconds: u64, processes: u64) -> Reading {
    Reading {
        count,
        cpu_ns: cpu_seconds * 1_000_000_000,
        processes,
        last: SystemTime::now(),
    }
}

fn event(kind: EventKind, key: FactKey, time: SystemTime) -> Event {
    let failed = kind == EventKind::FailedExec;
    Event {
        time,
        kind,
        pid: 4711,
        comm: "sh".to_owned(),
        key,
        // ENOEXEC
        errno: if failed { 8 } else { 0 },
        count: 1,
        instruction: None,
    }
}

fn emulated(time: SystemTime) -> Event {
    let key = key(&hsm(), "/usr/bin/hsm-agent", Amd64, Mode::Emulated);
    event(EventKind::EmulatedExec, key, time)
}

fn refused(time: SystemTime) -> Event {
    let key = key(&hsm(), "/usr/bin/hsm-cli", Arch::S390x, Mode::Failed);
    event(EventKind::FailedExec, key, time)
}

fn death() -> Event {
    let ledger = owner(
        "pay",
        "Deployment/ledger",
        "ledger-5f4",
        "ledger",
        "acme/ledger:7",
        Amd64,
    );
    let mut event = event(
        EventKind::IllegalInstruction,
        key(&ledger, "/ledger", Amd64, Mode::Native),
        ago(1),
    );
    event.instruction = Some(IllegalInstruction {
        origin: Origin::Cpu,
        code: 2,
        sender: None,
        address: 0x7f00_0000_1234,
        bytes: vec![0x62, 0xf1, 0x75, 0x48, 0xfe, 0xc2],
        mnemonic: Some("vpaddd".to_owned()),
        extension: Some("AVX512F".to_owned()),
        cpu_has: Some(false),
        module: Some("/usr/lib/libfast.so".to_owned()),
        offset: Some(0x1234),
    });
    event
}
