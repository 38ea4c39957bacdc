//! What the portability matrix says of mandated agents.

use super::*;

/// Nodes of the store in memory are amd64.
#[tokio::test]
async fn the_matrix_tells_of_mandated_agents() {
    let store = Arc::new(Memory::default());
    let (one, two) = (add_node(&store, "n1"), add_node(&store, "n2"));
    store.put(one, vec![(native(), pod())]);
    store.put(two, vec![(native(), pod())]);
    let of_arch = |name, arch| Agent {
        nodes: Nodes {
            archs: vec![arch],
            ..Nodes::default()
        },
        ..agent(name, namespace("audit"))
    };
    let agents = vec![
        agent("falcon", namespace("falcon")),
        of_arch("audit", Arch::Amd64),
        of_arch("later", Arch::Arm64),
    ];
    let (query, _) = with(&store, &["n1", "n2"], agents);
    let rows = async |arch: &str| {
        let request = v1::GetMatrixRequest {
            arch: arch.to_owned(),
            ..v1::GetMatrixRequest::default()
        };
        let answer = query.get_matrix(Request::new(request)).await;
        let answer = answer.expect("an answer").into_inner();
        let rows = answer
            .workloads
            .into_iter()
            .flat_map(|workload| workload.rows);
        let rows = rows.filter(|row| row.layer == "agents");
        let told = rows.map(|row| format!("{} {}: {}", row.component, row.status, row.why));
        told.collect::<Vec<_>>()
    };
    until(
        &query,
        &[
            "audit n1 MISSING",
            "audit n2 MISSING",
            "falcon n1 NATIVE",
            "falcon n2 NATIVE",
        ],
    )
    .await;
    assert_eq!(
        rows("amd64").await,
        [
            "audit FIX: MISSING on 2 of 2 amd64 nodes",
            "falcon PASS: native and certified on all 2 amd64 nodes",
        ]
    );
    assert_eq!(
        rows("arm64").await,
        [
            "falcon GATE: no arm64 node reports yet that has to run it",
            "later GATE: no arm64 node reports yet that has to run it",
        ]
    );
}
