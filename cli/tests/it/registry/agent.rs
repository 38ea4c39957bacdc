//! An agent whose pods run what registries are asked for.

use archtrace_facts::arch::Arch::Amd64;
use archtrace_facts::fact::{Fact, FactKey, Mode};
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;
use archtrace_facts::node::{NodeInfo, Preflight};
use archtrace_facts::report::{Hello, Owner, StateUpdate, UpdateKind};
use archtrace_proto::v1;
use archtrace_proto::v1::agent_ingest_client::AgentIngestClient;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

use super::super::support::{ago, fact, key};

/// An agent that told all it has, and keeps its stream open.
pub(super) struct Agent {
    runtime: Runtime,
    requests: mpsc::Sender<v1::SyncRequest>,
    responses: Streaming<v1::SyncResponse>,
}

impl Agent {
    fn open(url: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (requests, stream) = mpsc::channel(4);
        let url = url.to_owned();
        let responses = runtime.block_on(async move {
            let endpoint = Endpoint::from_shared(url).expect("a URL");
            let channel = endpoint.connect().await.expect("connects");
            let mut client = AgentIngestClient::new(channel);
            client.sync(ReceiverStream::new(stream)).await
        });
        Self {
            runtime,
            requests,
            responses: responses.expect("a stream").into_inner(),
        }
    }

    fn ask(&mut self, message: Request) -> Response {
        let request = v1::SyncRequest {
            message: Some(message),
        };
        let Self {
            runtime,
            requests,
            responses,
        } = self;
        runtime.block_on(async {
            requests.send(request).await.expect("sends");
            let response = responses.message().await.expect("an answer");
            response
                .and_then(|response| response.message)
                .expect("an answer")
        })
    }

    /// Reports a node whose pods run these images, by workload.
    pub(super) fn report(url: &str, node: &str, pods: &[(&str, &str)]) -> Self {
        let mut agent = Self::open(url);
        let hello = Hello {
            cluster: "c".to_owned(),
            node: NodeInfo {
                name: node.to_owned(),
                uid: String::new(),
                arch: Amd64,
                kernel_release: "6.1.0".to_owned(),
                cpu_model: "a CPU".to_owned(),
                page_size: 4096,
                boot_id: "b".to_owned(),
                agent_version: "0.1.0".to_owned(),
                cpu_generation: String::new(),
                cpu_features: Vec::new(),
                runs_32bit: Some(true),
                lockdown: "none".to_owned(),
            },
            epoch: 1,
            attached_at: ago(1),
            event_stream_id: 1,
            oldest_sequence: 0,
            next_sequence: 0,
            preflight: Preflight::default(),
            held: None,
            earlier_streams: Vec::new(),
        };
        let welcome = agent.ask(Request::Hello((&hello).into()));
        assert!(matches!(welcome, Response::Welcome(_)), "{welcome:?}");
        let cgroup = |i: usize| format!("/kubepods/pod{i}/app");
        let facts = (0..pods.len()).map(|i| {
            let key = FactKey {
                cgroup: cgroup(i),
                ..key("/app", Amd64, Mode::Native)
            };
            fact(key, 1, 0)
        });
        let owners = pods.iter().enumerate().map(|(i, (workload, image))| Owner {
            cgroup: cgroup(i),
            identity: Identity {
                namespace: "pay".to_owned(),
                pod: format!("pod-{i}"),
                container: "app".to_owned(),
                pod_uid: format!("uid-{i}"),
                container_id: format!("id-{i}"),
                image: (*image).to_owned(),
                image_id: format!("sha256:{i}"),
                workload: format!("Deployment/{workload}"),
                ..Identity::default()
            },
        });
        let images = pods.iter().enumerate().map(|(i, (_, image))| Image {
            id: format!("sha256:{i}"),
            names: vec![(*image).to_owned()],
            arch: Some(Amd64),
            os: "linux".to_owned(),
            ..Image::default()
        });
        let update = StateUpdate {
            kind: UpdateKind::SnapshotEnd,
            epoch: 1,
            base_revision: 0,
            revision: 1,
            upserts: facts.collect::<Vec<Fact>>(),
            removed: Vec::new(),
            owners: owners.collect(),
            images: images.collect(),
            digest: None,
        };
        let ack = agent.ask(Request::State((&update).into()));
        assert!(matches!(ack, Response::Ack(_)), "{ack:?}");
        agent
    }
}
