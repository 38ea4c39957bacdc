//! Facts, in pages.

use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask};
use crate::page::{self, Page, limit};
use crate::read::{FactQuery, Read};
use crate::token::{self, Token};

pub(super) async fn list<S: Read>(
    query: &Inner<S>,
    request: v1::ListFactsRequest,
) -> Result<v1::ListFactsResponse, Status> {
    let v1::ListFactsRequest {
        selection,
        running,
        history,
        page_size,
        page_token,
    } = request;
    let question = token::question("facts", &(&selection, running, history));
    let after = Token::read(&page_token, question)?;
    let limit = limit(page_size)?;
    let selection = ask::selection(selection)?;
    // Whoever asks for what was seen since some time asks for what is gone, too.
    let history = history || selection.allow.iter().any(|filter| filter.since.is_some());
    let asked = FactQuery {
        selection,
        running,
        history,
        alive_since: query.alive_since(),
        after,
        limit: limit + 1,
    };
    let Page { items: facts, next } = match query.live.facts(&asked) {
        Some(facts) => page::cut_by(&facts, limit, |fact| v1::NodeFact::from(&**fact)),
        None => {
            let facts = query.store.facts(asked).await;
            page::cut(&facts.map_err(ask::unavailable)?, limit)
        }
    };
    Ok(v1::ListFactsResponse {
        facts,
        next_page_token: token::next(next, question),
        coverage: query.live.coverage().await?,
    })
}
