//! What the live view takes for a fleet: time to load, memory, time of sums and of the matrix, while facts
//! change.
//!
//! `cargo run --release -p archtrace-query --example live -- 10000`: that many nodes of 30 facts. The
//! store makes its facts up when asked, so that the memory is the view's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Audit, Foreign, Role};
use archtrace_facts::fact::{Fact, FactKey, Mode, Via};
use archtrace_facts::fleet::{FleetImage, NodeEvent, NodeFact, NodeStatus, Totals};
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::read::{
    EventCursor, EventQuery, FactChange, FactCursor, FactQuery, Head, ImageCursor, ImageQuery,
    NodeId, NodeQuery, StoreError, Version,
};
use archtrace_query::{Mandates, Open, Query, Read, Seen, Settings};
use tokio_util::sync::CancellationToken;
use tonic::Request;

const FACTS: u64 = 30;
/// Of these, in each container.
const PER_CGROUP: u64 = 3;

/// Seven versions of each of 400 services.
const IMAGES: i64 = 400 * 7;

fn image(i: i64) -> FleetImage {
    let (service, version) = (i / 7, i % 7);
    let foreign = Foreign {
        path: "/app/lib/hsm.jar!/linux/libhsm.so".to_owned(),
        arch: Arch::Arm64,
        role: Role::JarEntry,
    };
    FleetImage {
        image: Image {
            id: format!("sha256:{i:064x}"),
            names: vec![format!(
                "registry.example/team-{}/service-{service}:1.{version}",
                service % 40
            )],
            arch: Some(Arch::Amd64),
            audit: Some(Audit {
                expected: Arch::Amd64,
                files: 3000,
                bytes: 3_000_000,
                elf: vec![(Arch::Amd64, 100)],
                main: Some(("/usr/local/bin/service".to_owned(), Arch::Amd64)),
                foreign: vec![foreign; usize::from(i % 10 == 0)],
                more_foreign: 0,
                skipped: Vec::new(),
            }),
            ..Image::default()
        },
        nodes: vec![(Arch::Amd64, 100)],
        last_seen: SystemTime::now(),
        registry: Vec::new(),
    }
}

struct MadeUp {
    nodes: u64,
    /// Nodes that changed since the beginning: one after the other.
    changes: AtomicU64,
}

impl MadeUp {
    fn version(&self, node: u64) -> i64 {
        let changes = self.changes.load(Ordering::Relaxed);
        i64::try_from(1 + (changes + self.nodes - node) / self.nodes).unwrap_or(i64::MAX)
    }

    fn fact(node: u64, i: u64, count: u64) -> (Fact, Identity) {
        let pod = i / PER_CGROUP;
        let workload = (node * 7 + pod * 131) % 400;
        let number = node * 1000 + pod;
        let mode = if (node * FACTS + i).is_multiple_of(100) {
            Mode::Emulated
        } else {
            Mode::Native
        };
        let is_emulated = mode == Mode::Emulated;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + count);
        let fact = Fact {
            key: FactKey {
                cgroup: format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{number:032x}.slice/cri-containerd-{number:064x}.scope"
                ),
                binary: format!("/usr/local/bin/service-{workload}-{}", i % PER_CGROUP),
                path_resolved: true,
                arch: if is_emulated {
                    Arch::Arm64
                } else {
                    Arch::Amd64
                },
                mode,
                emulator: is_emulated.then(|| "/usr/bin/qemu-aarch64-static".to_owned()),
                via: is_emulated.then_some(Via::BinfmtMisc),
                cause: None,
            },
            count,
            processes: u64::from(is_emulated),
            cpu_ns: count * 1000,
            first_seen: time,
            last_seen: time,
        };
        let identity = Identity {
            namespace: format!("team-{}", workload % 40),
            pod: format!("service-{workload}-7c9f8d5b6-{number:x}"),
            container: if i % 3 == 2 { "istio-proxy" } else { "app" }.to_owned(),
            image_id: format!("sha256:{:064x}", workload * 7 + workload % 7),
            image: format!(
                "registry.example/team-{}/service-{workload}:1.{}",
                workload % 40,
                workload % 7
            ),
            workload: format!("Deployment/service-{workload}"),
            ..Identity::default()
        };
        (fact, identity)
    }
}

impl Read for MadeUp {
    async fn facts(&self, _: FactQuery) -> Result<Vec<(FactCursor, NodeFact)>, StoreError> {
        Ok(Vec::new())
    }

    async fn events(&self, _: EventQuery) -> Result<Vec<(EventCursor, NodeEvent)>, StoreError> {
        Ok(Vec::new())
    }

    async fn images(
        &self,
        query: ImageQuery,
    ) -> Result<Vec<(ImageCursor, FleetImage)>, StoreError> {
        let first = query.after.map_or(0, |after| after.0 + 1);
        let numbers = (first..IMAGES).take(query.limit.try_into().unwrap_or(usize::MAX));
        Ok(numbers.map(|i| (ImageCursor(i), image(i))).collect())
    }

    async fn nodes(&self, _: NodeQuery) -> Result<Vec<(NodeId, NodeStatus)>, StoreError> {
        Ok(Vec::new())
    }

