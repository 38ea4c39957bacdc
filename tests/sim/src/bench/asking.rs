//! Questions while facts change.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use archtrace_proto::v1;
use tokio_util::sync::CancellationToken;

use super::pages::{Pages, Times};
use crate::query::Client;

/// Between two rounds of questions: about as often as many people at dashboards ask.
const QUESTIONS: Duration = Duration::from_millis(100);

/// What was measured at a steady rate.
#[derive(Debug, Default)]
pub(super) struct Steady {
    pub(super) commits: Vec<Duration>,
    pub(super) emulated: Vec<Duration>,
    pub(super) by_arch: Vec<Duration>,
    pub(super) by_workload: Vec<Duration>,
    pub(super) by_node: Vec<Duration>,
    pub(super) views: Times,
    /// Updates per second, and processors that the collector kept busy.
    pub(super) rate: f64,
    pub(super) cpu: f64,
}

/// Asks one question after the other, and how long each took.
pub(super) async fn ask(
    client: &mut Client,
    pages: Option<&Pages>,
    over: &CancellationToken,
) -> Result<Steady> {
    use v1::Dimension::{Arch, Mode, Node, Workload};
    let mut times = Steady::default();
    while !over.is_cancelled() {
        let emulated = v1::Filter {
            modes: vec![v1::ExecutionMode::Emulated.into()],
            ..v1::Filter::default()
        };
        let request = v1::ListFactsRequest {
            selection: Some(v1::Selection {
                allow: vec![emulated],
                ..v1::Selection::default()
            }),
            ..v1::ListFactsRequest::default()
        };
        let start = Instant::now();
        client
            .query()
            .list_facts(request)
            .await
            .context("list emulated facts")?;
        times.emulated.push(start.elapsed());
        for (dimensions, times) in [
            (&[Arch, Mode][..], &mut times.by_arch),
            (&[Workload], &mut times.by_workload),
            (&[Node], &mut times.by_node),
        ] {
            let request = v1::SummarizeFactsRequest {
                group_by: dimensions
                    .iter()
                    .map(|&dimension| dimension.into())
                    .collect(),
                ..v1::SummarizeFactsRequest::default()
            };
            let start = Instant::now();
            client
                .query()
                .summarize_facts(request)
                .await
                .context("summarize facts")?;
            times.push(start.elapsed());
        }
        if let Some(pages) = pages {
            pages.ask(&mut times.views).await?;
        }
        tokio::time::sleep(QUESTIONS).await;
    }
    Ok(times)
}
