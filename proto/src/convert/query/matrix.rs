//! The portability matrix.

use archtrace_facts::matrix::{Evidence, Matrix, Row};

use crate::convert::{ConvertError, each, some_time, some_word, to_text, to_word};
use crate::v1;

impl From<&Matrix> for v1::WorkloadMatrix {
    fn from(matrix: &Matrix) -> Self {
        let Matrix {
            cluster,
            namespace,
            workload,
            status,
            rows,
        } = matrix;
        Self {
            cluster: cluster.clone(),
            namespace: namespace.clone(),
            workload: workload.clone(),
            status: status.to_string(),
            rows: rows.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::WorkloadMatrix> for Matrix {
    type Error = ConvertError;

    fn try_from(matrix: v1::WorkloadMatrix) -> Result<Self, ConvertError> {
        let v1::WorkloadMatrix {
            cluster,
            namespace,
            workload,
            status,
            rows,
        } = matrix;
        Ok(Self {
            cluster: to_text("cluster", cluster)?,
            namespace: to_text("namespace", namespace)?,
            workload: to_text("workload", workload)?,
            status: to_word("status", &status)?,
            rows: each("rows", rows, TryInto::try_into)?,
        })
    }
}

impl From<&Row> for v1::MatrixRow {
    fn from(row: &Row) -> Self {
        let Row {
            layer,
            component,
            status,
            why,
            action,
            finding,
            evidence,
            more_evidence,
        } = row.clone();
        Self {
            layer: layer.to_string(),
            component,
            status: status.to_string(),
            why,
            action,
            finding,
            evidence: evidence.into_iter().map(Into::into).collect(),
            more_evidence,
        }
    }
}

impl TryFrom<v1::MatrixRow> for Row {
    type Error = ConvertError;

    fn try_from(row: v1::MatrixRow) -> Result<Self, ConvertError> {
        let v1::MatrixRow {
            layer,
            component,
            status,
            why,
            action,
            finding,
            evidence,
            more_evidence,
        } = row;
        Ok(Self {
            layer: to_word("layer", &layer)?,
            component: to_text("component", component)?,
            status: to_word("status", &status)?,
            why: to_text("why", why)?,
            action: to_text("action", action)?,
            finding: to_text("finding", finding)?,
            evidence: each("evidence", evidence, TryInto::try_into)?,
            more_evidence,
        })
    }
}

impl From<Evidence> for v1::MatrixEvidence {
    fn from(evidence: Evidence) -> Self {
        let Evidence {
            kind,
            what,
            arch,
            node,
            detail,
            seen,
        } = evidence;
        Self {
            kind: kind.to_string(),
            what,
            arch: arch.map(|arch| arch.to_string()).unwrap_or_default(),
            node,
            detail,
            seen: seen.map(Into::into),
        }
    }
}

impl TryFrom<v1::MatrixEvidence> for Evidence {
    type Error = ConvertError;

    fn try_from(evidence: v1::MatrixEvidence) -> Result<Self, ConvertError> {
        let v1::MatrixEvidence {
            kind,
            what,
            arch,
            node,
            detail,
            seen,
        } = evidence;
        Ok(Self {
            kind: to_word("kind", &kind)?,
            what: to_text("what", what)?,
            arch: some_word("arch", &arch)?,
            node: to_text("node", node)?,
            detail: to_text("detail", detail)?,
            seen: some_time("seen", seen)?,
        })
    }
}
