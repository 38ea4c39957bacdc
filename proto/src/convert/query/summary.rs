//! Sums over facts.

use archtrace_facts::fleet::{Dimension, Summary, SummaryRow};

use crate::convert::{ConvertError, each, to_texts, unknown};
use crate::v1;

impl From<Dimension> for v1::Dimension {
    fn from(dimension: Dimension) -> Self {
        match dimension {
            Dimension::Cluster => Self::Cluster,
            Dimension::Node => Self::Node,
            Dimension::Namespace => Self::Namespace,
            Dimension::Workload => Self::Workload,
            Dimension::Image => Self::Image,
            Dimension::Arch => Self::Arch,
            Dimension::Mode => Self::Mode,
        }
    }
}

/// What [`v1::SummarizeFactsRequest::group_by`] asks for.
///
/// # Errors
/// If one of them is not known.
pub fn decode_dimensions(group_by: Vec<i32>) -> Result<Vec<Dimension>, ConvertError> {
    each(
        "group_by",
        group_by,
        |value| match v1::Dimension::try_from(value) {
            Ok(v1::Dimension::Cluster) => Ok(Dimension::Cluster),
            Ok(v1::Dimension::Node) => Ok(Dimension::Node),
            Ok(v1::Dimension::Namespace) => Ok(Dimension::Namespace),
            Ok(v1::Dimension::Workload) => Ok(Dimension::Workload),
            Ok(v1::Dimension::Image) => Ok(Dimension::Image),
            Ok(v1::Dimension::Arch) => Ok(Dimension::Arch),
            Ok(v1::Dimension::Mode) => Ok(Dimension::Mode),
            Ok(v1::Dimension::Unspecified) => Err(ConvertError::missing("dimension")),
            Err(_) => Err(unknown("dimension", value, "dimension")),
        },
    )
}

impl From<SummaryRow> for v1::SummaryRow {
    fn from(row: SummaryRow) -> Self {
        let SummaryRow {
            values,
            facts,
            nodes,
            pods,
            processes,
            count,
            cpu_ns,
        } = row;
        Self {
            values,
            facts,
            nodes,
            pods,
            processes,
            count,
            cpu_nanoseconds: cpu_ns,
        }
    }
}

impl TryFrom<v1::SummaryRow> for SummaryRow {
    type Error = ConvertError;

    fn try_from(row: v1::SummaryRow) -> Result<Self, ConvertError> {
        let v1::SummaryRow {
            values,
            facts,
            nodes,
            pods,
            processes,
            count,
            cpu_nanoseconds,
        } = row;
        Ok(Self {
            values: to_texts("values", values)?,
            facts,
            nodes,
            pods,
            processes,
            count,
            cpu_ns: cpu_nanoseconds,
        })
    }
}

/// The coverage is not part of it.
impl From<Summary> for v1::SummarizeFactsResponse {
    fn from(summary: Summary) -> Self {
        Self {
            rows: summary.rows.into_iter().map(Into::into).collect(),
            coverage: None,
            more_rows: summary.more_rows,
        }
    }
}

impl TryFrom<v1::SummarizeFactsResponse> for Summary {
    type Error = ConvertError;

    fn try_from(answer: v1::SummarizeFactsResponse) -> Result<Self, ConvertError> {
        Ok(Self {
            rows: each("rows", answer.rows, TryInto::try_into)?,
            more_rows: answer.more_rows,
        })
    }
}
