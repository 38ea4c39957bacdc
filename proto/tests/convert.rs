//! What is converted comes back the same; whatever bytes a peer sends are an error at worst.

use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Audit, Foreign, Role, Skip};
use archtrace_facts::digest::Digest;
use archtrace_facts::elf::{Class, Data, Ident};
use archtrace_facts::fact::{
    Cause, Event, EventKind, Fact, FactId, FactKey, HandlerChangeKind, IllegalInstruction, Mode,
    Origin, Via,
};
use archtrace_facts::fleet::{
    Coverage, FleetImage, NodeEvent, NodeFact, NodeState, NodeStatus, ServerStatus,
};
use archtrace_facts::identity::{Identity, LastExit};
use archtrace_facts::image::Image;
use archtrace_facts::node::{Handler, Health, HookReport, NodeInfo, Preflight, Uncovered};
use archtrace_facts::report::{
    EventBatch, EventStream, HandlerChange, Heartbeat, Hello, Owner, Record, ReportedLoss,
    SequenceRange, StateUpdate, Throttle, UpdateKind, Welcome,
};
use archtrace_facts::select::Filter;
use archtrace_facts::text::escape;
use archtrace_proto::convert::{
    ConvertError, decode_handler, decode_identity, decode_image, decode_instruction, decode_node,
    decode_preflight, encode_handler, encode_identity, encode_image, encode_instruction,
    encode_preflight,
};
use archtrace_proto::v1;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

fn text() -> impl Strategy<Value = String> {
    vec(any::<u8>(), 0..20).prop_map(|bytes| escape(&bytes))
}

fn time() -> impl Strategy<Value = SystemTime> {
    any::<u64>().prop_map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos >> 1))
}

fn arch() -> impl Strategy<Value = Arch> {
    any::<u16>().prop_map(|machine| {
        Arch::of(Ident {
            class: Class::Elf64,
            data: Data::Little,
            machine,
        })
    })
}

prop_compose! {
    fn identity()(
        words in vec(text(), 9),
        image_arch in of(arch()),
        labels in btree_map(text(), text(), 0..4),
        attempt: u32,
        workload_from_api: bool,
        last_exit in of((any::<i32>(), text())),
    ) -> Identity {
        let [namespace, pod, container, pod_uid, container_id, unit, image, image_id, workload] =
            std::array::from_fn(|i| words[i].clone());
        let last_exit = last_exit.map(|(code, reason)| LastExit { code, reason });
        Identity {
            namespace, pod, container, pod_uid, container_id, unit, image, image_id, image_arch,
            workload, workload_from_api, labels, attempt, last_exit,
        }
    }
}

prop_compose! {
    fn owner()(cgroup in text(), identity in identity()) -> Owner {
        Owner { cgroup, identity }
    }
}

