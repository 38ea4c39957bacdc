//! Sums, findings and what streams tell come back the same as they were; words and dimensions that are
//! not known are refused.

use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::{InForce, Past, Place, Row, Status, Total, WaiverNote};
use archtrace_facts::fact::FactId;
use archtrace_facts::finding::Severity;
use archtrace_facts::fleet::{
    Coverage, Dimension, EventUpdate, FactUpdate, FleetFinding, RemovedFact, SubjectKind, Summary,
    SummaryRow,
};
use archtrace_facts::matrix::{self, Evidence, EvidenceKind, Layer, Matrix};
use archtrace_proto::convert::{
    ConvertError, decode_cost_dimensions, decode_dimensions, decode_event_update,
    decode_fact_update, decode_totals,
};
use archtrace_proto::v1;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

fn text() -> impl Strategy<Value = String> {
    "[ -~ж]{0,12}"
}

fn time() -> impl Strategy<Value = SystemTime> {
    any::<u64>().prop_map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos >> 1))
}

prop_compose! {
    fn row()(values in vec(text(), 0..4), numbers: [u64; 6]) -> SummaryRow {
        let [facts, nodes, pods, processes, count, cpu_ns] = numbers;
        SummaryRow { values, facts, nodes, pods, processes, count, cpu_ns }
    }
}

prop_compose! {
    fn finding()(
        texts in vec(text(), 8),
        severity in select(Severity::ALL),
        subject_kind in select(SubjectKind::ALL),
        numbers: [u64; 3],
        node_names in vec(text(), 0..3),
        seen in of((time(), time())),
    ) -> FleetFinding {
        let [id, title, cluster, namespace, subject, binary, arch, emulator] =
            std::array::from_fn(|i| texts[i].clone());
        let [nodes, evidence, processes] = numbers;
        let (first_seen, last_seen) = seen.unzip();
        FleetFinding {
            id, severity, title, cluster, namespace, subject, subject_kind, binary, arch, emulator,
            nodes, node_names, evidence, processes, first_seen, last_seen,
        }
    }
}

prop_compose! {
    fn evidence()(
        kind in select(EvidenceKind::ALL),
        texts in vec(text(), 3),
        arch in of(select(&[Arch::Amd64, Arch::Other(224)][..])),
        seen in of(time()),
    ) -> Evidence {
        let [what, node, detail] = std::array::from_fn(|i| texts[i].clone());
        Evidence { kind, what, arch, node, detail, seen }
    }
}

prop_compose! {
    fn matrix_row()(
        layer in select(Layer::ALL),
        status in select(matrix::Status::ALL),
        texts in vec(text(), 4),
        evidence in vec(evidence(), 0..3),
        more_evidence: u64,
    ) -> matrix::Row {
        let [component, why, action, finding] = std::array::from_fn(|i| texts[i].clone());
        matrix::Row { layer, component, status, why, action, finding, evidence, more_evidence }
    }
}

prop_compose! {
    fn a_matrix()(
        texts in vec(text(), 3),
        status in select(matrix::Status::ALL),
        rows in vec(matrix_row(), 0..3),
    ) -> Matrix {
        let [cluster, namespace, workload] = std::array::from_fn(|i| texts[i].clone());
        Matrix { cluster, namespace, workload, status, rows }
    }
}

prop_compose! {
    fn coverage()(numbers: [u64; 3], names in vec(text(), 0..3), source in text()) -> Coverage {
        let [reporting, stale, unknown] = numbers;
        Coverage {
            reporting, stale, unknown, stale_nodes: names.clone(), unknown_nodes: names, source,
        }
    }
}

fn fact_update() -> impl Strategy<Value = FactUpdate> {
    let removed = (text(), text(), any::<[u8; 16]>()).prop_map(|(cluster, node, id)| {
        FactUpdate::Removed(RemovedFact {
            cluster,
            node,
            id: FactId(id),
        })
    });
    prop_oneof![
        removed,
        any::<u64>().prop_map(FactUpdate::SnapshotEnd),
        text().prop_map(FactUpdate::SnapshotBegin),
        coverage().prop_map(FactUpdate::Coverage),
    ]
}

