//! How it is with mandated agents.

use archtrace_facts::coverage::{InForce, Row, Total};
use archtrace_facts::text::escape;
use archtrace_proto::convert::decode_totals;
use archtrace_proto::v1;

use super::{Answer, Client};
use crate::args::{CoverageArgs, OfNodes};
use crate::failure::Failure;

/// Rows of a page: as many as a collector tells at once, where its bounds on bytes let it.
const PAGE: i32 = 10_000;

/// What is told of agents.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    pub(crate) rows: Vec<Row>,
    /// Over all that is asked for, whatever its status.
    pub(crate) totals: Vec<Total>,
    pub(crate) policy: InForce,
    /// Of whose nodes none is known.
    pub(crate) without_nodes: Vec<String>,
}

impl Client {
    /// All pages. The sums are those of the last one, which is the newest.
    pub(crate) async fn agents(&self, args: &CoverageArgs) -> Result<Answer<Agents>, Failure> {
        let CoverageArgs {
            agents,
            archs,
            of_nodes: OfNodes { clusters, nodes },
            statuses,
            history,
        } = args;
        let (mut rows, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = self.request(v1::GetCoverageRequest {
                agents: agents.clone(),
                clusters: clusters.clone(),
                nodes: nodes.clone(),
                node_archs: archs.iter().map(ToString::to_string).collect(),
                statuses: statuses.iter().map(ToString::to_string).collect(),
                page_size: PAGE,
                page_token,
                history: *history,
            });
            let mut query = self.query.clone();
            let page = self.answer(query.get_coverage(request)).await?;
            for row in page.rows {
                rows.push(self.read(row)?);
            }
            if page.next_page_token.is_empty() {
                let totals = decode_totals(page.totals).map_err(|reason| self.unknown(reason))?;
                let policy = self.read(page.policy.unwrap_or_default())?;
                let names = page.agents_without_nodes.iter();
                let told = Agents {
                    rows,
                    totals,
                    policy,
                    without_nodes: names.map(|name| escape(name.as_bytes())).collect(),
                };
                let coverage = self.coverage(page.coverage)?;
                return Ok(Answer { told, coverage });
            }
            page_token = page.next_page_token;
        }
    }
}
