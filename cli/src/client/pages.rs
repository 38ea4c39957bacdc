//! Listings: page after page.

use std::cell::Cell;

use archtrace_facts::fleet::{FleetFinding, FleetImage, NodeEvent, NodeFact, NodeStatus};
use archtrace_facts::matrix::Matrix;
use archtrace_facts::registry::DeployedTag;
use archtrace_proto::convert::ConvertError;
use archtrace_proto::v1;
use tonic::{Response, Status};

use super::{Answer, Client, Query};
use crate::failure::Failure;

/// Items of a page: about as many as a page's 2 MiB hold, and one round trip to a collector.
const PAGE: usize = 1000;

/// An answer that is a part of a listing.
pub(super) trait Page {
    /// What is listed, on the wire.
    type Message;
    /// What is listed.
    type Item: TryFrom<Self::Message, Error = ConvertError>;

    /// The items, the token of the next page (empty on the last), and the coverage.
    fn split(self) -> (Vec<Self::Message>, String, Option<v1::NodeCoverage>);
}

macro_rules! pages {
    ($($answer:ident: $items:ident of $message:ident as $item:ident),+ $(,)?) => {$(
        impl Page for v1::$answer {
            type Message = v1::$message;
            type Item = $item;

            fn split(self) -> (Vec<Self::Message>, String, Option<v1::NodeCoverage>) {
                let Self { $items, next_page_token, coverage } = self;
                ($items, next_page_token, coverage)
            }
        }
    )+};
}

pages! {
    ListFactsResponse: facts of NodeFact as NodeFact,
    ListEventsResponse: events of NodeEvent as NodeEvent,
    ListFindingsResponse: findings of Finding as FleetFinding,
    ListImagesResponse: images of FleetImage as FleetImage,
    ListNodesResponse: nodes of NodeStatus as NodeStatus,
}

/// A listing by workload, which says what it cannot tell of.
pub(super) trait ByWorkload: Page {
    /// How many facts are of pods whose names nobody knows.
    fn unnamed_facts(&self) -> u64;
}

impl ByWorkload for v1::GetMatrixResponse {
    fn unnamed_facts(&self) -> u64 {
        self.unnamed_facts
    }
}

impl ByWorkload for v1::ListTagsResponse {
    fn unnamed_facts(&self) -> u64 {
        self.unnamed_facts
    }
}

impl Page for v1::GetMatrixResponse {
    type Message = v1::WorkloadMatrix;
    type Item = Matrix;

    fn split(self) -> (Vec<Self::Message>, String, Option<v1::NodeCoverage>) {
        let Self {
            workloads,
            next_page_token,
            coverage,
            // Looked at in each page.
            unnamed_facts: _,
        } = self;
        (workloads, next_page_token, coverage)
    }
}

impl Page for v1::ListTagsResponse {
    type Message = v1::DeployedTag;
    type Item = DeployedTag;

    fn split(self) -> (Vec<Self::Message>, String, Option<v1::NodeCoverage>) {
        let Self {
            tags,
            next_page_token,
            coverage,
            // Looked at in each page.
            unnamed_facts: _,
        } = self;
        (tags, next_page_token, coverage)
    }
}

impl Client {
    /// All pages of a listing by workload, and how many facts it leaves out: what the last page says, which is
    /// the newest.
    pub(super) async fn by_workload<A: ByWorkload, F>(
        &self,
        ask: impl Fn(Query, i32, String) -> F,
    ) -> Result<(Answer<Vec<A::Item>>, u64), Failure>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let unnamed = Cell::new(0);
        let answer = self.pages(usize::MAX, |query, page_size, page_token| {
            let (page, unnamed) = (ask(query, page_size, page_token), &unnamed);
            async move {
                let page = page.await?;
                unnamed.set(page.get_ref().unnamed_facts());
                Ok(page)
            }
        });
        Ok((answer.await?, unnamed.get()))
    }

    /// The first `limit` items of a listing. `ask` is given the size of a page and its token. The coverage is that of the last page, which is the newest.
    pub(super) async fn pages<A: Page, F>(
        &self,
        limit: usize,
        ask: impl Fn(Query, i32, String) -> F,
    ) -> Result<Answer<Vec<A::Item>>, Failure>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut told = Vec::new();
        let mut page_token = String::new();
        loop {
            let page_size = i32::try_from((limit - told.len()).min(PAGE)).unwrap_or(0);
            let page = self
                .answer(ask(self.query.clone(), page_size, page_token))
                .await?;
            let (messages, next, coverage) = page.split();
            for message in messages {
                told.push(self.read(message)?);
            }
            if next.is_empty() || told.len() >= limit {
                told.truncate(limit);
                let coverage = self.coverage(coverage)?;
                return Ok(Answer { told, coverage });
            }
            page_token = next;
        }
    }
}
