//! What is converted comes back the same; whatever bytes a peer sends are an error at worst.

use std::time::Duration;

use archtrace_facts::coverage::InForce;
use archtrace_facts::fact::{FactId, Mode};
use archtrace_facts::fleet::{
    FleetImage, NodeEvent, NodeFact, NodeState, NodeStatus, ServerStatus,
};
use archtrace_facts::report::{
    EventBatch, Heartbeat, Hello, ReportedLoss, StateUpdate, Throttle, UpdateKind, Welcome,
};
use archtrace_facts::select::Filter;
use archtrace_proto::convert::{
    ConvertError, decode_handler, decode_identity, decode_image, decode_instruction, decode_node,
    decode_preflight, encode_handler, encode_identity, encode_image, encode_instruction,
    encode_preflight,
};
use archtrace_proto::v1;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::values::{
    arch, coverage, digest, earlier, fact, handler, health, identity, image, instruction, node,
    owner, preflight, record, text, time,
};

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
            policy: Some(InForce {
                source: "policy.yaml".to_owned(), agents: u64::from(seconds), loaded_at: Some(started_at), problem: String::new(),
            }),
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
