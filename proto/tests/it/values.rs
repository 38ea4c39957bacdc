//! Values of all kinds.

use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Audit, Foreign, Role, Skip};
use archtrace_facts::digest::Digest;
use archtrace_facts::elf::{Class, Data, Ident};
use archtrace_facts::fact::{
    Cause, Event, EventKind, Fact, FactKey, HandlerChangeKind, IllegalInstruction, Mode, Origin,
    Via,
};
use archtrace_facts::fleet::Coverage;
use archtrace_facts::identity::{Identity, LastExit};
use archtrace_facts::image::Image;
use archtrace_facts::node::{Handler, Health, HookReport, NodeInfo, Preflight, Uncovered};
use archtrace_facts::report::{
    EventStream, HandlerChange, Owner, Record, ReportedLoss, SequenceRange,
};
use archtrace_facts::text::escape;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

pub(crate) fn text() -> impl Strategy<Value = String> {
    vec(any::<u8>(), 0..20).prop_map(|bytes| escape(&bytes))
}

pub(crate) fn time() -> impl Strategy<Value = SystemTime> {
    any::<u64>().prop_map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos >> 1))
}

pub(crate) fn arch() -> impl Strategy<Value = Arch> {
    any::<u16>().prop_map(|machine| {
        Arch::of(Ident {
            class: Class::Elf64,
            data: Data::Little,
            machine,
        })
    })
}

prop_compose! {
    pub(crate) fn identity()(
        words in vec(text(), 9),
        image_arch in of(arch()),
        labels in btree_map(text(), text(), 0..4),
        attempt: u32,
        last_exit in of((any::<i32>(), text())),
    ) -> Identity {
        let [namespace, pod, container, pod_uid, container_id, unit, image, image_id, workload] =
            std::array::from_fn(|i| words[i].clone());
        let last_exit = last_exit.map(|(code, reason)| LastExit { code, reason });
        Identity {
            namespace, pod, container, pod_uid, container_id, unit, image, image_id, image_arch,
            workload, labels, attempt, last_exit,
        }
    }
}

prop_compose! {
    pub(crate) fn owner()(cgroup in text(), identity in identity()) -> Owner {
        Owner { cgroup, identity }
    }
}

prop_compose! {
    pub(crate) fn audit()(
        expected in arch(),
        numbers: [u64; 3],
        elf in vec((arch(), any::<u64>()), 0..3),
        main in of((text(), arch())),
        foreign in vec((text(), arch(), select(Role::ALL)), 0..3),
        skipped in vec((select(Skip::ALL), any::<u64>()), 0..3),
    ) -> Audit {
        let [files, bytes, more_foreign] = numbers;
        let foreign = foreign.into_iter().map(|(path, arch, role)| Foreign { path, arch, role });
        Audit { expected, files, bytes, elf, main, foreign: foreign.collect(), more_foreign, skipped }
    }
}

prop_compose! {
    pub(crate) fn image()(
        id in text(),
        names in vec(text(), 0..3),
        arch in of(arch()),
        os in text(),
        variant in text(),
        audit in of(audit()),
    ) -> Image {
        Image { id: format!("sha256:{id}"), names, arch, os, variant, audit }
    }
}

prop_compose! {
    pub(crate) fn key()(
        cgroup in text(),
        binary in text(),
        path_resolved: bool,
        arch in arch(),
        mode in select(Mode::ALL),
        emulator in text(),
        via in select(Via::ALL),
        cause in select(Cause::ALL),
    ) -> FactKey {
        let emulator = (mode == Mode::Emulated).then_some(emulator);
        let via = (mode == Mode::Emulated).then_some(via);
        let cause = (mode == Mode::Failed).then_some(cause);
        FactKey { cgroup, binary, path_resolved, arch, mode, emulator, via, cause }
    }
}

prop_compose! {
    pub(crate) fn fact()(
        key in key(),
        count: u64,
        processes: u64,
        cpu_ns: u64,
        first_seen in time(),
        last_seen in time(),
    ) -> Fact {
        Fact { key, count, processes, cpu_ns, first_seen, last_seen }
    }
}

