//! What a fleet tells.

use std::time::{Duration, SystemTime};

use archtrace_collector::store::{Beat, Lease};
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Event, EventKind, Fact, FactKey, Mode, Via};
use archtrace_facts::identity::Identity;
use archtrace_facts::node::{NodeInfo, Preflight};
use archtrace_facts::report::{Hello, Owner, Record};

/// Facts of which one is emulated.
const EMULATED: usize = 100;

pub(crate) fn hello(node: usize, epoch: u64) -> Hello {
    Hello {
        cluster: "bench".to_owned(),
        node: NodeInfo {
            name: format!("node-{node:05}.example.internal"),
            uid: format!("{node:08x}-0000-4000-8000-000000000000"),
            arch: Arch::Amd64,
            kernel_release: "6.1.0-18-amd64".to_owned(),
            cpu_model: "AMD EPYC 7B13".to_owned(),
            page_size: 4096,
            boot_id: format!("{node:08x}-1111-4000-8000-000000000000"),
            agent_version: "0.1.0".to_owned(),
            cpu_generation: String::new(),
            cpu_features: (0..110).map(|i| format!("feature_{i}")).collect(),
            runs_32bit: Some(true),
            lockdown: "none".to_owned(),
        },
        epoch,
        attached_at: SystemTime::now(),
        event_stream_id: epoch,
        oldest_sequence: 0,
        next_sequence: 0,
        preflight: Preflight::default(),
        held: None,
        earlier_streams: Vec::new(),
    }
}

fn cgroup(node: usize, container: usize) -> String {
    format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{node:08x}_{container:04x}_4000_8000_000000000000.slice/cri-containerd-{node:032x}{container:032x}.scope"
    )
}

pub(crate) fn fact(node: usize, i: usize, count: u64) -> Fact {
    let emulated = (node * 30 + i).is_multiple_of(EMULATED);
    Fact {
        key: FactKey {
            cgroup: cgroup(node, i / 3),
            binary: format!("/usr/local/bin/service-{i}"),
            path_resolved: true,
            arch: if emulated { Arch::Arm64 } else { Arch::Amd64 },
            mode: if emulated {
                Mode::Emulated
            } else {
                Mode::Native
            },
            emulator: emulated.then(|| "/usr/bin/qemu-aarch64".to_owned()),
            via: emulated.then_some(Via::BinfmtMisc),
            cause: None,
        },
        count,
        processes: u64::from(emulated),
        cpu_ns: if emulated { count * 1000 } else { 0 },
        first_seen: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        last_seen: SystemTime::now(),
    }
}

pub(crate) fn owner(node: usize, container: usize) -> Owner {
    Owner {
        cgroup: cgroup(node, container),
        identity: Identity {
            namespace: format!("team-{}", container % 20),
            pod: format!("api-7c9d8-{node}-{container}"),
            container: "api".to_owned(),
            pod_uid: format!("{node:08x}-{container:04x}-4000-8000-000000000000"),
            container_id: format!("{node:032x}{container:032x}"),
            image: "registry.example.com/team/api:1.2.3".to_owned(),
            image_id: format!("sha256:{container:064x}"),
            image_arch: Some(Arch::Amd64),
            workload: format!("Deployment/api-{}", container % 50),
            labels: [("app".to_owned(), "api".to_owned())].into(),
            ..Identity::default()
        },
    }
}

pub(crate) fn event(i: usize) -> Record {
    Record::Event(Event {
        time: SystemTime::now(),
        kind: EventKind::EmulatedExec,
        pid: 42,
        comm: "sh".to_owned(),
        key: fact(0, i * EMULATED, 1).key,
        errno: 0,
        count: 1,
        instruction: None,
    })
}

pub(crate) fn beat(lease: Lease) -> Beat {
    Beat {
        node: lease.node,
        epoch: 2,
        at: SystemTime::now(),
        revision: 1,
        preflight: None,
        health: None,
    }
}
