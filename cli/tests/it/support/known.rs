//! What the collector knows.

use std::time::{Duration, SystemTime};

use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_collector::store::{Lease, Snapshot, Store as _};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Audit, Foreign, Role, Skip};
use archtrace_facts::fact::{
    Cause, Event, EventKind, Fact, FactKey, IllegalInstruction, Mode, Via,
};
use archtrace_facts::identity::{Identity, LastExit};
use archtrace_facts::image::Image;
use archtrace_facts::node::{Handler, HookReport, NodeInfo, Preflight, Uncovered};
use archtrace_facts::report::{EventBatch, Hello, Owner, Record, ReportedLoss};

/// Hours before now.
pub(crate) fn ago(hours: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(hours * 3600)
}

pub(crate) fn key(binary: &str, arch: Arch, mode: Mode) -> FactKey {
    FactKey {
        cgroup: "/kubepods/x".to_owned(),
        binary: binary.to_owned(),
        path_resolved: binary.starts_with('/'),
        arch,
        mode,
        emulator: (mode == Mode::Emulated).then(|| "/usr/bin/qemu-aarch64".to_owned()),
        via: (mode == Mode::Emulated).then_some(Via::BinfmtMisc),
        cause: (mode == Mode::Failed).then_some(Cause::ForeignElf),
    }
}

/// Ended, `hours` ago, and came to its emulator in another way than by `binfmt_misc`.
fn build(hours: u64) -> Fact {
    let mut fact = fact(key("/bin/old", Arch::Arm64, Mode::Emulated), 0, hours);
    fact.key.via = Some(Via::Build);
    fact
}

pub(crate) fn fact(key: FactKey, processes: u64, hours: u64) -> Fact {
    let (first_seen, last_seen) = (ago(hours + 1), ago(hours));
    Fact {
        key,
        count: 1234,
        processes,
        cpu_ns: 1_500_000_000,
        first_seen,
        last_seen,
    }
}

/// Happened to process 77, `hours` ago.
pub(crate) fn event(
    kind: EventKind,
    key: FactKey,
    errno: i32,
    instruction: Option<IllegalInstruction>,
    hours: u64,
) -> Record {
    let event = Event {
        time: ago(hours),
        kind,
        pid: 77,
        comm: "sh".to_owned(),
        key,
        errno,
        count: 5,
        instruction,
    };
    Record::Event(event)
}

/// Whose the cgroup of all facts and events is.
fn owner() -> Owner {
    Owner {
        cgroup: "/kubepods/x".to_owned(),
        identity: Identity {
            namespace: "pay".to_owned(),
            pod: "api-7c9".to_owned(),
            container: "hsm".to_owned(),
            pod_uid: "8a8d".to_owned(),
            container_id: "0123456789abcdef".to_owned(),
            image: "registry/hsm:1".to_owned(),
            image_id: "sha256:77".to_owned(),
            image_arch: Some(Arch::Arm64),
            workload: "Deployment/api".to_owned(),
            labels: [("app".to_owned(), "api".to_owned())].into(),
            attempt: 2,
            last_exit: Some(LastExit {
                code: 255,
                reason: "StartError".to_owned(),
            }),
            ..Identity::default()
        },
    }
}

fn image() -> Image {
    Image {
        id: "sha256:77".to_owned(),
        names: vec!["registry/hsm:1".to_owned()],
        arch: Some(Arch::Arm64),
        os: "linux".to_owned(),
        variant: String::new(),
        audit: Some(Audit {
            expected: Arch::Arm64,
            files: 1200,
            bytes: 70_000,
            elf: vec![(Arch::Amd64, 2), (Arch::Arm64, 1)],
            main: Some(("/bin/hsm".to_owned(), Arch::Amd64)),
            foreign: vec![
                Foreign {
                    path: "/bin/hsm".to_owned(),
                    arch: Arch::Amd64,
                    role: Role::Main,
                },
                Foreign {
                    path: "/app/a.jar!/libx.so".to_owned(),
                    arch: Arch::Amd64,
                    role: Role::JarEntry,
                },
            ],
            more_foreign: 3,
            skipped: vec![(Skip::Depth, 1)],
        }),
    }
}

/// The handler that `n1` has.
pub(crate) fn handler() -> Handler {
    Handler {
        name: "qemu-aarch64".to_owned(),
        enabled: true,
        interpreter: "/usr/bin/qemu-aarch64".to_owned(),
        flags: "F".to_owned(),
        arch: Some(Arch::Arm64),
        since: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
    }
}

/// A node with a CPU that has this instruction set.
pub(super) fn node(name: &str, arch: Arch) -> NodeInfo {
    NodeInfo {
        name: name.to_owned(),
        uid: String::new(),
        arch,
        kernel_release: "6.1.0".to_owned(),
        cpu_model: "a CPU".to_owned(),
        page_size: 4096,
        boot_id: "b".to_owned(),
        agent_version: "0.1.0".to_owned(),
        cpu_generation: "Graviton3".to_owned(),
        cpu_features: vec!["bf16".to_owned(), "sve".to_owned()],
        runs_32bit: Some(false),
        lockdown: "integrity".to_owned(),
    }
}

pub(super) async fn fill(store: &SqliteStore, more: Vec<Record>, now: SystemTime) -> Lease {
    let node = node("n1", Arch::Amd64);
    let hook = HookReport {
        name: "header".to_owned(),
        mechanism: "fentry".to_owned(),
        tier: 1,
        proven: true,
        reasons: vec!["because".to_owned()],
    };
    let pod = Uncovered {
        cgroup: "/kubepods/y".to_owned(),
        runtime: "gvisor".to_owned(),
    };
    let preflight = Preflight {
        hooks: vec![hook],
        missing: vec!["something".to_owned()],
        handlers: vec![handler()],
        binfmt: "registered".to_owned(),
        uncovered: vec![pod],
        names: "containerd 1.7 at /run/x.sock".to_owned(),
    };
    let hello = Hello {
        cluster: "c".to_owned(),
        node,
        epoch: 1,
        attached_at: ago(50),
        event_stream_id: 1,
        oldest_sequence: 0,
        next_sequence: 0,
        preflight,
        held: None,
        earlier_streams: Vec::new(),
    };
    let lease = store.attach(hello, now).await.expect("works").lease;
    let emulated = |binary| key(binary, Arch::Arm64, Mode::Emulated);
    let facts = vec![
        fact(emulated("/bin/running"), 2, 0),
        fact(emulated("/bin/ended"), 0, 2),
        build(30),
        fact(key("/bin/true", Arch::Amd64, Mode::Native), 0, 1),
        fact(key("relative", Arch::Riscv64, Mode::Failed), 0, 3),
    ];
    let snapshot = Snapshot {
        epoch: 1,
        revision: 1,
        facts,
        owners: vec![owner()],
        images: vec![image()],
        digest: None,
    };
    store
        .apply_snapshot(lease, snapshot, now)
        .await
        .expect("works");
    let failed = key("relative", Arch::Riscv64, Mode::Failed);
    let mut records = vec![
        event(EventKind::FailedExec, failed, 8, None, 3),
        Record::Loss(ReportedLoss {
            stage: "ring_buffer".to_owned(),
            count: 9,
            since: ago(3),
            until: ago(2),
            range: None,
        }),
        event(
            EventKind::EmulatedExec,
            emulated("/bin/running"),
            0,
            None,
            1,
        ),
    ];
    records.extend(more);
    let batch = EventBatch {
        stream_id: 1,
        first_sequence: 0,
        records,
    };
    let appended = store.append_events(lease.node, batch, now).await;
    appended.expect("works");
    lease
}
