//! The same questions from within this program: domain types in and out, and no network.
//!
//! They go through the very functions that answer gRPC, with all of their checks and bounds, so that
//! nobody gets another answer by asking in another way.

use std::collections::BTreeMap;
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::{Row, Status as Is, Total};
use archtrace_facts::finding::Severity;
use archtrace_facts::fleet::{
    Coverage, Dimension, EventUpdate, FleetFinding, NodeEvent, NodeFact, NodeStatus, Summary,
};
use archtrace_facts::policy::Nodes;
use archtrace_facts::select::Selection;
use archtrace_proto::convert::{ConvertError, decode_event_update, decode_totals};
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as Grpc;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Status};

use crate::read::Read;
use crate::service::Query;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What was asked for.
    pub told: T,
    /// For which nodes it cannot speak.
    pub coverage: Coverage,
    /// What asks for the next page; empty if there is none.
    pub next: String,
}

/// Which part of a listing.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// At most so many; the service's default if 0.
    pub size: u16,
    /// [`Answer::next`] of the part before; empty for the first.
    pub token: String,
}

impl Part {
    /// The first so many.
    #[must_use]
    pub fn first(size: u16) -> Self {
        Self {
            size,
            token: String::new(),
        }
    }
}

impl<S: Read> Query<S> {
    /// Facts that agents keep now, the one that was first heard of last first.
    ///
    /// # Errors
    /// As the service.
    pub async fn facts(
        &self,
        selection: &Selection,
        part: Part,
    ) -> Result<Answer<Vec<NodeFact>>, Status> {
        let request = v1::ListFactsRequest {
            selection: Some(selection.into()),
            running: false,
            page_size: part.size.into(),
            page_token: part.token,
            history: false,
        };
        let answer = self.list_facts(Request::new(request)).await?.into_inner();
        listing(answer.facts, answer.coverage, answer.next_page_token)
    }

    /// Sums over facts that agents keep now.
    ///
    /// # Errors
    /// As the service.
    pub async fn summary(
        &self,
        selection: &Selection,
        by: &[Dimension],
        max_rows: u16,
    ) -> Result<Answer<Summary>, Status> {
        let by = by
            .iter()
            .map(|by| i32::from(v1::Dimension::from(*by)))
            .collect();
        let request = v1::SummarizeFactsRequest {
            selection: Some(selection.into()),
            group_by: by,
            max_rows: max_rows.into(),
        };
        let answer = self.summarize_facts(Request::new(request)).await?;
        let mut answer = answer.into_inner();
        let coverage = read(answer.coverage.take().unwrap_or_default())?;
        Ok(Answer {
            told: read(answer)?,
            coverage,
            next: String::new(),
        })
    }

    /// Events, losses and changes of handlers, newest first.
    ///
    /// # Errors
    /// As the service.
    pub async fn events(
        &self,
        selection: &Selection,
        kinds: &[&str],
        part: Part,
    ) -> Result<Answer<Vec<NodeEvent>>, Status> {
        let request = v1::ListEventsRequest {
            selection: Some(selection.into()),
            kinds: owned(kinds),
            page_size: part.size.into(),
            page_token: part.token,
        };
        let answer = self.list_events(Request::new(request)).await?.into_inner();
        listing(answer.events, answer.coverage, answer.next_page_token)
    }

    /// Events from a time on, oldest first, then those that come in.
    ///
    /// # Errors
    /// As the service; the stream's items may be errors too, and end it.
    pub async fn follow_events(
        &self,
        selection: &Selection,
        kinds: &[&str],
        since: SystemTime,
    ) -> Result<impl Stream<Item = Result<EventUpdate, Status>> + Send + use<S>, Status> {
        let request = v1::StreamEventsRequest {
            selection: Some(selection.into()),
            kinds: owned(kinds),
            since: Some(since.into()),
            follow: true,
        };
        let stream = self.stream_events(Request::new(request)).await?;
        let updates = stream.into_inner().filter_map(|update| {
            let update = update.and_then(|update| decode_event_update(update).map_err(broken));
            update.transpose()
        });
        Ok(updates)
    }

