//! The portability matrix, in pages of workloads.

use archtrace_facts::matrix::decide;
use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask, coverage};
use crate::matrix::{Key, Wanted, gather};
use crate::page::{self, Page, limit};
use crate::read::Read;
use crate::token::{self, Token};

pub(super) async fn get<S: Read>(
    query: &Inner<S>,
    request: v1::GetMatrixRequest,
) -> Result<v1::GetMatrixResponse, Status> {
    let v1::GetMatrixRequest {
        clusters,
        namespaces,
        workloads,
        arch,
        page_size,
        page_token,
    } = request;
    let question = token::question("matrix", &(&clusters, &namespaces, &workloads, &arch));
    let after = Key::read(&page_token, question)?;
    let limit = limit(page_size)?;
    ask::few("clusters", clusters.len())?;
    ask::few("namespaces", namespaces.len())?;
    ask::few("workloads", workloads.len())?;
    let arch = ask::arch(&arch)?;
    let wanted = Wanted {
        clusters,
        namespaces,
        workloads,
    };
    let coverage = query.live.coverage_of_clusters(&wanted.clusters).await?;
    let facts = query.live.loaded().await?;
    let recent = facts.recent(query.alive_since()).await;
    let recent = recent.map_err(ask::unavailable)?;
    let agents = coverage::for_matrix(query, arch).await?;
    let registry = query.settings.server.registry();
    // Some milliseconds of work, which others should not wait for.
    let answered = tokio::task::spawn_blocking(move || {
        let one_more = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let gathered = gather(
            &facts.table(),
            &recent,
            &wanted,
            arch,
            after.as_ref(),
            one_more,
        );
        let checked = |reference: &str| Some(registry.as_ref()?.check(reference));
        let rows = gathered.seen.into_iter().map(|(key, seen)| {
            let matrix = decide(&seen, recent.variants(), &checked, agents.as_deref(), arch);
            (key, matrix)
        });
        let page = page::cut(&rows.collect::<Vec<_>>(), limit);
        (page, gathered.unnamed_facts)
    });
    let (page, unnamed_facts) = answered
        .await
        .map_err(|error| Status::internal(format!("the matrix failed: {error}")))?;
    let Page {
        items: workloads,
        next,
    } = page;
    Ok(v1::GetMatrixResponse {
        workloads,
        next_page_token: token::next(next, question),
        coverage,
        unnamed_facts,
    })
}
