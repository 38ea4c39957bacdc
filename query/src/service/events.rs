//! Events, in pages.

use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask};
use crate::page::{self, Page, limit};
use crate::read::{EventQuery, Read};
use crate::token::{self, Token};

pub(super) async fn list<S: Read>(
    query: &Inner<S>,
    request: v1::ListEventsRequest,
) -> Result<v1::ListEventsResponse, Status> {
    let v1::ListEventsRequest {
        selection,
        kinds,
        page_size,
        page_token,
    } = request;
    let question = token::question("events", &(&selection, &kinds));
    let after = Token::read(&page_token, question)?;
    let limit = limit(page_size)?;
    let asked = EventQuery {
        selection: ask::selection(selection)?,
        kinds: ask::kinds(kinds)?,
        ascending: false,
        after,
        limit: limit + 1,
    };
    let events = query.store.events(asked).await.map_err(ask::unavailable)?;
    let Page {
        items: events,
        next,
    } = page::cut(&events, limit);
    Ok(v1::ListEventsResponse {
        events,
        next_page_token: token::next(next, question),
        coverage: query.live.coverage().await?,
    })
}
