//! A fleet in a store: services of which some run emulated, and some do not start, on nodes of two
//! architectures.

use std::time::{Duration, SystemTime};

use archtrace_collector::store::{Lease, Snapshot, Store};
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{
    Cause, Event, EventKind, Fact, FactKey, HandlerChangeKind, IllegalInstruction, Mode, Origin,
    Via,
};
use archtrace_facts::identity::Identity;
use archtrace_facts::node::{Handler, HookReport, NodeInfo, Preflight, Uncovered};
use archtrace_facts::report::{EventBatch, HandlerChange, Hello, Owner, Record, ReportedLoss};

/// Facts of a pod.
const PER_POD: usize = 3;
/// Different services, of which every node has some.
const SERVICES: usize = 40;

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) nodes: usize,
    /// Facts of each node.
    pub(crate) facts: usize,
}

/// The name of a node. Even ones are arm64, odd ones amd64.
pub(crate) fn node_name(node: usize) -> String {
    format!("ip-10-0-{}-{}.internal", node / 250, node % 250)
}

/// A name that a container chose, to see what becomes of it.
pub(crate) const HOSTILE: &str = "/tmp/<script>alert(1)</script>&\"'";

/// Who answers for a waiver, to see what becomes of it.
pub(crate) const OWNER: &str = "jane <jane@example.com>";

/// Agents that have to run: one in pods that are emulated on some nodes, one that fails on some, one in a version
/// that is not certified on arm64, and one that is on no node, which is let pass on node 0, and was on node 2.
pub(crate) fn policy() -> String {
    let (waived, expired) = (node_name(0), node_name(2));
    format!(
        r#"agents:
  - name: falcon
    match:
      executable: "*/service-3"
  - name: vault-hsm
    match:
      executable: "*/hsm-client"
  - name: shell
    match:
      executable: /bin/sh
    certified:
      amd64: ["1.*"]
      arm64: ["1.5"]
  - name: auditd
    match:
      unit: auditd.service
    nodes:
      archs: [arm64]
    waivers:
      - owner: {OWNER}
        reason: installed by the next image of the node
        expires: 2096-05-31
        nodes:
          names: ["{waived}"]
      - owner: joe@example.com
        reason: was to be installed by then
        expires: 2024-05-31
        nodes:
          names: ["{expired}"]
"#
    )
}

/// Every node reports once; the last one did so an hour ago.
pub(crate) async fn fill(store: &impl Store, size: Size) {
    let now = SystemTime::now();
    for node in 0..size.nodes {
        let is_last = node + 1 == size.nodes;
        let heard = now - Duration::from_secs(if is_last { 3600 } else { 0 });
        report(store, node, size, heard).await;
    }
}

async fn report(store: &impl Store, node: usize, size: Size, heard: SystemTime) {
    let attached = store.attach(hello(node), heard).await.expect("works");
    let pods = size.facts / PER_POD;
    let mut facts: Vec<_> = (0..pods).flat_map(|pod| of_pod(node, pod)).collect();
    if node == 0 {
        let mut fact = facts[0].clone();
        fact.key = emulated(fact.key, HOSTILE);
        facts.push(fact);
    }
    let snapshot = Snapshot {
        epoch: 1,
        revision: 1,
        facts,
        owners: (0..pods).map(|pod| owner(node, pod)).collect(),
        images: Vec::new(),
        digest: None,
    };
    let applied = store.apply_snapshot(attached.lease, snapshot, heard).await;
    applied.expect("works");
    if node == 0 {
        tell(store, attached.lease, 0, happened(heard)).await;
    }
}

/// A node tells of these, of which the first has this number.
pub(crate) async fn tell(store: &impl Store, lease: Lease, first: u64, records: Vec<Record>) {
    let batch = EventBatch {
        stream_id: 1,
        first_sequence: first,
        records,
    };
    let told = store.append_events(lease.node, batch, SystemTime::now());
    told.await.expect("works");
}

/// Events that [`fill`] stores.
pub(crate) const HAPPENED: u64 = 5;

