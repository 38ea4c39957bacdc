//! Questions, and the answers in domain types.

mod agents;
mod connect;
mod matrix;
mod pages;
mod streams;
mod trouble;
mod verify;

pub(crate) use agents::Agents;
pub(crate) use connect::Peer;
pub(crate) use matrix::Workloads;
pub(crate) use streams::Updates;

use std::time::{Duration, SystemTime};

use archtrace_facts::cost::{Cost, CostDimension, Pricing, Slowdown};
use archtrace_facts::fleet::{
    Coverage, Dimension, FleetFinding, FleetImage, NodeEvent, NodeFact, NodeStatus, ServerStatus,
    Summary,
};
use archtrace_facts::select::Selection;
use archtrace_proto::convert::ConvertError;
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use self::connect::Bearer;
use crate::args::Connection;
use crate::failure::Failure;

/// What requests are made with.
type Query = QueryClient<InterceptedService<Channel, Bearer>>;

/// The most that is taken of one page or message. Pages end at 2 MiB, and one item is never larger than
/// what an agent may send (1 MiB).
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Rows of a summary where nobody says how many: all that a collector tells.
const MAX_ROWS: u16 = 10_000;

/// A connection to one collector or agent.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    peer: Peer,
    timeout: Duration,
    query: Query,
}

/// An answer, and for which nodes it cannot speak.
#[derive(Clone, Debug)]
pub(crate) struct Answer<T> {
    pub(crate) told: T,
    pub(crate) coverage: Coverage,
}

/// What [`Client::cost`] asks.
#[derive(Debug)]
pub(crate) struct CostQuestion<'a> {
    pub(crate) since: Option<SystemTime>,
    pub(crate) until: Option<SystemTime>,
    pub(crate) by: &'a [CostDimension],
    /// At most so many rows; all if there is no limit.
    pub(crate) limit: Option<u16>,
    pub(crate) clusters: &'a [String],
    pub(crate) nodes: &'a [String],
    pub(crate) namespaces: &'a [String],
    pub(crate) workloads: &'a [String],
    pub(crate) pricing: &'a Pricing,
}

impl Client {
    pub(crate) async fn connect(connection: &Connection) -> Result<Self, Failure> {
        let peer = Peer::of(connection);
        let (channel, bearer) = connect::connect(connection, &peer).await?;
        let query = QueryClient::with_interceptor(channel, bearer)
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self {
            peer,
            timeout: connection.timeout,
            query,
        })
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// All pages of facts.
    pub(crate) async fn facts(
        &self,
        selection: &Selection,
        running: bool,
        history: bool,
    ) -> Result<Answer<Vec<NodeFact>>, Failure> {
        self.pages(usize::MAX, |mut query, page_size, page_token| {
            let request = self.request(v1::ListFactsRequest {
                selection: Some(selection.into()),
                running,
                history,
                page_size,
                page_token,
            });
            async move { query.list_facts(request).await }
        })
        .await
    }

    /// The newest `limit` events, or all.
    pub(crate) async fn events(
        &self,
        selection: &Selection,
        kinds: &[String],
        limit: Option<usize>,
    ) -> Result<Answer<Vec<NodeEvent>>, Failure> {
        let limit = limit.unwrap_or(usize::MAX);
        self.pages(limit, |mut query, page_size, page_token| {
            let request = self.request(v1::ListEventsRequest {
                selection: Some(selection.into()),
                kinds: kinds.to_vec(),
                page_size,
                page_token,
            });
            async move { query.list_events(request).await }
        })
        .await
    }

    /// All pages of findings, the worst first.
    pub(crate) async fn findings(
        &self,
        selection: &Selection,
        findings: &[String],
        min_severity: &str,
    ) -> Result<Answer<Vec<FleetFinding>>, Failure> {
        self.pages(usize::MAX, |mut query, page_size, page_token| {
            let request = self.request(v1::ListFindingsRequest {
                selection: Some(selection.into()),
                findings: findings.to_vec(),
                min_severity: min_severity.to_owned(),
                page_size,
                page_token,
            });
            async move { query.list_findings(request).await }
        })
        .await
    }

