//! Sums over facts.

use archtrace_proto::convert::decode_dimensions;
use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask};
use crate::live;
use crate::read::Read;

/// Rows in one answer: some 2 MB, and more than anybody reads.
const MAX_ROWS: usize = 10_000;

/// Where nobody says how many: what a dashboard shows, without the time it takes to send ten thousand names.
const DEFAULT_ROWS: usize = 1000;

pub(super) async fn summarize<S: Read>(
    query: &Inner<S>,
    request: v1::SummarizeFactsRequest,
) -> Result<v1::SummarizeFactsResponse, Status> {
    let v1::SummarizeFactsRequest {
        selection,
        group_by,
        max_rows,
    } = request;
    let selection = ask::selection(selection)?;
    ask::few("group_by", group_by.len())?;
    let by =
        decode_dimensions(group_by).map_err(|error| Status::invalid_argument(error.to_string()))?;
    if let Some(twice) = ask::twice(&by) {
        let what = format!("group_by: {twice} is there twice");
        return Err(Status::invalid_argument(what));
    }
    let max_rows = ask::max_rows(max_rows, DEFAULT_ROWS, MAX_ROWS)?;
    let facts = query.live.loaded().await?;
    // Some milliseconds of work, which others should not wait for.
    let summed = tokio::task::spawn_blocking(move || {
        let summary = live::summary::summarize(&facts.table(), &selection, &by, max_rows);
        v1::SummarizeFactsResponse::from(summary)
    });
    let summary = summed
        .await
        .map_err(|error| Status::internal(format!("the sums failed: {error}")))?;
    Ok(v1::SummarizeFactsResponse {
        coverage: query.live.coverage().await?,
        ..summary
    })
}
