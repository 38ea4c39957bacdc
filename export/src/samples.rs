//! One event of each kind, for tests.

use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{
    Cause, Event, EventKind, FactKey, HandlerChangeKind, IllegalInstruction, Mode, Origin, Via,
};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::identity::Identity;
use archtrace_facts::node::Handler;
use archtrace_facts::report::{HandlerChange, Record, ReportedLoss};

/// So many seconds after the first of 1970.
pub(crate) fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
}

fn event(kind: EventKind, mode: Mode, cause: Option<Cause>) -> Record {
    let is_emulated = mode == Mode::Emulated;
    Record::Event(Event {
        time: at(1_700_000_000),
        kind,
        pid: 77,
        comm: "sh".to_owned(),
        key: FactKey {
            cgroup: "/kubepods/x".to_owned(),
            binary: "/opt/hsm/bin/client".to_owned(),
            path_resolved: true,
            arch: Arch::Amd64,
            mode,
            emulator: is_emulated.then(|| "/usr/bin/qemu-x86_64".to_owned()),
            via: is_emulated.then_some(Via::BinfmtMisc),
            cause,
        },
        errno: if cause.is_some() { 8 } else { 0 },
        count: 5,
        instruction: (kind == EventKind::IllegalInstruction).then(|| IllegalInstruction {
            origin: Origin::Cpu,
            code: 2,
            sender: None,
            address: 0x1000,
            bytes: vec![0xc5, 0xfc, 0x58, 0xc1],
            mnemonic: Some("vaddps".to_owned()),
            extension: Some("AVX".to_owned()),
            cpu_has: Some(false),
            module: Some("/lib/libm.so.6".to_owned()),
            offset: Some(0x10),
        }),
    })
}

fn of_node(record: Record, sequence: u64) -> NodeEvent {
    let identity = match record {
        Record::Event(_) => Identity {
            namespace: "pay".to_owned(),
            pod: "api-7c9".to_owned(),
            container: "hsm".to_owned(),
            pod_uid: "8a8d".to_owned(),
            container_id: "0123".to_owned(),
            image: "registry/hsm:1".to_owned(),
            image_id: "sha256:77".to_owned(),
            workload: "Deployment/api".to_owned(),
            ..Identity::default()
        },
        Record::Loss(_) | Record::Handler(_) => Identity::default(),
    };
    NodeEvent {
        cluster: "prod".to_owned(),
        node: "n1".to_owned(),
        node_arch: Arch::Arm64,
        stream_id: 0xabc,
        sequence,
        record,
        identity,
    }
}

/// Each once, with its place as its sequence.
pub(crate) fn all() -> Vec<NodeEvent> {
    let handler = Handler {
        name: "qemu-x86_64".to_owned(),
        enabled: true,
        interpreter: "/usr/bin/qemu-x86_64".to_owned(),
        flags: "F".to_owned(),
        arch: Some(Arch::Amd64),
        since: None,
    };
    let records = [
        event(EventKind::EmulatedExec, Mode::Emulated, None),
        event(EventKind::FailedExec, Mode::Failed, Some(Cause::ForeignElf)),
        event(
            EventKind::FailedExec,
            Mode::Failed,
            Some(Cause::TruncatedElf),
        ),
        event(EventKind::FailedExec, Mode::Failed, Some(Cause::NoShebang)),
        event(EventKind::IllegalInstruction, Mode::Native, None),
        Record::Handler(HandlerChange {
            time: at(1_700_000_001),
            kind: HandlerChangeKind::Added,
            handler,
        }),
        Record::Loss(ReportedLoss {
            stage: "ring_buffer".to_owned(),
            count: 9,
            since: at(1_700_000_000),
            until: at(1_700_000_002),
            range: None,
        }),
    ];
    let records = records.into_iter().zip(0..);
    records
        .map(|(record, sequence)| of_node(record, sequence))
        .collect()
}