    /// What somebody should act on, the worst first.
    ///
    /// # Errors
    /// As the service.
    pub async fn findings(
        &self,
        selection: &Selection,
        least: Severity,
        part: Part,
    ) -> Result<Answer<Vec<FleetFinding>>, Status> {
        let request = v1::ListFindingsRequest {
            selection: Some(selection.into()),
            findings: Vec::new(),
            min_severity: least.as_str().to_owned(),
            page_size: part.size.into(),
            page_token: part.token,
        };
        let answer = self.list_findings(Request::new(request)).await?;
        let answer = answer.into_inner();
        listing(answer.findings, answer.coverage, answer.next_page_token)
    }

    /// Nodes of these names, or all.
    ///
    /// # Errors
    /// As the service.
    pub async fn nodes(
        &self,
        names: &[&str],
        part: Part,
    ) -> Result<Answer<Vec<NodeStatus>>, Status> {
        let request = v1::ListNodesRequest {
            nodes: owned(names),
            page_size: part.size.into(),
            page_token: part.token,
        };
        let answer = self.list_nodes(Request::new(request)).await?.into_inner();
        listing(answer.nodes, answer.coverage, answer.next_page_token)
    }

    /// How it is with mandated agents of these names (all, if there are none) on these nodes: those that are so
    /// (all, if nothing is asked for), and on how many each agent is how.
    ///
    /// # Errors
    /// As the service.
    pub async fn agents(
        &self,
        agents: &[&str],
        nodes: &Nodes,
        statuses: &[Is],
        part: Part,
    ) -> Result<Answer<(Vec<Row>, Vec<Total>)>, Status> {
        let request = v1::GetCoverageRequest {
            agents: owned(agents),
            clusters: nodes.clusters.clone(),
            nodes: nodes.names.clone(),
            node_archs: nodes.archs.iter().map(ToString::to_string).collect(),
            statuses: statuses.iter().map(ToString::to_string).collect(),
            page_size: part.size.into(),
            page_token: part.token,
            history: false,
        };
        let answer = self.get_coverage(Request::new(request)).await?.into_inner();
        let totals = decode_totals(answer.totals).map_err(broken)?;
        let answer = listing(answer.rows, answer.coverage, answer.next_page_token)?;
        Ok(Answer {
            told: (answer.told, totals),
            coverage: answer.coverage,
            next: answer.next,
        })
    }

    /// For which nodes answers cannot speak.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn node_coverage(&self) -> Result<Coverage, Status> {
        let coverage = self.live().known_coverage().await?;
        Ok(coverage.as_ref().clone())
    }

    /// How many nodes there are of each architecture: those that report, and those that are silent.
    ///
    /// # Errors
    /// If the facts are not there yet, or the store does not answer.
    pub async fn nodes_by_arch(&self) -> Result<BTreeMap<Arch, (u64, u64)>, Status> {
        let facts = self.live().loaded().await?;
        let mut counts = BTreeMap::<_, (u64, u64)>::new();
        for node in &facts.table().nodes {
            let (reporting, silent) = counts.entry(node.arch).or_default();
            let count = if node.current { reporting } else { silent };
            *count += 1;
        }
        Ok(counts)
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn listing<M, D: TryFrom<M, Error = ConvertError>>(
    items: Vec<M>,
    coverage: Option<v1::NodeCoverage>,
    next: String,
) -> Result<Answer<Vec<D>>, Status> {
    Ok(Answer {
        told: items.into_iter().map(read).collect::<Result<_, _>>()?,
        coverage: read(coverage.unwrap_or_default())?,
        next,
    })
}

fn read<M, D: TryFrom<M, Error = ConvertError>>(message: M) -> Result<D, Status> {
    D::try_from(message).map_err(broken)
}

/// What this program wrote does not read.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: ConvertError) -> Status {
    Status::internal(format!("an answer does not read: {error}"))
}