    async fn totals(&self, _: SystemTime) -> Result<Totals, StoreError> {
        Ok(Totals::default())
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let heads = (0..self.nodes).map(|node| Head {
            node: NodeId(i64::try_from(node).unwrap_or(0)),
            cluster: "prod".to_owned(),
            name: format!("ip-10-0-{}-{}.internal", node / 250, node % 250),
            arch: Arch::Amd64,
            version: Version(self.version(node)),
            last_heard: SystemTime::now(),
        });
        Ok(heads.collect())
    }

    async fn facts_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> Result<Vec<FactChange>, StoreError> {
        let changes = nodes.into_iter().flat_map(|(id, since)| {
            let node = id.0.unsigned_abs();
            let version = self.version(node);
            // A change is of one fact.
            let count = if since.0 == 0 { FACTS } else { 1 };
            (0..count).map(move |i| {
                let (fact, identity) = Self::fact(node, i, version.unsigned_abs());
                FactChange {
                    node: id,
                    version: Version(version),
                    id: fact.key.id(),
                    cursor: FactCursor(id.0 * 1000 + i.cast_signed()),
                    fact: NodeFact {
                        cluster: "prod".to_owned(),
                        node: format!("node-{node}"),
                        node_arch: Arch::Amd64,
                        fact,
                        identity,
                        current: true,
                        ended: false,
                    },
                }
            })
        });
        Ok(changes.collect())
    }

    async fn events_since(
        &self,
        _: Vec<(NodeId, Version)>,
    ) -> Result<Vec<(NodeId, Version, NodeEvent)>, StoreError> {
        Ok(Vec::new())
    }
}

/// CPU time of all threads.
fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    line.unwrap_or("unknown").trim().to_owned()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let nodes = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let store = Arc::new(MadeUp {
        nodes: nodes.unwrap_or(10_000),
        changes: AtomicU64::new(0),
    });
    let before = resident();
    let begun = Instant::now();
    let settings = Settings {
        store_name: "made up".to_owned(),
        heartbeat_interval: Duration::from_secs(10),
        server: Arc::new(Open),
        expected: Arc::new(Seen::default()),
        mandates: Mandates::Nobody("nobody is asked for"),
        idle: None,
        shutdown: CancellationToken::new(),
    };
    let query = Query::new(Arc::clone(&store), settings);
    let ask = |by: &[v1::Dimension], filter: &str| v1::SummarizeFactsRequest {
        selection: Some(v1::Selection {
            filter: filter.to_owned(),
            ..Default::default()
        }),
        group_by: by.iter().map(|dimension| i32::from(*dimension)).collect(),
        max_rows: 0,
    };
    let first = query.summarize_facts(Request::new(ask(&[], ""))).await;
    let facts = first.map(|answer| answer.into_inner().rows[0].facts);
    println!(
        "{facts:?} facts after {:?}; anonymous memory {before} -> {}",
        begun.elapsed(),
        resident()
    );
    let writer = Arc::clone(&store);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            writer.changes.fetch_add(20, Ordering::Relaxed);
        }
    });
    use v1::Dimension::{Arch, Cluster, Image, Mode, Namespace, Node, Workload};
    for (by, filter) in [
        (&[Arch, Mode][..], ""),
        (&[Workload], ""),
        (&[Node], ""),
        (&[Node, Arch, Mode], ""),
        (&[Namespace, Workload, Image, Arch, Mode], ""),
        (&[Cluster, Node, Namespace, Workload, Image, Arch, Mode], ""),
        (&[Workload], "mode = emulated"),
        (&[Node], "namespace = team-1*"),
        (
            &[Arch],
            "cgroup : \"burstable\" AND last_seen > 2020-01-01T00:00:00Z",
        ),
    ] {
        let (mut times, mut cpus, mut rows) = (Vec::new(), Vec::new(), 0);
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            let (begun, used) = (Instant::now(), cpu());
            let answer = query.summarize_facts(Request::new(ask(by, filter))).await;
            times.push(begun.elapsed());
            cpus.push(cpu() - used);
            rows = answer.map_or(0, |answer| answer.get_ref().rows.len());
        }
        times.sort();
        cpus.sort();
        println!(
            "{by:?} {filter}: {rows} rows, p50 {:?}, most {:?}, CPU p50 {:?}",
            times[20], times[39], cpus[20]
        );
    }
    for (page_size, workloads) in [(0, "*"), (50, "*"), (0, "*/service-7")] {
        let (mut times, mut cpus, mut rows) = (Vec::new(), Vec::new(), 0);
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            let (begun, used) = (Instant::now(), cpu());
            let asked = v1::GetMatrixRequest {
                arch: "amd64".to_owned(),
                workloads: vec![workloads.to_owned()],
                page_size,
                ..Default::default()
            };
            let answer = query.get_matrix(Request::new(asked)).await;
            times.push(begun.elapsed());
            cpus.push(cpu() - used);
            let answer = answer.map(|answer| answer.into_inner().workloads);
            rows = answer.map_or(0, |told| told.iter().map(|of| of.rows.len()).sum());
        }
        times.sort();
        cpus.sort();
        println!(
            "matrix of {workloads}, {page_size} a page: {rows} rows, p50 {:?}, most {:?}, CPU p50 {:?}",
            times[20], times[39], cpus[20]
        );
    }
    println!("anonymous memory {}", resident());
}