fn event_update() -> impl Strategy<Value = EventUpdate> {
    prop_oneof![
        any::<u64>().prop_map(EventUpdate::Skipped),
        coverage().prop_map(EventUpdate::Coverage),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    select(Status::ALL)
}

prop_compose! {
    fn place()(agent in text(), cluster in text(), node in text()) -> Place {
        Place { agent, cluster, node }
    }
}

prop_compose! {
    fn waiver()(owner in text(), reason in text(), expires in time(), expired: bool) -> WaiverNote {
        WaiverNote { owner, reason, expires, expired }
    }
}

prop_compose! {
    fn past()(status in status(), since in time(), until in time()) -> Past {
        Past { status, since, until }
    }
}

prop_compose! {
    fn row_of_agent()(
        place in place(),
        texts in vec(text(), 7),
        status in status(),
        waived in of(status()),
        waiver in of(waiver()),
        times in (of(time()), of(time())),
        past in vec(past(), 0..3),
    ) -> Row {
        let [reason, namespace, pod, workload, unit, binary, image] =
            std::array::from_fn(|i| texts[i].clone());
        let (since, seen) = times;
        Row {
            place, node_arch: Arch::Arm64, status, since, waived, waiver, reason, namespace, pod,
            workload, unit, binary, image, seen, past,
        }
    }
}

proptest! {
    #[test]
    fn coverage_comes_back(
        row in row_of_agent(), agent in text(), source in text(), loaded_at in of(time()), agents: u64,
    ) {
        prop_assert_eq!(Row::try_from(v1::AgentCoverage::from(&row)), Ok(row.clone()));
        let total = Total { agent, status: row.status, nodes: agents };
        let totals = vec![v1::CoverageTotal::from(&total)];
        prop_assert_eq!(decode_totals(totals), Ok(vec![total]));
        let policy = InForce { problem: source.clone(), source, agents, loaded_at };
        prop_assert_eq!(InForce::try_from(v1::PolicyInForce::from(&policy)), Ok(policy));
    }
}

proptest! {
    #[test]
    fn answers_come_back(rows in vec(row(), 0..3), more_rows: u64, finding in finding()) {
        let summary = Summary { rows, more_rows };
        let message = v1::SummarizeFactsResponse::from(summary.clone());
        prop_assert_eq!(Summary::try_from(message), Ok(summary));
        prop_assert_eq!(FleetFinding::try_from(v1::Finding::from(&finding)), Ok(finding));
    }

    #[test]
    fn matrices_come_back(matrix in a_matrix()) {
        prop_assert_eq!(Matrix::try_from(v1::WorkloadMatrix::from(&matrix)), Ok(matrix));
    }

    #[test]
    fn what_streams_tell_comes_back(fact in fact_update(), event in event_update()) {
        prop_assert_eq!(decode_fact_update((&fact).into()), Ok(Some(fact)));
        prop_assert_eq!(decode_event_update((&event).into()), Ok(Some(event)));
    }

    #[test]
    fn dimensions_come_back(by in vec(select(Dimension::ALL), 0..8)) {
        let numbers = by.iter().map(|by| v1::Dimension::from(*by).into()).collect();
        prop_assert_eq!(decode_dimensions(numbers), Ok(by));
    }
}

#[test]
fn what_only_a_newer_peer_says_is_left_out() {
    assert_eq!(
        decode_fact_update(v1::WatchFactsResponse::default()),
        Ok(None)
    );
    assert_eq!(
        decode_event_update(v1::StreamEventsResponse::default()),
        Ok(None)
    );
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let said = |error: ConvertError| error.to_string();
    let severe = v1::Finding {
        severity: "dire".to_owned(),
        subject_kind: "pod".to_owned(),
        ..v1::Finding::default()
    };
    let unprintable = v1::SummaryRow {
        values: vec!["\x1b[2J".to_owned()],
        ..v1::SummaryRow::default()
    };
    let red = v1::WorkloadMatrix {
        status: "RED".to_owned(),
        ..v1::WorkloadMatrix::default()
    };
    for (error, words) in [
        (
            Matrix::try_from(red).map_err(said).err(),
            "status: 'RED' is no status; the known ones are PASS",
        ),
        (
            decode_dimensions(vec![1, 99]).map_err(said).err(),
            "group_by[1].dimension: 99",
        ),
        (
            decode_cost_dimensions(vec![7, 8]).map_err(said).err(),
            "group_by[1].dimension: 8",
        ),
        (decode_dimensions(vec![0]).map_err(said).err(), "is missing"),
        (
            FleetFinding::try_from(severe).map_err(said).err(),
            "severity: 'dire'",
        ),
        (
            SummaryRow::try_from(unprintable).map_err(said).err(),
            "values[0]",
        ),
    ] {
        let error = error.expect("refused");
        assert!(error.contains(words), "{words}: {error}");
    }
}
