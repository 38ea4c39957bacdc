//! What is said of agents that have to run, against the policy and what is in the store.

use crate::fleet::{OWNER, node_name};
use crate::http::page;
use crate::server::{Server, UNKNOWN};

async fn check(server: &Server, path: &str, expected: &[&str], others: &[&str]) {
    let words = page(server.address, path).await.words();
    for expected in expected {
        assert!(words.contains(expected), "{path}: {expected}: {words}");
    }
    for other in others {
        assert!(!words.contains(other), "{path}: {other}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_agents_in_numbers_the_worst_first() {
    let server = Server::start().await;
    let words = page(server.address, "/coverage").await.words();
    assert!(words.contains("policy.yaml : 4 agent(s)"), "{words}");
    let (_, table) = words
        .split_once("STALE UNKNOWN ")
        .expect("the head of the table");
    // Agent, nodes, and on how many it is NATIVE, WAIVED, UNCERTIFIED, MISSING, EMULATED, FAILING, STALE and
    // UNKNOWN. Nodes 0, 2 and 4 are arm64, 1 and 3 amd64, 5 is silent, and one never reported.
    let rows = ["shell 7 2 – 3 – – – 1 1", "auditd 4 – 1 – 2 – – – 1"];
    for row in rows {
        assert!(table.contains(row), "{row}: {table}");
    }
    let at = |agent: &str| table.find(agent).expect("each is there");
    assert!(at("shell ") < at("auditd "), "{table}");
    check(
        &server,
        "/coverage?by=arch",
        &[
            "shell amd64 3 2 – – – – – 1 –",
            "shell arm64 3 – – 3 – – – – –",
            "shell not known 1 – – – – – – – 1",
        ],
        &[],
    )
    .await;
    check(&server, "/coverage?by=cluster", &["auditd prod 3"], &[]).await;
    check(&server, "/coverage?by=type", &["auditd not known 4"], &[]).await;
    let fleet = page(server.address, "/").await.words();
    assert!(fleet.contains("agents not as required"), "{fleet}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_agent_node_by_node_with_waivers() {
    let server = Server::start().await;
    let (waived, expired, other) = (node_name(0), node_name(2), node_name(4));
    let waiver = format!(
        "Waived until 2096-06-01T00:00:00Z : installed by the next image of the node ({OWNER})"
    );
    check(
        &server,
        "/coverage/nodes?agent=auditd",
        &[
            "all but NATIVE 4 all 4 WAIVED 1 MISSING 2 UNKNOWN 1",
            &format!("{waived} WAIVED else MISSING"),
            &waiver,
            &format!("{expired} MISSING"),
            "Waiver expired 2024-06-01T00:00:00Z : was to be installed by then (joe@example.com)",
            &format!("{other} MISSING"),
            &format!("{UNKNOWN} UNKNOWN"),
            "archtrace coverage --agent auditd",
        ],
        &[&node_name(1)],
    )
    .await;
    check(
        &server,
        "/coverage/nodes?agent=auditd&status=WAIVED",
        &[&waived],
        &[&expired, "internal UNKNOWN"],
    )
    .await;
    check(
        &server,
        "/coverage/nodes?agent=auditd&status=NATIVE",
        &["Nowhere: NATIVE (native and certified)."],
        &[&waived],
    )
    .await;
    check(
        &server,
        "/coverage/nodes?agent=shell&arch=amd64&status=all",
        &[
            &format!("{} NATIVE", node_name(1)),
            &format!("{} STALE", node_name(5)),
        ],
        &[&waived],
    )
    .await;
    check(
        &server,
        "/coverage/nodes?status=EMULATED",
        &[
            "falcon",
            "EMULATED",
            "amd64 program under /usr/bin/qemu-x86_64-static",
        ],
        &["auditd", "shell"],
    )
    .await;
    let node = format!("/node?cluster=prod&name={waived}");
    check(
        &server,
        &node,
        &[
            "Agents that have to run here",
            "auditd WAIVED else MISSING",
            "shell UNCERTIFIED",
        ],
        &[],
    )
    .await;
    // One that was judged before its policy was there.
    let none = Server::empty().await;
    check(
        &none,
        "/coverage/nodes?agent=auditd",
        &["There is no policy"],
        &[],
    )
    .await;
    check(
        &none,
        "/",
        &["No node reports"],
        &["agents not as required"],
    )
    .await;
}