fn arch(node: usize) -> Arch {
    if node.is_multiple_of(2) {
        Arch::Arm64
    } else {
        Arch::Amd64
    }
}

/// The service of a pod.
pub(crate) fn service(node: usize, pod: usize) -> usize {
    (node * 7 + pod) % SERVICES
}

fn cgroup(node: usize, pod: usize) -> String {
    let number = node * 1000 + pod;
    format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{number:032x}.slice/cri-containerd-{number:064x}.scope"
    )
}

fn key(node: usize, pod: usize, binary: &str) -> FactKey {
    FactKey {
        cgroup: cgroup(node, pod),
        binary: binary.to_owned(),
        path_resolved: true,
        arch: arch(node),
        mode: Mode::Native,
        emulator: None,
        via: None,
        cause: None,
    }
}

fn emulated(key: FactKey, binary: &str) -> FactKey {
    FactKey {
        binary: binary.to_owned(),
        arch: Arch::Amd64,
        mode: Mode::Emulated,
        emulator: Some("/usr/bin/qemu-x86_64-static".to_owned()),
        via: Some(Via::BinfmtMisc),
        ..key
    }
}

/// Of every tenth service the image is for amd64 only; of another tenth one program is.
fn of_pod(node: usize, pod: usize) -> Vec<Fact> {
    let now = SystemTime::now();
    let service = service(node, pod);
    let binary = format!("/usr/local/bin/service-{service}");
    let main = key(node, pod, &binary);
    let helper = key(node, pod, "/opt/vendor/bin/hsm-client");
    let is_arm = arch(node) == Arch::Arm64;
    let (main, helper) = match service % 10 {
        3 if is_arm => (emulated(main, &binary), helper),
        7 if is_arm => {
            let failed = FactKey {
                arch: Arch::Amd64,
                mode: Mode::Failed,
                cause: Some(Cause::ForeignElf),
                ..helper
            };
            (main, failed)
        }
        _ => (main, helper),
    };
    let keys = [main, helper, key(node, pod, "/bin/sh")];
    let facts = keys.into_iter().zip(1_u64..).map(|(key, i)| {
        let is_emulated = key.mode == Mode::Emulated;
        let number = u64::try_from(node * 31 + pod * 7).expect("small") + i;
        Fact {
            count: number % 900 + 1,
            processes: if is_emulated { number % 5 + 1 } else { 0 },
            cpu_ns: if is_emulated {
                number * 3_100_000_000
            } else {
                0
            },
            first_seen: now - Duration::from_secs(7200 + number % 80_000),
            last_seen: now - Duration::from_secs(number % 300),
            key,
        }
    });
    facts.collect()
}

/// CPU time of a pod that is emulated.
pub(crate) fn cpu_ns(node: usize, pod: usize) -> u64 {
    of_pod(node, pod).iter().map(|fact| fact.cpu_ns).sum()
}

fn owner(node: usize, pod: usize) -> Owner {
    let service = service(node, pod);
    let identity = Identity {
        namespace: format!("team-{}", service % 8),
        pod: format!("service-{service}-7c9f8d5b6-{node:x}x{pod:x}"),
        container: "app".to_owned(),
        image: format!(
            "registry.example/team-{}/service-{service}:1.4",
            service % 8
        ),
        workload: format!("Deployment/service-{service}"),
        ..Identity::default()
    };
    Owner {
        cgroup: cgroup(node, pod),
        identity,
    }
}

/// Something that ran emulated on node 0 just now.
pub(crate) fn event(binary: &str) -> Record {
    Record::Event(Event {
        time: SystemTime::now(),
        kind: EventKind::EmulatedExec,
        pid: 4711,
        comm: "sh".to_owned(),
        key: emulated(key(0, 3, binary), binary),
        errno: 0,
        count: 1,
        instruction: None,
    })
}

