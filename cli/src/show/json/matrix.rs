//! The portability matrix: one workload a line.

use archtrace_facts::arch::Arch;
use archtrace_facts::matrix as facts;
use serde::Serialize;

use crate::show::human::utc;

#[derive(Serialize)]
pub(crate) struct Matrix<'a> {
    cluster: &'a str,
    namespace: &'a str,
    workload: &'a str,
    arch: String,
    status: &'static str,
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    layer: &'static str,
    component: &'a str,
    status: &'static str,
    why: &'a str,
    action: &'a str,
    finding: &'a str,
    evidence: Vec<Evidence<'a>>,
    more_evidence: u64,
}

#[derive(Serialize)]
struct Evidence<'a> {
    kind: &'static str,
    what: &'a str,
    arch: Option<String>,
    node: &'a str,
    detail: &'a str,
    seen: Option<String>,
}

pub(crate) fn matrix(value: &facts::Matrix, arch: Arch) -> Matrix<'_> {
    Matrix {
        cluster: &value.cluster,
        namespace: &value.namespace,
        workload: &value.workload,
        arch: arch.to_string(),
        status: value.status.as_str(),
        rows: value.rows.iter().map(row).collect(),
    }
}

fn row(value: &facts::Row) -> Row<'_> {
    Row {
        layer: value.layer.as_str(),
        component: &value.component,
        status: value.status.as_str(),
        why: &value.why,
        action: &value.action,
        finding: &value.finding,
        evidence: value.evidence.iter().map(evidence).collect(),
        more_evidence: value.more_evidence,
    }
}

fn evidence(value: &facts::Evidence) -> Evidence<'_> {
    Evidence {
        kind: value.kind.as_str(),
        what: &value.what,
        arch: value.arch.map(|arch| arch.to_string()),
        node: &value.node,
        detail: &value.detail,
        seen: value.seen.map(utc),
    }
}
