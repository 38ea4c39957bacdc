//! What the Kubernetes API is used for: the program, and an API server that does what a test wants.

mod events;
mod names;
mod program;
mod rights;
mod server;

use std::time::SystemTime;

use archtrace_facts::fact::Fact;
use archtrace_facts::identity::Identity;
use archtrace_facts::report::{Owner, StateUpdate, UpdateKind};

use super::support::{Agent, fact, hello, update};

/// A pod as an agent tells of it: its labels say that it is its own.
fn pod(name: &str, number: u32) -> (Fact, Owner) {
    let cgroup = format!("/kubepods/{name}");
    let mut told = fact(&format!("/bin/{name}"), 3);
    told.cpu_ns = 5_000_000_000;
    (told.first_seen, told.last_seen) = (SystemTime::now(), SystemTime::now());
    told.key.cgroup.clone_from(&cgroup);
    let identity = Identity {
        namespace: "pay".to_owned(),
        pod: name.to_owned(),
        container: "main".to_owned(),
        pod_uid: format!("6f2a5f0e-4c1c-4f5e-9d0e-{number:012x}"),
        workload: format!("Pod/{name}"),
        ..Identity::default()
    };
    (told, Owner { cgroup, identity })
}

/// The agent of node `n`, which tells of these pods.
async fn agent(url: &str, pods: &[(&str, u32)]) -> Agent {
    let mut hello = hello("n", 1);
    hello.attached_at = SystemTime::now();
    let (mut agent, _) = Agent::attach(url, &hello).await;
    let (upserts, owners): (Vec<_>, Vec<_>) =
        pods.iter().map(|(name, number)| pod(name, *number)).unzip();
    let told = StateUpdate {
        owners,
        ..update(UpdateKind::SnapshotEnd, 0, 1, upserts)
    };
    agent.update(&told).await.expect("taken");
    agent
}
