//! What pages say, against what is in the store.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use archtrace_facts::human;

use crate::fleet::{self, HOSTILE, node_name};
use crate::http::{get, page};
use crate::server::{SIZE, Server, UNKNOWN};

/// Services of these numbers run emulated, or have failed execs, on nodes that are arm64.
fn pods_with(ending: usize) -> BTreeSet<(usize, usize)> {
    let arm = (0..SIZE.nodes).step_by(2);
    let pods = arm.flat_map(|node| (0..SIZE.facts / 3).map(move |pod| (node, pod)));
    let fits = |(node, pod): &(usize, usize)| fleet::service(*node, *pod) % 10 == ending;
    pods.filter(fits).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_at_a_glance() {
    let server = Server::start().await;
    let words = page(server.address, "/").await.words();
    // The hostile binary is in a pod that runs nothing else emulated.
    let emulated = pods_with(3).len() + 1;
    let failed = pods_with(7).len();
    let pods = SIZE.nodes * SIZE.facts / 3;
    for expected in [
        "5 nodes reporting 1 nodes stale 1 nodes unknown".to_owned(),
        format!("{pods} pods {emulated} pods emulated"),
        format!("{failed} pods with failed execs"),
        format!(
            "1 stale : what is told of them is what was ( {} ).",
            node_name(5)
        ),
        format!("nothing is known of them ( {UNKNOWN} )."),
        "arm64 3 0".to_owned(),
        "amd64 2 1".to_owned(),
        "Deployment/service-3".to_owned(),
    ] {
        let expected = expected.replace("( ", "(").replace(" ).", ").");
        assert!(words.contains(&expected), "{expected}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_reports_nothing_is_well() {
    let server = Server::empty().await;
    for path in [
        "/",
        "/findings",
        "/emulated",
        "/workloads",
        "/nodes",
        "/events",
    ] {
        let words = page(server.address, path).await.words();
        assert!(words.contains("No node reports:"), "{path}: {words}");
        let unknown = SIZE.nodes + 1;
        assert!(
            words.contains(&format!("{unknown} unknown")),
            "{path}: {words}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_the_worst_first() {
    let server = Server::start().await;
    let words = page(server.address, "/findings").await.words();
    for expected in [
        "(workload) team-7 /opt/vendor/bin/hsm-client amd64",
        "(workload) team-3 /usr/local/bin/service-3 amd64",
        "(node)",
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    let (_, rows) = words.split_once("Last seen ").expect("a table");
    assert!(rows.starts_with("high "), "{rows}");
    let few = page(server.address, "/findings?least=critical")
        .await
        .words();
    assert!(few.contains("there is nothing to act on"), "{few}");
}

#[tokio::test(flavor = "multi_thread")]
async fn emulated_pods_and_their_cost() {
    let server = Server::start().await;
    let told = page(server.address, "/emulated").await;
    let words = told.words();
    let all = pods_with(3).len() + 1;
    assert!(words.contains(&format!("1 to {all} of {all}.")), "{words}");
    for (node, pod) in pods_with(3) {
        let service = fleet::service(node, pod);
        let name = format!(
            "team-{}/service-{service}-7c9f8d5b6-{node:x}x{pod:x}",
            service % 8
        );
        let cpu = Duration::from_nanos(fleet::cpu_ns(node, pod));
        let with_cost = format!("{name} {} ", human::duration(cpu));
        assert!(words.contains(&with_cost), "{with_cost}: {words}");
    }
    let burnt: u64 = pods_with(3)
        .into_iter()
        .map(|(node, pod)| fleet::cpu_ns(node, pod))
        .sum();
    // That of the hostile binary is a copy of pod 0's first fact.
    let hostile = fleet::cpu_ns(0, 0) * u64::from(fleet::service(0, 0) % 10 == 3);
    let burnt = human::duration(Duration::from_nanos(burnt + hostile));
    let sum = format!("{burnt} of CPU time so far");
    assert!(words.contains(&sum), "{sum}: {words}");
    assert!(words.contains("/usr/bin/qemu-x86_64-static"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_the_worst_first() {
    let server = Server::start().await;
    let words = page(server.address, "/workloads").await.words();
    let at = |service: &str| {
        let name = format!("Deployment/service-{service} ");
        words
            .find(&name)
            .unwrap_or_else(|| panic!("{name}: {words}"))
    };
    assert!(at("7") < at("3") && at("3") < at("1"), "{words}");
    let link = "/workload?cluster=prod&namespace=team-3&name=Deployment%2Fservice-3";
    let words = page(server.address, link).await.words();
    // What the worst pod of it burnt.
    let pods = pods_with(3).into_iter();
    let pods = pods.filter(|(node, pod)| fleet::service(*node, *pod) == 3);
    let burnt = pods.map(|(node, pod)| fleet::cpu_ns(node, pod)).max();
    let cpu = human::duration(Duration::from_nanos(burnt.expect("one is emulated")));
    for expected in [
        "Deployment/service-3 Namespace team-3 , cluster prod",
        "amd64 emulated",
        "/usr/local/bin/service-3 app amd64 emulated /usr/bin/qemu-x86_64-static",
        "arm64 native",
        // What is native is read from memory; all of it is in order.
        "/opt/vendor/bin/hsm-client app arm64 native",
        "/bin/sh app arm64 native",
        "/usr/local/bin/service-3 app amd64 native",
        &format!("{cpu} "),
        "emulated by /usr/bin/qemu-x86_64-static",
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_one_node() {
    let server = Server::start().await;
    let words = page(server.address, "/nodes").await.words();
    for expected in [
        format!("{} prod stale", node_name(5)),
        format!("{UNKNOWN} unknown unknown"),
        format!("{} prod reporting arm64 Graviton4", node_name(0)),
    ] {
        assert!(words.contains(&expected), "{expected}: {words}");
    }
    let link = format!("/node?cluster=prod&name={}", node_name(0));
    let words = page(server.address, &link).await.words();
    for expected in [
        "Neoverse-V2",
        "fexit: the function is inlined",
        "Not covered (gvisor):",
        "qemu-x86_64 amd64 /usr/bin/qemu-x86_64-static OCF yes",
        "ring_buffer: 9 within 10.0s",
        "ring_buffer 9",
        HOSTILE,
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    // Of another cluster there is none.
    let other = format!("/node?cluster=test&name={}", node_name(0));
    let page = crate::http::ask(server.address, get(&other)).await;
    assert_eq!(page.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_newest_first_and_by_kind() {
    let server = Server::start().await;
    let words = page(server.address, "/events").await.words();
    let at = |what: &str| {
        words
            .rfind(what)
            .unwrap_or_else(|| panic!("{what}: {words}"))
    };
    assert!(at("emulated by") < at("SVE") && at("SVE") < at("(ENOEXEC)"));
    assert!(
        words.contains("ptrue at /usr/lib/libfast.so+0x78"),
        "{words}"
    );
    let words = page(server.address, "/events?kind=loss").await.words();
    assert!(words.contains("ring_buffer: 9") && !words.contains("ENOEXEC"));
    let words = page(server.address, "/events?kind=handler_removed")
        .await
        .words();
    assert!(
        words.contains("No event of this kind is stored."),
        "{words}"
    );
}

/// From the first page on: each leads somewhere, each can be asked for by its address alone, and
/// whatever containers called their files is shown as text.
#[tokio::test(flavor = "multi_thread")]
async fn every_link_leads_to_a_page() {
    let server = Server::start().await;
    let mut known: BTreeSet<String> = ["/".to_owned()].into();
    let mut queue: VecDeque<_> = known.iter().cloned().collect();
    let mut hostile = 0;
    while let Some(link) = queue.pop_front() {
        let told = page(server.address, &link).await;
        assert!(!told.text.contains("<script>alert"), "{link}");
        hostile += usize::from(told.words().contains(HOSTILE));
        for next in told.links() {
            if next != "#main" && known.insert(next.clone()) {
                assert!(next.starts_with('/'), "{link} leads away to {next}");
                queue.push_back(next);
            }
        }
    }
    // Pages of places, nodes that ever reported, workloads, kinds of events; style and icon.
    assert!(known.len() > 6 + SIZE.nodes + 30 + 6, "{known:?}");
    assert!(hostile >= 3, "it was seen on {hostile} pages");
}
