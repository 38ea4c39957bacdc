//! More nodes than `n1`.

use std::time::{Duration, Instant, SystemTime};

use archtrace_collector::store::{Snapshot, Store as _};
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Fact, FactKey, Mode};
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;
use archtrace_facts::node::{Preflight, Uncovered};
use archtrace_facts::report::{EventBatch, Hello, Owner, Record};

use super::{Collector, ago, fact, key, known};

/// What a node reports: all that it has.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) arch: Arch,
    pub(crate) heard: SystemTime,
    pub(crate) containers: Vec<Container>,
    pub(crate) images: Vec<Image>,
    /// Events of its stream.
    pub(crate) records: Vec<Record>,
    /// Cgroups of sandboxes of which nothing is seen.
    pub(crate) uncovered: Vec<&'static str>,
}

/// A container, and what it ran.
pub(crate) struct Container {
    pub(crate) identity: Identity,
    pub(crate) facts: Vec<(&'static str, Arch, Mode)>,
}

/// Container `app` of a pod of Deployment/web in namespace `shop`, with label `app=web`.
pub(crate) fn container(pod: &str, facts: &[(&'static str, Arch, Mode)]) -> Container {
    Container {
        identity: Identity {
            namespace: "shop".to_owned(),
            pod: pod.to_owned(),
            container: "web".to_owned(),
            pod_uid: format!("uid-of-{pod}"),
            container_id: format!("id-of-{pod}"),
            image: "registry/web:1".to_owned(),
            image_id: "sha256:web".to_owned(),
            workload: "Deployment/web".to_owned(),
            labels: [("app".to_owned(), "web".to_owned())].into(),
            ..Identity::default()
        },
        facts: facts.to_vec(),
    }
}

/// A node that is arm64 and reports.
pub(crate) fn arm64(name: &'static str, containers: Vec<Container>) -> Node {
    Node {
        name,
        arch: Arch::Arm64,
        heard: SystemTime::now(),
        containers,
        images: Vec::new(),
        records: Vec::new(),
        uncovered: Vec::new(),
    }
}

impl Container {
    pub(crate) fn cgroup(&self) -> String {
        let Identity { pod, container, .. } = &self.identity;
        format!("/kubepods/{pod}/{container}")
    }

    fn facts(&self) -> impl Iterator<Item = Fact> {
        self.facts.iter().map(|(binary, arch, mode)| {
            let key = FactKey {
                cgroup: self.cgroup(),
                ..key(binary, *arch, *mode)
            };
            fact(key, u64::from(*mode == Mode::Emulated), 0)
        })
    }

    fn owner(&self) -> Owner {
        Owner {
            cgroup: self.cgroup(),
            identity: self.identity.clone(),
        }
    }
}

impl Collector {
    /// A node reports for the first time; waits until answers from memory have it, too.
    pub(crate) fn report(&self, node: &Node) {
        let Node {
            name,
            arch,
            heard,
            containers,
            images,
            records,
            uncovered,
        } = node;
        let uncovered = uncovered.iter().map(|cgroup| Uncovered {
            cgroup: (*cgroup).to_owned(),
            runtime: "gvisor".to_owned(),
        });
        let hello = Hello {
            cluster: "c".to_owned(),
            node: known::node(name, *arch),
            epoch: 1,
            attached_at: ago(1),
            event_stream_id: 1,
            oldest_sequence: 0,
            next_sequence: 0,
            preflight: Preflight {
                uncovered: uncovered.collect(),
                ..Preflight::default()
            },
            held: None,
            earlier_streams: Vec::new(),
        };
        let snapshot = Snapshot {
            epoch: 1,
            revision: 1,
            facts: containers.iter().flat_map(Container::facts).collect(),
            owners: containers.iter().map(Container::owner).collect(),
            images: images.clone(),
            digest: None,
        };
        self.write(async |store| {
            let lease = store.attach(hello, *heard).await.expect("works").lease;
            let applied = store.apply_snapshot(lease, snapshot, *heard).await;
            applied.expect("works");
            if !records.is_empty() {
                let batch = EventBatch {
                    stream_id: 1,
                    first_sequence: 0,
                    records: records.clone(),
                };
                let appended = store.append_events(lease.node, batch, *heard).await;
                appended.expect("works");
            }
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        let has_it = || {
            let assert = self.archtrace(&["summary", "--by", "node"]).assert();
            let text = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
            text.lines().any(|line| line.starts_with(name))
        };
        while !has_it() {
            assert!(Instant::now() < deadline, "{name} does not come");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
