//! What emulation costs.

use archtrace_facts::cost::{Cost, CostDimension, CostRow, Share, SharePrice};

use crate::convert::{ConvertError, each, required, some, to_text, to_texts, to_time, unknown};
use crate::v1;

impl From<CostDimension> for v1::CostDimension {
    fn from(dimension: CostDimension) -> Self {
        match dimension {
            CostDimension::Cluster => Self::Cluster,
            CostDimension::Node => Self::Node,
            CostDimension::Namespace => Self::Namespace,
            CostDimension::Workload => Self::Workload,
            CostDimension::InstanceType => Self::InstanceType,
            CostDimension::Zone => Self::Zone,
            CostDimension::Day => Self::Day,
        }
    }
}

/// What [`v1::GetCostRequest::group_by`] asks for.
///
/// # Errors
/// If one of them is not known.
pub fn decode_cost_dimensions(group_by: Vec<i32>) -> Result<Vec<CostDimension>, ConvertError> {
    let one = |value| match v1::CostDimension::try_from(value) {
        Ok(v1::CostDimension::Cluster) => Ok(CostDimension::Cluster),
        Ok(v1::CostDimension::Node) => Ok(CostDimension::Node),
        Ok(v1::CostDimension::Namespace) => Ok(CostDimension::Namespace),
        Ok(v1::CostDimension::Workload) => Ok(CostDimension::Workload),
        Ok(v1::CostDimension::InstanceType) => Ok(CostDimension::InstanceType),
        Ok(v1::CostDimension::Zone) => Ok(CostDimension::Zone),
        Ok(v1::CostDimension::Day) => Ok(CostDimension::Day),
        Ok(v1::CostDimension::Unspecified) => Err(ConvertError::missing("dimension")),
        Err(_) => Err(unknown("dimension", value, "dimension")),
    };
    each("group_by", group_by, one)
}

impl From<&Share> for v1::CostShare {
    fn from(share: &Share) -> Self {
        let Share {
            instance_type,
            cpu_ns,
            nodes,
            price,
        } = share.clone();
        Self {
            instance_type,
            cpu_nanoseconds: cpu_ns,
            nodes,
            cost: price.map(|price| price.cost.into()),
            cpu_second: price.map(|price| price.cpu_second.into()),
        }
    }
}

impl TryFrom<v1::CostShare> for Share {
    type Error = ConvertError;

    fn try_from(share: v1::CostShare) -> Result<Self, ConvertError> {
        let v1::CostShare {
            instance_type,
            cpu_nanoseconds,
            nodes,
            cost,
            cpu_second,
        } = share;
        let price = |cost| {
            Ok(SharePrice {
                cost: required("cost", Some(cost))?,
                cpu_second: required("cpu_second", cpu_second)?,
            })
        };
        Ok(Self {
            instance_type: to_text("instance_type", instance_type)?,
            cpu_ns: cpu_nanoseconds,
            nodes,
            price: cost.map(price).transpose()?,
        })
    }
}

impl From<&CostRow> for v1::CostRow {
    fn from(row: &CostRow) -> Self {
        let CostRow {
            values,
            cpu_ns,
            shares,
            bill,
            avoidable_cpu_ns,
        } = row;
        Self {
            values: values.clone(),
            cpu_nanoseconds: *cpu_ns,
            shares: shares.iter().map(Into::into).collect(),
            bill: bill.as_ref().map(Into::into),
            avoidable_cpu_nanoseconds: *avoidable_cpu_ns,
        }
    }
}

impl TryFrom<v1::CostRow> for CostRow {
    type Error = ConvertError;

    fn try_from(row: v1::CostRow) -> Result<Self, ConvertError> {
        let v1::CostRow {
            values,
            cpu_nanoseconds,
            shares,
            bill,
            avoidable_cpu_nanoseconds,
        } = row;
        Ok(Self {
            values: to_texts("values", values)?,
            cpu_ns: cpu_nanoseconds,
            shares: each("shares", shares, TryInto::try_into)?,
            bill: some("bill", bill)?,
            avoidable_cpu_ns: avoidable_cpu_nanoseconds,
        })
    }
}

/// The coverage is not part of it.
impl From<&Cost> for v1::GetCostResponse {
    fn from(cost: &Cost) -> Self {
        let Cost {
            rows,
            more_rows,
            shares,
            untyped_nodes,
            since,
            until,
            bill,
            avoidable_cpu_ns,
            currency,
        } = cost;
        Self {
            rows: rows.iter().map(Into::into).collect(),
            more_rows: *more_rows,
            shares: shares.iter().map(Into::into).collect(),
            untyped_nodes: untyped_nodes.clone(),
            since: Some((*since).into()),
            until: Some((*until).into()),
            coverage: None,
            bill: bill.as_ref().map(Into::into),
            avoidable_cpu_nanoseconds: *avoidable_cpu_ns,
            currency: currency.clone(),
        }
    }
}

impl TryFrom<v1::GetCostResponse> for Cost {
    type Error = ConvertError;

    fn try_from(answer: v1::GetCostResponse) -> Result<Self, ConvertError> {
        let v1::GetCostResponse {
            rows,
            more_rows,
            shares,
            untyped_nodes,
            since,
            until,
            coverage: _,
            bill,
            avoidable_cpu_nanoseconds,
            currency,
        } = answer;
        Ok(Self {
            rows: each("rows", rows, TryInto::try_into)?,
            more_rows,
            shares: each("shares", shares, TryInto::try_into)?,
            untyped_nodes: to_texts("untyped_nodes", untyped_nodes)?,
            since: to_time("since", since)?,
            until: to_time("until", until)?,
            bill: some("bill", bill)?,
            avoidable_cpu_ns: avoidable_cpu_nanoseconds,
            currency: to_text("currency", currency)?,
        })
    }
}
