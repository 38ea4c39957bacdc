//! Asks a collector for all it has.

use std::time::Duration;

use anyhow::{Context as _, Result};
use archtrace_facts::fleet::{NodeEvent, NodeFact, ServerStatus};
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use tonic::transport::{Channel, Endpoint};

/// Items of one page: what servers give at most.
const PAGE: i32 = 10_000;
/// Largest answer that is taken in, in bytes: a page of facts with the longest names.
const ANSWER: usize = 64 << 20;
/// For one page, on a machine that may have much else to do.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that asks.
#[derive(Clone, Debug)]
pub struct Client(QueryClient<Channel>);

impl Client {
    /// Connects to a collector.
    ///
    /// # Errors
    /// If nobody answers there.
    pub async fn connect(collector: &Endpoint) -> Result<Self> {
        let collector = collector.clone().connect_timeout(TIMEOUT).timeout(TIMEOUT);
        let channel = collector.connect().await;
        let channel = channel.with_context(|| format!("connect to {}", collector.uri()))?;
        Ok(Self(
            QueryClient::new(channel).max_decoding_message_size(ANSWER),
        ))
    }

    /// Where questions go that need more than what is here.
    pub fn query(&mut self) -> &mut QueryClient<Channel> {
        &mut self.0
    }

    /// All facts, history included, a page at a time.
    ///
    /// # Errors
    /// If the collector does not answer, or nonsense.
    pub async fn facts(&mut self, mut take: impl FnMut(NodeFact)) -> Result<()> {
        let mut page_token = String::new();
        loop {
            let request = v1::ListFactsRequest {
                history: true,
                page_size: PAGE,
                page_token,
                ..v1::ListFactsRequest::default()
            };
            let page = self
                .0
                .list_facts(request)
                .await
                .context("list facts")?
                .into_inner();
            for fact in page.facts {
                take(fact.try_into().context("a listed fact")?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(());
            }
        }
    }

    /// All events, losses and changes of handlers, a page at a time.
    ///
    /// # Errors
    /// If the collector does not answer, or nonsense.
    pub async fn events(&mut self, mut take: impl FnMut(NodeEvent)) -> Result<()> {
        let mut page_token = String::new();
        loop {
            let request = v1::ListEventsRequest {
                page_size: PAGE,
                page_token,
                ..v1::ListEventsRequest::default()
            };
            let page = self
                .0
                .list_events(request)
                .await
                .context("list events")?
                .into_inner();
            for event in page.events {
                take(event.try_into().context("a listed event")?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(());
            }
        }
    }

    /// What the collector says of itself.
    ///
    /// # Errors
    /// If the collector does not answer, or nonsense.
    pub async fn status(&mut self) -> Result<ServerStatus> {
        let answer = self
            .0
            .get_server_status(v1::GetServerStatusRequest {})
            .await;
        let answer = answer.context("get the server's status")?.into_inner();
        answer.try_into().context("the server's status")
    }
}
