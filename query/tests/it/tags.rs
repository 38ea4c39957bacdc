//! Tags that pods ask for: which, in which order, and who runs them.

use std::sync::Arc;
use std::time::Duration;

use archtrace_facts::fact::{Fact, Mode};
use archtrace_facts::fleet::ExpectedNodes;
use archtrace_facts::identity::Identity;
use archtrace_facts::platform::Platform;
use archtrace_facts::registry::{Check, DeployedTag, Listing, Trouble};
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::{Mandates, Query, Registry, Server, Settings};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

use super::memory::{Fixed, Memory, fact, query};

/// Has amd64 of everything that it has.
struct Has(&'static str);

impl Registry for Has {
    fn check(&self, reference: &str) -> Arc<Check> {
        let whole = format!("docker.io/library/{reference}:latest");
        if reference != self.0 {
            return Arc::new(Check::without(&whole, Trouble::Gone, "not here"));
        }
        Arc::new(Check {
            reference: whole,
            checked_at: None,
            told: Ok(Listing {
                is_index: true,
                digest: String::new(),
                platforms: vec![Platform::linux(archtrace_facts::arch::Arch::Amd64)],
            }),
        })
    }
}

struct Asks;

impl Server for Asks {
    fn authenticated(&self) -> bool {
        false
    }

    fn refusals(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    fn registry(&self) -> Option<Arc<dyn Registry>> {
        Some(Arc::new(Has("nginx")))
    }
}

fn asking(store: &Arc<Memory>) -> Query<Memory> {
    let settings = Settings {
        store_name: "memory".to_owned(),
        heartbeat_interval: Duration::from_secs(1),
        server: Arc::new(Asks),
        expected: Arc::new(Fixed(Arc::new(ExpectedNodes::seen()))),
        mandates: Mandates::Nobody("nobody is asked for"),
        idle: None,
        shutdown: CancellationToken::new(),
    };
    Query::new(Arc::clone(store), settings)
}

fn pod(i: usize, namespace: &str, workload: &str, image: &str) -> (Fact, Identity) {
    let mut fact = fact("/app", Mode::Native, 1);
    fact.key.cgroup = format!("/kubepods/{i}/app");
    let identity = Identity {
        namespace: namespace.to_owned(),
        workload: workload.to_owned(),
        image: image.to_owned(),
        ..Identity::default()
    };
    (fact, identity)
}

async fn ask(
    query: &Query<Memory>,
    request: v1::ListTagsRequest,
) -> Result<v1::ListTagsResponse, Status> {
    let answer = query.list_tags(Request::new(request)).await;
    answer.map(tonic::Response::into_inner)
}

/// Reference, verdict, and how many workloads and nodes.
fn told(answer: &v1::ListTagsResponse) -> Vec<String> {
    let tags = answer.tags.iter().map(|tag| {
        let users = tag.users.len() as u64 + tag.more_users;
        let nodes: u64 = tag.nodes.iter().map(|count| count.count).sum();
        format!("{} {} {users} {nodes}", tag.reference, tag.verdict)
    });
    tags.collect()
}

/// `nginx` on two nodes, in three workloads; `redis` on one; and a pod of which nobody knows the image.
fn filled() -> Arc<Memory> {
    let store = Arc::new(Memory::default());
    let (one, two) = (store.add_node("n1"), store.add_node("n2"));
    store.put(
        one,
        vec![
            pod(1, "pay", "Deployment/api", "nginx"),
            pod(2, "pay", "Deployment/web", "nginx"),
            pod(3, "pay", "Deployment/web", "redis"),
            pod(4, "", "", ""),
            // Of the host: no pod.
            (fact("/sshd", Mode::Native, 1), Identity::default()),
        ],
    );
    store.put(two, vec![pod(5, "shop", "Deployment/web", "nginx")]);
    store
}

#[tokio::test]
async fn tags_are_told_in_order_and_in_pages() {
    let query = asking(&filled());
    let all = ["nginx LACKS 3 2", "redis UNKNOWN 1 1"];
    let answer = ask(&query, v1::ListTagsRequest::default())
        .await
        .expect("an answer");
    assert_eq!(told(&answer), all);
    assert_eq!((answer.unnamed_facts, &*answer.next_page_token), (1, ""));
    assert_eq!(answer.coverage.expect("coverage").reporting, 2);
    let mut request = v1::ListTagsRequest {
        page_size: 1,
        ..v1::ListTagsRequest::default()
    };
    let first = ask(&query, request.clone()).await.expect("an answer");
    assert_eq!(told(&first), all[..1]);
    request.page_token = first.next_page_token;
    let second = ask(&query, request.clone()).await.expect("an answer");
    assert_eq!(
        (told(&second), &*second.next_page_token),
        (vec![all[1].to_owned()], "")
    );
    request.arch = "amd64".to_owned();
    let other = ask(&query, request).await.expect_err("another question");
    assert_eq!(other.code(), Code::InvalidArgument);
    assert_eq!(
        query.references().await.expect("an answer"),
        ["nginx", "redis"]
    );
}

#[tokio::test]
async fn those_are_told_that_are_asked_for() {
    let query = asking(&filled());
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    for (references, clusters, namespaces, workloads, expected) in [
        (
            &["docker.io/library/n*"][..],
            &[][..],
            &[][..],
            &[][..],
            &["nginx LACKS 3 2"][..],
        ),
        (&["redis"], &[], &[], &[], &["redis UNKNOWN 1 1"]),
        (&[], &["d"], &[], &[], &[]),
        (&[], &["c"], &["shop"], &[], &["nginx LACKS 1 1"]),
        (
            &[],
            &[],
            &["pay"],
            &["*/web"],
            &["nginx LACKS 1 1", "redis UNKNOWN 1 1"],
        ),
    ] {
        let request = v1::ListTagsRequest {
            references: list(references),
            clusters: list(clusters),
            namespaces: list(namespaces),
            workloads: list(workloads),
            ..v1::ListTagsRequest::default()
        };
        let answer = ask(&query, request.clone()).await.expect("an answer");
        assert_eq!(told(&answer), expected, "{request:?}");
    }
    let amd64 = v1::ListTagsRequest {
        arch: "amd64".to_owned(),
        ..v1::ListTagsRequest::default()
    };
    let answer = ask(&query, amd64).await.expect("an answer");
    assert_eq!(told(&answer), ["nginx HAS 3 2", "redis UNKNOWN 1 1"]);
    let wrong = v1::ListTagsRequest {
        arch: "x86_64".to_owned(),
        ..v1::ListTagsRequest::default()
    };
    let refused = ask(&query, wrong).await.expect_err("no architecture");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_told_of_each_is_bounded() {
    let store = Arc::new(Memory::default());
    let workloads = DeployedTag::USERS + 5;
    for i in 0..DeployedTag::NAMES + 3 {
        let node = store.add_node(&format!("n{i}"));
        let pods = (0..workloads).map(|j| pod(j, "pay", &format!("Deployment/{j}"), "nginx"));
        store.put(node, pods.collect());
    }
    let answer = ask(&asking(&store), v1::ListTagsRequest::default()).await;
    let answer = answer.expect("an answer");
    let [tag] = &answer.tags[..] else {
        panic!("{answer:?}")
    };
    assert_eq!((tag.users.len(), tag.more_users), (DeployedTag::USERS, 5));
    assert_eq!(
        (tag.node_names.len(), tag.nodes[0].count),
        (DeployedTag::NAMES, 13)
    );
}

#[tokio::test]
async fn who_asks_no_registry_says_so() {
    let answer = ask(&query(&filled(), None), v1::ListTagsRequest::default()).await;
    let refused = answer.expect_err("nobody asks");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("--registry-check"), "{refused}");
}
