//! The portability matrix: which workloads it has, in which order, and what is made of their facts.

use std::sync::Arc;
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Audit, Foreign, Role};
use archtrace_facts::fact::{Fact, Mode};
use archtrace_facts::fleet::FleetImage;
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::Query;
use tonic::{Code, Request, Status};

use super::memory::{Memory, at, fact, query};

/// A fact of a container of its own.
fn of(pod: &str, container: &str, binary: &str, mode: Mode) -> Fact {
    let mut fact = fact(binary, mode, 1);
    fact.key.cgroup = format!("/kubepods/{pod}/{container}");
    fact
}

fn identity(namespace: &str, workload: &str, container: &str) -> Identity {
    Identity {
        namespace: namespace.to_owned(),
        pod: format!("{namespace}-pod"),
        container: container.to_owned(),
        workload: workload.to_owned(),
        image: "reg/app:1".to_owned(),
        image_id: "sha256:1".to_owned(),
        ..Identity::default()
    }
}

async fn ask(
    query: &Query<Memory>,
    request: v1::GetMatrixRequest,
) -> Result<v1::GetMatrixResponse, Status> {
    let answer = query.get_matrix(Request::new(request)).await;
    answer.map(tonic::Response::into_inner)
}

/// Cluster, namespace, name and status of each workload.
fn names(answer: &v1::GetMatrixResponse) -> Vec<String> {
    let workloads = answer.workloads.iter();
    let name = |of: &v1::WorkloadMatrix| {
        format!(
            "{} {} {} {}",
            of.cluster, of.namespace, of.workload, of.status
        )
    };
    workloads.map(name).collect()
}

/// Status of each row, by layer and component.
fn rows(of: &v1::WorkloadMatrix) -> Vec<(&str, &str, &str)> {
    let rows = of.rows.iter();
    rows.map(|row| (&*row.layer, &*row.component, &*row.status))
        .collect()
}

fn image(foreign: Vec<Foreign>) -> FleetImage {
    FleetImage {
        image: Image {
            id: "sha256:1".to_owned(),
            names: vec!["reg/app:1".to_owned()],
            arch: Some(Arch::Amd64),
            audit: Some(Audit {
                expected: Arch::Amd64,
                files: 1,
                bytes: 1,
                elf: vec![(Arch::Amd64, 1)],
                main: Some(("/app".to_owned(), Arch::Amd64)),
                foreign,
                more_foreign: 0,
                skipped: Vec::new(),
            }),
            ..Image::default()
        },
        nodes: vec![(Arch::Amd64, 1)],
        last_seen: at(0),
        registry: Vec::new(),
    }
}

/// Three workloads on `n1`, of which one has a foreign program, and one on `n2`; both nodes are amd64.
fn filled() -> Arc<Memory> {
    let store = Arc::new(Memory::default());
    let (one, two) = (store.add_node("n1"), store.add_node("n2"));
    let native = |pod: &str, container: &str| of(pod, container, "/app", Mode::Native);
    store.put(
        one,
        vec![
            (native("a", "api"), identity("pay", "Deployment/api", "api")),
            (
                of("a", "helper", "/helper", Mode::Emulated),
                identity("pay", "Deployment/api", "helper"),
            ),
            (native("b", "web"), identity("pay", "Deployment/web", "web")),
            (native("c", "db"), identity("data", "StatefulSet/db", "db")),
            // A unit of the host, and a pod that nobody has named yet.
            (
                fact("/sshd", Mode::Native, 1),
                Identity {
                    unit: "ssh.service".to_owned(),
                    ..Identity::default()
                },
            ),
            (native("d", "x"), Identity::default()),
        ],
    );
    store.put(
        two,
        vec![(
            native("e", "web"),
            identity("shop", "Deployment/web", "web"),
        )],
    );
    store.has_image(image(Vec::new()));
    store
}

fn to(arch: &str) -> v1::GetMatrixRequest {
    v1::GetMatrixRequest {
        arch: arch.to_owned(),
        ..v1::GetMatrixRequest::default()
    }
}