prop_compose! {
    fn audit()(
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
    fn image()(
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
    fn key()(
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
    fn fact()(
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
    fn loss()(
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

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 16]>().prop_map(Digest::from_bytes)
}

prop_compose! {
    fn health()(numbers: [u64; 4], spool in text()) -> Health {
        let [resident_bytes, cpu_ns, queued_records, spooled_bytes] = numbers;
        Health { resident_bytes, cpu_ns, queued_records, spooled_bytes, spool }
    }
}

prop_compose! {
    fn coverage()(numbers: [u64; 3], stale_nodes in vec(text(), 0..3), source in text()) -> Coverage {
        let [reporting, stale, unknown] = numbers;
        let unknown_nodes = stale_nodes.clone();
        Coverage { reporting, stale, unknown, stale_nodes, unknown_nodes, source }
    }
}

prop_compose! {
    fn earlier()(numbers: [u64; 3]) -> EventStream {
        let [stream_id, a, b] = numbers;
        EventStream { stream_id: stream_id.max(1), oldest_sequence: a.min(b), next_sequence: a.max(b) }
    }
}

prop_compose! {
    fn event()(
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
    fn instruction()(
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
    fn handler()(words in vec(text(), 3), enabled: bool, arch in of(arch()), since in of(time())) -> Handler {
        let [name, interpreter, flags] = [0, 1, 2].map(|i: usize| words[i].clone());
        Handler { name, enabled, interpreter, flags, arch, since }
    }
}

prop_compose! {
    fn change()(time in time(), kind in select(HandlerChangeKind::ALL), handler in handler()) -> Record {
        Record::Handler(HandlerChange { time, kind, handler })
    }
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![loss(), event(), change()]
}

prop_compose! {
    fn node()(
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
    fn preflight()(
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

/// Converts there and back.
fn back<D, M>(domain: &D) -> Result<D, ConvertError>
where
    M: for<'a> From<&'a D>,
    D: TryFrom<M, Error = ConvertError>,
{
    D::try_from(M::from(domain))
}

proptest! {
    #[test]
    fn facts_come_back(
        fact in fact(),
        identity in identity(),
        cluster in text(),
        node_arch in arch(),
        current: bool,
        ended: bool,
    ) {
        prop_assert_eq!(back::<_, v1::Fact>(&fact), Ok(fact.clone()));
        let fact = NodeFact { node: cluster.clone(), cluster, node_arch, fact, identity, current, ended };
        prop_assert_eq!(back::<_, v1::NodeFact>(&fact), Ok(fact));
    }

    #[test]
    fn events_come_back(
        record in record(),
        identity in identity(),
        stream_id: u64,
        sequence: u64,
        node in text(),
        node_arch in arch(),
    ) {
        let batch = EventBatch { stream_id, first_sequence: sequence, records: vec![record.clone(); 2] };
        prop_assert_eq!(back::<_, v1::EventBatch>(&batch), Ok(batch));
        let event = NodeEvent { cluster: node.clone(), node, node_arch, stream_id, sequence, record, identity };
        prop_assert_eq!(back::<_, v1::NodeEvent>(&event), Ok(event));
    }

    #[test]
    fn what_stores_keep_comes_back(instruction in instruction(), handler in handler(), bytes in vec(any::<u8>(), 0..50)) {
        prop_assert_eq!(decode_instruction(&encode_instruction(&instruction)), Ok(instruction));
        prop_assert_eq!(decode_handler(&encode_handler(&handler)), Ok(handler));
        let _ = decode_instruction(&bytes);
        let _ = decode_handler(&bytes);
        let _ = decode_identity(&bytes);
        let _ = decode_image(&bytes);
    }

    #[test]
    fn updates_come_back(
        kind in select(&[UpdateKind::SnapshotChunk, UpdateKind::SnapshotEnd, UpdateKind::Delta]),
        numbers: [u64; 3],
        upserts in vec(fact(), 0..3),
        removed in vec(any::<[u8; 16]>().prop_map(FactId), 0..3),
        owners in vec(owner(), 0..3),
        images in vec(image(), 0..3),
        digest in of(digest()),
    ) {
        let [epoch, base_revision, revision] = numbers;
        let update = StateUpdate { kind, epoch, base_revision, revision, upserts, removed, owners, images, digest };
        prop_assert_eq!(back::<_, v1::StateUpdate>(&update), Ok(update));
    }

    #[test]
    fn owners_and_images_come_back(
        identity in identity(),
        image in image(),
        nodes in vec((arch(), any::<u64>()), 0..3),
        last_seen in time(),
    ) {
        prop_assert_eq!(decode_identity(&encode_identity(&identity)), Ok(identity));
        prop_assert_eq!(decode_image(&encode_image(&image)), Ok(image.clone()));
        let image = FleetImage { image, nodes, last_seen };
        prop_assert_eq!(back::<_, v1::FleetImage>(&image), Ok(image));
    }

    #[test]
    fn nodes_come_back(
        node in node(),
        preflight in preflight(),
        numbers: [u64; 3],
        at in time(),
        cluster in text(),
        health in of(health()),
        state in select(&[NodeState::Reporting, NodeState::Stale, NodeState::Unknown]),
        digest in digest(),
        earlier_streams in vec(earlier(), 0..3),
    ) {
        prop_assert_eq!(decode_preflight(&encode_preflight(&preflight)), Ok(preflight.clone()));
        let [epoch, oldest_sequence, next_sequence] = numbers;
        let event_stream_id = epoch.max(1);
        let status = NodeStatus {
            cluster: cluster.clone(),
            info: node.clone(),
            state,
            last_heard: Some(at),
            attached_at: (state != NodeState::Unknown).then_some(at),
            preflight: preflight.clone(),
            facts: epoch,
            emulated_facts: oldest_sequence,
            failed_facts: next_sequence,
            emulated_processes: epoch,
            losses: Vec::new(),
            health: health.clone(),
        };
        prop_assert_eq!(back::<_, v1::NodeStatus>(&status), Ok(status));
        let hello = Hello {
            cluster, node, epoch, attached_at: at, event_stream_id, oldest_sequence, next_sequence,
            preflight: preflight.clone(), held: (epoch > 0).then_some((epoch, digest)), earlier_streams,
        };
        prop_assert_eq!(back::<_, v1::Hello>(&hello), Ok(hello));
        let beat = Heartbeat {
            revision: epoch, digest: Some(digest), next_sequence, preflight: Some(preflight), health,
        };
        prop_assert_eq!(back::<_, v1::Heartbeat>(&beat), Ok(beat));
    }

    #[test]
    fn the_rest_comes_back(
        archs in vec(arch(), 0..3),
        modes in vec(select(Mode::ALL), 0..3),
        since in of(time()),
        nodes in vec(text(), 0..3),
        seconds: u32,
        started_at in time(),
        store in text(),
        coverage in coverage(),
        resume: bool,
        earlier_next_sequences in vec(any::<u64>(), 0..3),
    ) {
        let filter = Filter {
            clusters: nodes.clone(), nodes: nodes.clone(), node_archs: archs.clone(), namespaces: nodes.clone(),
            pods: nodes.clone(), containers: nodes.clone(), workloads: nodes.clone(), images: nodes.clone(),
            binaries: nodes, archs, modes, since,
        };
        prop_assert_eq!(back::<_, v1::Filter>(&filter), Ok(filter));
        let heartbeat_interval = Duration::from_secs(seconds.into());
        let welcome = Welcome {
            heartbeat_interval, max_message_bytes: seconds, next_sequence: 7, resume, earlier_next_sequences,
            max_items: seconds,
        };
        prop_assert_eq!(back::<_, v1::Welcome>(&welcome), Ok(welcome));
        let throttle = Throttle { retry_after: heartbeat_interval, reason: store.clone() };
        prop_assert_eq!(back::<_, v1::Throttle>(&throttle), Ok(throttle));
        let status = ServerStatus {
            version: store.clone(), started_at, heartbeat_interval, store, totals: Default::default(), authenticated: false,
            coverage, refusals: vec![("permission_denied".to_owned(), u64::from(seconds))],
        };
        prop_assert_eq!(back::<_, v1::GetServerStatusResponse>(&status), Ok(status));
    }

    #[test]
    fn whatever_a_peer_sends_is_an_error_at_worst(bytes in vec(any::<u8>(), 0..200), seconds: i64, nanos: i32) {
        use prost::Message as _;
        let bytes = bytes.as_slice();
        let _ = v1::SyncRequest::decode(bytes);
        let _ = decode_node(bytes);
        let _ = v1::StateUpdate::decode(bytes).map(StateUpdate::try_from);
        let _ = v1::Hello::decode(bytes).map(Hello::try_from);
        let _ = v1::EventBatch::decode(bytes).map(EventBatch::try_from);
        let _ = v1::Heartbeat::decode(bytes).map(Heartbeat::try_from);
        let _ = v1::Throttle::decode(bytes).map(Throttle::try_from);
        let _ = v1::ListFactsResponse::decode(bytes)
            .map(|page| page.facts.into_iter().map(NodeFact::try_from).collect::<Vec<_>>());
        let time = Some(prost_types::Timestamp { seconds, nanos });
        let _ = ReportedLoss::try_from(v1::Loss { stage: "x".to_owned(), count: 0, since: time, until: time, range: None });
        let duration = Some(prost_types::Duration { seconds, nanos });
        let _ = Welcome::try_from(v1::Welcome { heartbeat_interval: duration, ..Default::default() });
    }
}
