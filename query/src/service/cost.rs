//! What emulation costs.

use std::time::{Duration, SystemTime};

use archtrace_facts::cost::{Cost, CostDimension, CostPart, Span};
use archtrace_proto::convert::{decode_cost_dimensions, decode_pricing};
use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask};
use crate::read::{CostQuery, Read};

/// Rows in one answer: some 2 MB, and more than anybody reads.
const MAX_ROWS: usize = 10_000;

/// Sums that are taken from the store, some 20 MB: workloads times kinds of machines times days. Beyond
/// these the question is refused, for what is left out could be what somebody looks for.
const MAX_SUMS: u32 = 100_000;

pub(super) async fn cost<S: Read>(
    query: &Inner<S>,
    request: v1::GetCostRequest,
) -> Result<v1::GetCostResponse, Status> {
    let v1::GetCostRequest {
        since,
        until,
        group_by,
        clusters,
        nodes,
        namespaces,
        workloads,
        max_rows,
        prices,
        slowdown_thousandths,
    } = request;
    let pricing = decode_pricing(prices, slowdown_thousandths)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    for (field, values) in [
        ("clusters", &clusters),
        ("nodes", &nodes),
        ("namespaces", &namespaces),
        ("workloads", &workloads),
    ] {
        ask::few(field, values.len())?;
    }
    ask::few("group_by", group_by.len())?;
    let by = decode_cost_dimensions(group_by)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    if let Some(twice) = ask::twice(&by) {
        let what = format!("group_by: {twice} is there twice");
        return Err(Status::invalid_argument(what));
    }
    let max_rows = ask::max_rows(max_rows, MAX_ROWS, MAX_ROWS)?;
    let (since, until) = (ask::time("since", since)?, ask::time("until", until)?);
    let now = SystemTime::now();
    let asked = CostQuery {
        by: by.clone(),
        span: Span::of(since, until, now),
        clusters,
        nodes,
        namespaces,
        workloads,
        limit: MAX_SUMS + 1,
    };
    let by_node = CostQuery {
        by: vec![CostDimension::Cluster, CostDimension::Node],
        ..asked.clone()
    };
    let times = (
        asked.span.from.start(),
        asked.span.to.start().min(whole_seconds(now)),
    );
    let parts = sums(query, asked).await?;
    let nodes = sums(query, by_node).await?;
    let cost = Cost::of(parts, &nodes, &by, max_rows, times).priced(&pricing);
    Ok(v1::GetCostResponse {
        coverage: query.live.coverage().await?,
        ..v1::GetCostResponse::from(&cost)
    })
}

/// Fractions say nothing of hours.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

async fn sums<S: Read>(query: &Inner<S>, asked: CostQuery) -> Result<Vec<CostPart>, Status> {
    let parts = query.store.cost(asked).await.map_err(ask::unavailable)?;
    let Some(parts) = parts else {
        return Err(Status::unimplemented(
            "what emulation cost over time is not kept here; ask a collector",
        ));
    };
    if u32::try_from(parts.len()).is_ok_and(|count| count <= MAX_SUMS) {
        return Ok(parts);
    }
    Err(Status::invalid_argument(format!(
        "more than {MAX_SUMS} sums; group by less, or ask for less time, or for some namespaces only"
    )))
}
