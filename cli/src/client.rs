//! Questions to a collector, and its answers in domain types.

use std::time::Duration;

use archtrace_facts::fleet::{Filter, FleetImage, NodeEvent, NodeFact, NodeStatus, ServerStatus};
use archtrace_proto::convert::ConvertError;
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use tonic::transport::{Channel, Endpoint};

use crate::failure::Failure;

/// Loopback and clusters answer in milliseconds; beyond this nobody does.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For one page.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to one collector.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    server: String,
    query: QueryClient<Channel>,
}

impl Client {
    pub(crate) async fn connect(server: &str) -> Result<Self, Failure> {
        let unreachable = |error: tonic::transport::Error| Failure::Unreachable {
            server: server.to_owned(),
            reason: root_cause(&error),
        };
        let endpoint = Endpoint::from_shared(server.to_owned()).map_err(unreachable)?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT);
        let channel = endpoint.connect().await.map_err(unreachable)?;
        Ok(Self {
            server: server.to_owned(),
            query: QueryClient::new(channel),
        })
    }

    /// All pages of facts.
    pub(crate) async fn facts(
        &self,
        filter: &Filter,
        running: bool,
    ) -> Result<Vec<NodeFact>, Failure> {
        let mut facts = Vec::new();
        let mut page_token = String::new();
        loop {
            let filter = Some(filter.into());
            let request = v1::ListFactsRequest {
                filter,
                running,
                page_size: 0,
                page_token,
            };
            let answer = self.query.clone().list_facts(request).await;
            let page = answer
                .map_err(|status| Failure::of(&self.server, &status))?
                .into_inner();
            facts.extend(self.read::<_, NodeFact>(page.facts)?);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(facts);
            }
        }
    }

    /// The newest `limit` events, or all.
    pub(crate) async fn events(
        &self,
        filter: &Filter,
        kinds: &[String],
        limit: Option<usize>,
    ) -> Result<Vec<NodeEvent>, Failure> {
        let limit = limit.unwrap_or(usize::MAX);
        let mut events = Vec::new();
        let mut page_token = String::new();
        while events.len() < limit {
            let page_size = i32::try_from(limit - events.len()).unwrap_or(0);
            let (filter, kinds) = (Some(filter.into()), kinds.to_vec());
            let request = v1::ListEventsRequest {
                filter,
                kinds,
                page_size,
                page_token,
            };
            let answer = self.query.clone().list_events(request).await;
            let page = answer
                .map_err(|status| Failure::of(&self.server, &status))?
                .into_inner();
            events.extend(self.read::<_, NodeEvent>(page.events)?);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(events)
    }

    /// All pages of images.
    pub(crate) async fn images(
        &self,
        nodes: &[String],
        names: &[String],
    ) -> Result<Vec<FleetImage>, Failure> {
        let mut images = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListImagesRequest {
                nodes: nodes.to_vec(),
                names: names.to_vec(),
                page_size: 0,
                page_token,
            };
            let answer = self.query.clone().list_images(request).await;
            let page = answer
                .map_err(|status| Failure::of(&self.server, &status))?
                .into_inner();
            images.extend(self.read::<_, FleetImage>(page.images)?);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(images);
            }
        }
    }

    /// All pages of nodes.
    pub(crate) async fn nodes(&self, names: &[String]) -> Result<Vec<NodeStatus>, Failure> {
        let mut nodes = Vec::new();
        let mut page_token = String::new();
        loop {
            let names = names.to_vec();
            let request = v1::ListNodesRequest {
                nodes: names,
                page_size: 0,
                page_token,
            };
            let answer = self.query.clone().list_nodes(request).await;
            let page = answer
                .map_err(|status| Failure::of(&self.server, &status))?
                .into_inner();
            nodes.extend(self.read::<_, NodeStatus>(page.nodes)?);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(nodes);
            }
        }
    }

    pub(crate) async fn status(&self) -> Result<ServerStatus, Failure> {
        let answer = self
            .query
            .clone()
            .get_server_status(v1::GetServerStatusRequest {})
            .await;
        let answer = answer
            .map_err(|status| Failure::of(&self.server, &status))?
            .into_inner();
        answer.try_into().map_err(|reason| self.unknown(reason))
    }

    fn read<M, D: TryFrom<M, Error = ConvertError>>(
        &self,
        messages: Vec<M>,
    ) -> Result<Vec<D>, Failure> {
        let items = messages
            .into_iter()
            .map(D::try_from)
            .collect::<Result<_, _>>();
        items.map_err(|reason| self.unknown(reason))
    }

    fn unknown(&self, reason: ConvertError) -> Failure {
        Failure::Answer {
            server: self.server.clone(),
            reason,
        }
    }
}

/// What is at the end of the chain says most: "connection refused", not "transport error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