fn happened(now: SystemTime) -> Vec<Record> {
    let ago = |seconds| now - Duration::from_secs(seconds);
    let of = |seconds, kind, key: FactKey, errno, instruction| {
        Record::Event(Event {
            time: ago(seconds),
            kind,
            pid: 77,
            comm: "runc:[2:INIT]".to_owned(),
            key,
            errno,
            count: 3,
            instruction,
        })
    };
    let failed = FactKey {
        arch: Arch::Amd64,
        mode: Mode::Failed,
        cause: Some(Cause::ForeignElf),
        ..key(0, 7, "/opt/vendor/bin/hsm-client")
    };
    let instruction = IllegalInstruction {
        origin: Origin::Cpu,
        code: 1,
        sender: None,
        address: 0x40_0078,
        bytes: vec![0x00, 0x04, 0x00, 0x05],
        mnemonic: Some("ptrue".to_owned()),
        extension: Some("SVE".to_owned()),
        cpu_has: Some(false),
        module: Some("/usr/lib/libfast.so".to_owned()),
        offset: Some(0x78),
    };
    vec![
        Record::Handler(HandlerChange {
            time: ago(4000),
            kind: HandlerChangeKind::Added,
            handler: handler(ago(4000)),
        }),
        of(900, EventKind::FailedExec, failed, 8, None),
        of(
            600,
            EventKind::IllegalInstruction,
            key(0, 1, "/usr/local/bin/service-1"),
            0,
            Some(instruction),
        ),
        Record::Loss(ReportedLoss {
            stage: "ring_buffer".to_owned(),
            count: 9,
            since: ago(400),
            until: ago(390),
            range: None,
        }),
        of(
            30,
            EventKind::EmulatedExec,
            emulated(key(0, 3, ""), HOSTILE),
            0,
            None,
        ),
    ]
}

fn handler(since: SystemTime) -> Handler {
    Handler {
        name: "qemu-x86_64".to_owned(),
        enabled: true,
        interpreter: "/usr/bin/qemu-x86_64-static".to_owned(),
        flags: "OCF".to_owned(),
        arch: Some(Arch::Amd64),
        since: Some(since),
    }
}

/// What a node says first.
pub(crate) fn hello(node: usize) -> Hello {
    let since = SystemTime::now() - Duration::from_secs(86_400);
    let hook = |name: &str, mechanism: &str, tier, reason: Option<&str>| HookReport {
        name: name.to_owned(),
        mechanism: mechanism.to_owned(),
        tier,
        proven: true,
        reasons: reason.map(str::to_owned).into_iter().collect(),
    };
    let is_arm = arch(node) == Arch::Arm64;
    let uncovered = Uncovered {
        cgroup: cgroup(node, 99),
        runtime: "gvisor".to_owned(),
    };
    Hello {
        cluster: "prod".to_owned(),
        node: NodeInfo {
            name: node_name(node),
            uid: String::new(),
            arch: arch(node),
            kernel_release: "6.12.40-63.114.amzn2023".to_owned(),
            cpu_model: if is_arm {
                "Neoverse-V2"
            } else {
                "Xeon Platinum 8488C"
            }
            .to_owned(),
            page_size: 4096,
            boot_id: "b".to_owned(),
            agent_version: "0.1.0".to_owned(),
            cpu_generation: if is_arm { "Graviton4" } else { "" }.to_owned(),
            cpu_features: vec!["sve".to_owned()],
            runs_32bit: Some(!is_arm),
            lockdown: "integrity".to_owned(),
        },
        epoch: 1,
        attached_at: since,
        event_stream_id: 1,
        oldest_sequence: 0,
        next_sequence: 0,
        preflight: Preflight {
            hooks: vec![
                hook("header", "fentry", 1, None),
                hook(
                    "failure",
                    "kretprobe",
                    2,
                    Some("fexit: the function is inlined"),
                ),
                hook("exec", "tp_btf", 1, None),
            ],
            missing: Vec::new(),
            handlers: is_arm.then(|| handler(since)).into_iter().collect(),
            binfmt: "registered".to_owned(),
            uncovered: (node == 0).then_some(uncovered).into_iter().collect(),
            names: "containerd 1.7 at /run/containerd/containerd.sock".to_owned(),
        },
        held: None,
        earlier_streams: Vec::new(),
    }
}