    /// All pages of images.
    pub(crate) async fn images(
        &self,
        nodes: &[String],
        names: &[String],
    ) -> Result<Answer<Vec<FleetImage>>, Failure> {
        self.pages(usize::MAX, |mut query, page_size, page_token| {
            let request = self.request(v1::ListImagesRequest {
                nodes: nodes.to_vec(),
                names: names.to_vec(),
                page_size,
                page_token,
            });
            async move { query.list_images(request).await }
        })
        .await
    }

    /// All pages of nodes.
    pub(crate) async fn nodes(&self, names: &[String]) -> Result<Answer<Vec<NodeStatus>>, Failure> {
        self.pages(usize::MAX, |mut query, page_size, page_token| {
            let request = self.request(v1::ListNodesRequest {
                nodes: names.to_vec(),
                page_size,
                page_token,
            });
            async move { query.list_nodes(request).await }
        })
        .await
    }

    /// Sums; all rows if no limit is given.
    pub(crate) async fn summary(
        &self,
        selection: &Selection,
        by: &[Dimension],
        limit: Option<u16>,
    ) -> Result<Answer<Summary>, Failure> {
        let request = self.request(v1::SummarizeFactsRequest {
            selection: Some(selection.into()),
            group_by: by
                .iter()
                .map(|by| v1::Dimension::from(*by).into())
                .collect(),
            max_rows: limit.unwrap_or(MAX_ROWS).into(),
        });
        let mut query = self.query.clone();
        let mut answer = self.answer(query.summarize_facts(request)).await?;
        let coverage = self.coverage(answer.coverage.take())?;
        let told = self.read(answer)?;
        Ok(Answer { told, coverage })
    }

    /// What emulation costs.
    pub(crate) async fn cost(&self, question: &CostQuestion<'_>) -> Result<Answer<Cost>, Failure> {
        let CostQuestion {
            since,
            until,
            by,
            limit,
            clusters,
            nodes,
            namespaces,
            workloads,
            pricing: Pricing { prices, slowdown },
        } = question;
        let by = by.iter().map(|by| v1::CostDimension::from(*by).into());
        let request = self.request(v1::GetCostRequest {
            since: since.map(Into::into),
            until: until.map(Into::into),
            group_by: by.collect(),
            clusters: clusters.to_vec(),
            nodes: nodes.to_vec(),
            namespaces: namespaces.to_vec(),
            workloads: workloads.to_vec(),
            max_rows: limit.unwrap_or_default().into(),
            prices: prices.as_ref().map(Into::into),
            slowdown_thousandths: slowdown.map(Slowdown::thousandths).unwrap_or_default(),
        });
        let mut query = self.query.clone();
        let mut answer = self.answer(query.get_cost(request)).await?;
        let coverage = self.coverage(answer.coverage.take())?;
        let told = self.read(answer)?;
        Ok(Answer { told, coverage })
    }

    pub(crate) async fn status(&self) -> Result<ServerStatus, Failure> {
        let request = self.request(v1::GetServerStatusRequest {});
        let mut query = self.query.clone();
        let answer = self.answer(query.get_server_status(request)).await?;
        self.read(answer)
    }

    /// A request with a deadline, which the other side is told.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }

    /// Waits no longer than the deadline, whatever the other side does.
    async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(trouble::of_status(&self.peer, &status)),
            Err(_) => Err(Failure::Late {
                peer: self.peer.clone(),
            }),
        }
    }

    /// What one who does not tell it yet covers is not known: then nothing is said of it.
    fn coverage(&self, coverage: Option<v1::NodeCoverage>) -> Result<Coverage, Failure> {
        self.read(coverage.unwrap_or_default())
    }

    fn read<M, D: TryFrom<M, Error = ConvertError>>(&self, message: M) -> Result<D, Failure> {
        D::try_from(message).map_err(|reason| self.unknown(reason))
    }

    fn unknown(&self, reason: ConvertError) -> Failure {
        Failure::Answer {
            peer: self.peer.clone(),
            reason,
        }
    }
}
