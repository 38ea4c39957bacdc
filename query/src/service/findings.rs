//! What somebody should act on, in pages.

use archtrace_facts::finding::Severity;
use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask};
use crate::findings::{Findings, Key, Wanted, evidence};
use crate::page::{self, Page, limit};
use crate::read::Read;
use crate::token::{self, Token};

pub(super) async fn list<S: Read>(
    query: &Inner<S>,
    request: v1::ListFindingsRequest,
) -> Result<v1::ListFindingsResponse, Status> {
    let v1::ListFindingsRequest {
        selection,
        findings,
        min_severity,
        page_size,
        page_token,
    } = request;
    let question = token::question("findings", &(&selection, &findings, &min_severity));
    let after = Key::read(&page_token, question)?;
    let limit = limit(page_size)?;
    let selection = ask::selection(selection)?;
    ask::few("findings", findings.len())?;
    let ids = findings.iter().map(|id| id.parse());
    let ids = ids
        .collect::<Result<_, _>>()
        .map_err(|error| Status::invalid_argument(format!("findings: {error}")))?;
    let least = match min_severity.as_str() {
        "" => Severity::Info,
        word => word
            .parse()
            .map_err(|error| Status::invalid_argument(format!("min_severity: {error}")))?,
    };
    let facts = query.live.loaded().await?;
    let recent = facts.recent(query.alive_since()).await;
    let recent = recent.map_err(ask::unavailable)?;
    // Some milliseconds of work, which others should not wait for.
    let found = tokio::task::spawn_blocking(move || {
        let mut findings = Findings::new(Wanted { ids, least });
        for fact in facts.table().facts() {
            if let Some(evidence) = evidence::of_fact(&fact, &selection) {
                findings.add(evidence);
            }
        }
        recent.add(&selection, &mut findings);
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let rows = findings.page(after.as_ref(), wanted.saturating_add(1));
        page::cut(&rows, limit)
    });
    let Page {
        items: findings,
        next,
    } = found
        .await
        .map_err(|error| Status::internal(format!("finding failed: {error}")))?;
    Ok(v1::ListFindingsResponse {
        findings,
        next_page_token: token::next(next, question),
        coverage: query.live.coverage().await?,
    })
}