prop_compose! {
    pub(crate) fn loss()(
        stage in text(),
        count: u64,
        since in time(),
        until in time(),
        range in of((any::<u64>(), any::<u64>(), any::<u64>())),
    ) -> Record {
        let range = range.map(|(stream_id, a, b)| SequenceRange {
            stream_id,
            first: a.min(b),
            last: a.max(b),
        });
        Record::Loss(ReportedLoss { stage: format!("a{stage}"), count, since, until, range })
    }
}

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 16]>().prop_map(Digest::from_bytes)
}

prop_compose! {
    pub(crate) fn health()(numbers: [u64; 4], spool in text()) -> Health {
        let [resident_bytes, cpu_ns, queued_records, spooled_bytes] = numbers;
        Health { resident_bytes, cpu_ns, queued_records, spooled_bytes, spool }
    }
}

prop_compose! {
    pub(crate) fn coverage()(numbers: [u64; 3], stale_nodes in vec(text(), 0..3), source in text()) -> Coverage {
        let [reporting, stale, unknown] = numbers;
        let unknown_nodes = stale_nodes.clone();
        Coverage { reporting, stale, unknown, stale_nodes, unknown_nodes, source }
    }
}

prop_compose! {
    pub(crate) fn earlier()(numbers: [u64; 3]) -> EventStream {
        let [stream_id, a, b] = numbers;
        EventStream { stream_id: stream_id.max(1), oldest_sequence: a.min(b), next_sequence: a.max(b) }
    }
}

prop_compose! {
    pub(crate) fn event()(
        time in time(),
        kind in select(EventKind::ALL),
        pid: u32,
        comm in text(),
        key in key(),
        errno: i32,
        count: u64,
        instruction in of(instruction()),
    ) -> Record {
        Record::Event(Event { time, kind, pid, comm, key, errno, count, instruction })
    }
}

prop_compose! {
    pub(crate) fn instruction()(
        origin in select(Origin::ALL),
        code: i32,
        sender: Option<u32>,
        address: u64,
        bytes in vec(any::<u8>(), 0..=16),
        words in vec(of(text().prop_map(|text| format!("a{text}"))), 3),
        cpu_has: Option<bool>,
        offset: Option<u64>,
    ) -> IllegalInstruction {
        let [mnemonic, extension, module] = [0, 1, 2].map(|i: usize| words[i].clone());
        IllegalInstruction { origin, code, sender, address, bytes, mnemonic, extension, cpu_has, module, offset }
    }
}

prop_compose! {
    pub(crate) fn handler()(words in vec(text(), 3), enabled: bool, arch in of(arch()), since in of(time())) -> Handler {
        let [name, interpreter, flags] = [0, 1, 2].map(|i: usize| words[i].clone());
        Handler { name, enabled, interpreter, flags, arch, since }
    }
}

prop_compose! {
    pub(crate) fn change()(time in time(), kind in select(HandlerChangeKind::ALL), handler in handler()) -> Record {
        Record::Handler(HandlerChange { time, kind, handler })
    }
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    prop_oneof![loss(), event(), change()]
}

prop_compose! {
    pub(crate) fn node()(
        name in text(),
        uid in text(),
        arch in arch(),
        words in vec(text(), 6),
        page_size: u32,
        cpu_features in vec(text(), 0..3),
        runs_32bit: Option<bool>,
    ) -> NodeInfo {
        NodeInfo {
            name: format!("n{name}"),
            uid,
            arch,
            kernel_release: words[0].clone(),
            cpu_model: words[1].clone(),
            page_size,
            boot_id: words[2].clone(),
            agent_version: words[3].clone(),
            cpu_generation: words[4].clone(),
            cpu_features,
            runs_32bit,
            lockdown: words[5].clone(),
        }
    }
}

prop_compose! {
    pub(crate) fn preflight()(
        words in vec(text(), 4),
        lines in vec(text(), 0..3),
        tier: u32,
        proven: bool,
        handlers in vec(handler(), 0..3),
    ) -> Preflight {
        let hook = HookReport {
            name: words[0].clone(),
            mechanism: words[1].clone(),
            tier,
            proven,
            reasons: lines.clone(),
        };
        let pod = Uncovered { cgroup: words[2].clone(), runtime: words[3].clone() };
        Preflight { hooks: vec![hook], missing: lines, handlers, binfmt: words[1].clone(), uncovered: vec![pod], names: words[0].clone() }
    }
}