#[tokio::test]
async fn workloads_are_told_in_order_and_in_pages() {
    let query = query(&filled(), None);
    let all = [
        "c data StatefulSet/db GATE",
        "c pay Deployment/api FIX",
        "c pay Deployment/web GATE",
        "c shop Deployment/web GATE",
    ];
    let answer = ask(&query, to("amd64")).await.expect("an answer");
    assert_eq!(names(&answer), all);
    assert_eq!((answer.unnamed_facts, &*answer.next_page_token), (1, ""));
    assert_eq!(answer.coverage.expect("coverage").reporting, 2);
    for size in [1, 2, 3, 4] {
        let mut request = v1::GetMatrixRequest {
            page_size: size,
            ..to("amd64")
        };
        let mut told = Vec::new();
        loop {
            let answer = ask(&query, request.clone()).await.expect("an answer");
            assert!(answer.workloads.len() <= size as usize);
            told.extend(names(&answer));
            if answer.next_page_token.is_empty() {
                break;
            }
            request.page_token = answer.next_page_token;
        }
        assert_eq!(told, all, "{size}");
    }
}

#[tokio::test]
async fn those_are_told_that_are_asked_for() {
    let query = query(&filled(), None);
    let list = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    for (clusters, namespaces, workloads, count) in [
        (&[][..], &["pay"][..], &[][..], 2),
        (&[], &["pay", "shop"], &["*/web"], 2),
        (&["c"], &[], &["Deployment/*"], 3),
        (&["other"], &[], &[], 0),
        (&[], &[], &["web"], 0),
    ] {
        let request = v1::GetMatrixRequest {
            clusters: list(clusters),
            namespaces: list(namespaces),
            workloads: list(workloads),
            ..to("amd64")
        };
        let answer = ask(&query, request.clone()).await.expect("an answer");
        assert_eq!(answer.workloads.len(), count, "{request:?}");
    }
    for (request, why) in [
        (to("x86_64"), "arch: 'x86_64'"),
        (
            v1::GetMatrixRequest {
                page_size: -1,
                ..to("")
            },
            "page_size",
        ),
        (
            v1::GetMatrixRequest {
                page_token: "zebra".to_owned(),
                ..to("")
            },
            "page_token",
        ),
        (
            v1::GetMatrixRequest {
                workloads: vec![String::new(); 1001],
                ..to("")
            },
            "workloads: 1001 values",
        ),
    ] {
        let status = ask(&query, request).await.expect_err(why);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(why), "{status}");
    }
}

#[tokio::test]
async fn rows_are_made_of_facts_and_images() {
    let store = filled();
    let jar = Foreign {
        path: "/app.jar!/libhsm.so".to_owned(),
        arch: Arch::Arm64,
        role: Role::JarEntry,
    };
    store.has_image(image(vec![jar]));
    let query = query(&store, None);
    let answer = ask(&query, to("amd64")).await.expect("an answer");
    let api = &answer.workloads[1];
    assert_eq!(
        rows(api),
        [
            ("runtime", "api", "PASS"),
            ("image", "reg/app:1", "PASS"),
            ("native_dependencies", "reg/app:1", "FIX"),
            ("sidecars", "helper", "FIX"),
            ("agents", "", "GATE"),
        ]
    );
    let shown = |row: usize| {
        let evidence = &api.rows[row].evidence[0];
        (
            &*evidence.kind,
            &*evidence.what,
            &*evidence.arch,
            &*evidence.node,
        )
    };
    assert_eq!(shown(2), ("file", "/app.jar!/libhsm.so", "arm64", ""));
    assert_eq!(shown(3), ("fact", "/helper", "arm64", "n1"));
    // Where nobody has been yet, nothing passes.
    let answer = ask(&query, to("")).await.expect("an answer");
    let web = &answer.workloads[2];
    assert_eq!(
        rows(web),
        [
            ("runtime", "web", "GATE"),
            ("image", "reg/app:1", "GATE"),
            ("native_dependencies", "reg/app:1", "GATE"),
            ("sidecars", "", "PASS"),
            ("agents", "", "GATE"),
        ]
    );
}

#[tokio::test]
async fn a_node_that_is_silent_proves_nothing() {
    let store = filled();
    store.heard(archtrace_query::read::NodeId(2), SystemTime::UNIX_EPOCH);
    let query = query(&store, None);
    let answer = ask(&query, to("amd64")).await.expect("an answer");
    let runtime = |workload: usize| &*answer.workloads[workload].rows[0].status;
    assert_eq!((runtime(2), runtime(3)), ("PASS", "GATE"));
}
