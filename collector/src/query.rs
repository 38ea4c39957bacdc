//! Answers questions: checks them, asks the store, cuts the answer into pages.

mod page;
mod token;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::fleet::{Filter, ServerStatus};
use archtrace_facts::report::Record;
use archtrace_proto::convert::ConvertError;
use archtrace_proto::v1;
use tonic::{Request, Response, Status};

use crate::ingest::MISSED_HEARTBEATS;
use crate::store::{EventQuery, FactQuery, ImageQuery, NodeQuery, Store, StoreError};
use page::{Page, limit};
use token::Token;

/// Values per condition. Each becomes a parameter of a statement, of which stores take some ten
/// thousands.
const MAX_VALUES: usize = 1000;

/// The service.
#[derive(Debug)]
pub struct Query<S> {
    store: Arc<S>,
    store_name: String,
    heartbeat_interval: Duration,
    started_at: SystemTime,
}

impl<S: Store> Query<S> {
    /// Answers from `store`, which the option called `store_name`.
    pub fn new(store: Arc<S>, store_name: String, heartbeat_interval: Duration) -> Self {
        Self {
            store,
            store_name,
            heartbeat_interval,
            started_at: SystemTime::now(),
        }
    }

    /// Nodes that were heard since then are reporting.
    fn alive_since(&self) -> SystemTime {
        let silence = self.heartbeat_interval * MISSED_HEARTBEATS;
        SystemTime::now()
            .checked_sub(silence)
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

#[tonic::async_trait]
impl<S: Store> v1::query_server::Query for Query<S> {
    async fn list_facts(
        &self,
        request: Request<v1::ListFactsRequest>,
    ) -> Result<Response<v1::ListFactsResponse>, Status> {
        let v1::ListFactsRequest {
            filter,
            running,
            page_size,
            page_token,
        } = request.into_inner();
        let question = token::question("facts", &(&filter, running));
        let after = Token::read(&page_token, question)?;
        let limit = limit(page_size)?;
        let query = FactQuery {
            filter: checked(filter)?,
            running,
            alive_since: self.alive_since(),
            after,
            limit: limit + 1,
        };
        let facts = self.store.facts(query).await.map_err(unavailable)?;
        let Page { items: facts, next } = page::cut(&facts, limit);
        let next_page_token = next
            .map(|cursor| cursor.write(question))
            .unwrap_or_default();
        Ok(Response::new(v1::ListFactsResponse {
            facts,
            next_page_token,
        }))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let v1::ListEventsRequest {
            filter,
            kinds,
            page_size,
            page_token,
        } = request.into_inner();
        let question = token::question("events", &(&filter, &kinds));
        let after = Token::read(&page_token, question)?;
        let limit = limit(page_size)?;
        let query = EventQuery {
            filter: checked(filter)?,
            kinds: known(kinds)?,
            after,
            limit: limit + 1,
        };
        let events = self.store.events(query).await.map_err(unavailable)?;
        let Page {
            items: events,
            next,
        } = page::cut(&events, limit);
        let next_page_token = next
            .map(|cursor| cursor.write(question))
            .unwrap_or_default();
        Ok(Response::new(v1::ListEventsResponse {
            events,
            next_page_token,
        }))
    }

    async fn list_images(
        &self,
        request: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        let v1::ListImagesRequest {
            nodes,
            names,
            page_size,
            page_token,
        } = request.into_inner();
        few("nodes", nodes.len())?;
        few("names", names.len())?;
        let question = token::question("images", &(&nodes, &names));
        let after = Token::read(&page_token, question)?;
        let limit = limit(page_size)?;
        let query = ImageQuery {
            nodes,
            names,
            after,
            limit: limit + 1,
        };
        let images = self.store.images(query).await.map_err(unavailable)?;
        let Page {
            items: images,
            next,
        } = page::cut(&images, limit);
        let next_page_token = next
            .map(|cursor| cursor.write(question))
            .unwrap_or_default();
        Ok(Response::new(v1::ListImagesResponse {
            images,
            next_page_token,
        }))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let v1::ListNodesRequest {
            nodes: names,
            page_size,
            page_token,
        } = request.into_inner();
        few("nodes", names.len())?;
        let question = token::question("nodes", &names);
        let after = Token::read(&page_token, question)?;
        let limit = limit(page_size)?;
        let query = NodeQuery {
            names,
            alive_since: self.alive_since(),
            after,
            limit: limit + 1,
        };
        let nodes = self.store.nodes(query).await.map_err(unavailable)?;
        let Page { items: nodes, next } = page::cut(&nodes, limit);
        let next_page_token = next
            .map(|cursor| cursor.write(question))
            .unwrap_or_default();
        Ok(Response::new(v1::ListNodesResponse {
            nodes,
            next_page_token,
        }))
    }

    async fn get_server_status(
        &self,
        _: Request<v1::GetServerStatusRequest>,
    ) -> Result<Response<v1::GetServerStatusResponse>, Status> {
        let totals = self
            .store
            .totals(self.alive_since())
            .await
            .map_err(unavailable)?;
        let status = ServerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            heartbeat_interval: self.heartbeat_interval,
            store: self.store_name.clone(),
            totals,
            // Everything is plaintext so far.
            authenticated: false,
        };
        Ok(Response::new((&status).into()))
    }
}

fn checked(filter: Option<v1::Filter>) -> Result<Filter, Status> {
    let filter = Filter::try_from(filter.unwrap_or_default()).map_err(|error| refused(&error))?;
    let Filter {
        nodes,
        namespaces,
        pods,
        archs,
        modes,
        since: _,
    } = &filter;
    for (field, count) in [
        ("filter.nodes", nodes.len()),
        ("filter.namespaces", namespaces.len()),
        ("filter.pods", pods.len()),
        ("filter.archs", archs.len()),
        ("filter.modes", modes.len()),
    ] {
        few(field, count)?;
    }
    Ok(filter)
}

fn few(field: &str, count: usize) -> Result<(), Status> {
    if count > MAX_VALUES {
        let what =
            format!("{field}: {count} values; at most {MAX_VALUES} can be asked for at once");
        return Err(Status::invalid_argument(what));
    }
    Ok(())
}

fn known(kinds: Vec<String>) -> Result<Vec<String>, Status> {
    few("kinds", kinds.len())?;
    if let Some(kind) = kinds
        .iter()
        .find(|kind| Record::kinds().all(|known| known != **kind))
    {
        let known = Record::kinds().collect::<Vec<_>>().join(", ");
        return Err(Status::invalid_argument(format!(
            "kinds: '{kind}' is no kind of event; the known ones are {known}"
        )));
    }
    Ok(kinds)
}

fn refused(error: &ConvertError) -> Status {
    Status::invalid_argument(format!("filter.{error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: StoreError) -> Status {
    tracing::error!(%error, "cannot answer");
    Status::unavailable("the collector's store does not work at the moment")
}
