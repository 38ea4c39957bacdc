//! How it is with mandated agents, in pages.

use std::sync::Arc;
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::{Change, InForce, Place, Row, Status as Is, Total};
use archtrace_facts::fleet::ExpectedNodes;
use archtrace_facts::matrix;
use archtrace_facts::policy::{Agent, Nodes};
use archtrace_facts::select::wildcard;
use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask};
use crate::coverage::digests::Digests;
use crate::coverage::ledger::Ledger;
use crate::coverage::look::Look;
use crate::coverage::standing::Known;
use crate::findings::recent::Recent;
use crate::live::Shared;
use crate::live::table::Table;
use crate::mandates::Mandates;
use crate::page::{self, Page, limit};
use crate::read::Read;
use crate::token::{self, Texts, Token};

impl Token for Place {
    fn to_numbers(&self) -> Vec<u64> {
        [&self.agent, &self.cluster, &self.node].pack()
    }

    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let [agent, cluster, node] = <[String; 3]>::unpack(numbers)?;
        Some(Self {
            agent,
            cluster,
            node,
        })
    }
}

/// What is asked for.
struct Wanted {
    agents: Vec<String>,
    nodes: Nodes,
    statuses: Vec<Is>,
    after: Option<Place>,
    limit: usize,
}

/// What is known beside facts, as of some seconds ago.
pub(super) struct Beside {
    digests: Arc<Digests>,
    recent: Arc<Recent>,
}

pub(super) async fn beside<S: Read>(
    query: &Inner<S>,
    shared: &Shared<S>,
) -> Result<Beside, Status> {
    let digests = shared.digests().await.map_err(ask::unavailable)?;
    let recent = shared.recent(query.alive_since()).await;
    Ok(Beside {
        digests,
        recent: recent.map_err(ask::unavailable)?,
    })
}

/// What was found.
struct Found {
    /// Agents that have to run on some node of the instruction sets that were asked for.
    agents: Vec<String>,
    /// Of those that were asked for the ones of whose nodes none is known.
    without_nodes: Vec<String>,
    rows: Vec<Row>,
    totals: Vec<Total>,
    policy: InForce,
}

pub(super) async fn get<S: Read>(
    query: &Inner<S>,
    request: v1::GetCoverageRequest,
) -> Result<v1::GetCoverageResponse, Status> {
    let policies = match &query.settings.mandates {
        Mandates::Of(policies) => Arc::clone(policies),
        Mandates::Nobody(why) => return Err(Status::failed_precondition(*why)),
    };
    let question = v1::GetCoverageRequest {
        page_size: 0,
        page_token: String::new(),
        ..request.clone()
    };
    let question = token::question("coverage", &question);
    let limit = limit(request.page_size)?;
    let history = request.history;
    let wanted = wanted(request, question, limit)?;
    let shared = query.live.loaded().await?;
    let beside = beside(query, &shared).await?;
    // The first look is some 200 ms of work for 10,000 nodes and 12 agents, and each later one some
    // milliseconds, which others should not wait for.
    let found = tokio::task::spawn_blocking(move || find(&shared, &beside, &wanted));
    let found = found
        .await
        .map_err(|error| Status::internal(format!("the look failed: {error}")))??;
    let mut rows = found.rows;
    note(query, &mut rows, history).await?;
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| (row.place.clone(), row))
        .collect();
    let Page { items: rows, next } = page::cut(&rows, limit);
    let policy = InForce {
        problem: policies.problem(),
        ..found.policy
    };
    Ok(v1::GetCoverageResponse {
        rows,
        next_page_token: token::next(next, question),
        coverage: query.live.coverage().await?,
        totals: found.totals.iter().map(Into::into).collect(),
        policy: Some((&policy).into()),
        agents_without_nodes: found.without_nodes,
    })
}

/// Nodes of one look for the matrix that are shown as examples.
const EXAMPLES: usize = 200;

/// What the matrix says of mandated agents on nodes of an architecture; `None` if there is no policy.
pub(super) async fn for_matrix<S: Read>(
    query: &Inner<S>,
    arch: Arch,
) -> Result<Option<Vec<matrix::Row>>, Status> {
    if matches!(query.settings.mandates, Mandates::Nobody(_)) {
        return Ok(None);
    }
    let shared = query.live.loaded().await?;
    let beside = beside(query, &shared).await?;
    let not_native = Is::ALL.iter().filter(|status| **status != Is::Native);
    let wanted = Wanted {
        agents: Vec::new(),
        nodes: Nodes {
            archs: vec![arch],
            ..Nodes::default()
        },
        statuses: not_native.copied().collect(),
        after: None,
        limit: EXAMPLES,
    };
    let rows = tokio::task::spawn_blocking(move || {
        let found = find(&shared, &beside, &wanted)?;
        Ok(matrix::mandated(
            arch,
            &found.agents,
            &found.totals,
            &found.rows,
        ))
    });
    rows.await
        .map_err(|error| Status::internal(format!("the look failed: {error}")))?
        .map(Some)
}

fn wanted(request: v1::GetCoverageRequest, question: u64, limit: u32) -> Result<Wanted, Status> {
    let v1::GetCoverageRequest {
        agents,
        clusters,
        nodes: names,
        node_archs,
        statuses,
        page_size: _,
        page_token,
        history: _,
    } = request;
    for (field, count) in [
        ("agents", agents.len()),
        ("clusters", clusters.len()),
        ("nodes", names.len()),
        ("node_archs", node_archs.len()),
        ("statuses", statuses.len()),
    ] {
        ask::few(field, count)?;
    }
    let refused = |field: &str, error: &dyn std::fmt::Display| {
        Status::invalid_argument(format!("{field}: {error}"))
    };
    let archs = node_archs.iter().map(|word| word.parse::<Arch>());
    let archs = archs.collect::<Result<_, _>>();
    let statuses = statuses.iter().map(|word| word.parse::<Is>());
    let statuses = statuses.collect::<Result<_, _>>();
    Ok(Wanted {
        agents,
        nodes: Nodes {
            clusters,
            names,
            archs: archs.map_err(|error| refused("node_archs", &error))?,
        },
        statuses: statuses.map_err(|error| refused("statuses", &error))?,
        after: Place::read(&page_token, question)?,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
    })
}

/// Looks at all that is asked for, and keeps one row more than asked for.
fn find<S: Read>(shared: &Shared<S>, beside: &Beside, wanted: &Wanted) -> Result<Found, Status> {
    let expected = shared.expected().nodes();
    let (table, ledger) = (shared.table(), shared.ledger());
    let look = look(&table, &ledger, beside, &expected)?;
    let mut judged = shared.judged();
    let is_wanted: Vec<_> = look
        .agents()
        .iter()
        .map(|agent| {
            let mut patterns = wanted.agents.iter();
            wanted.agents.is_empty() || patterns.any(|pattern| wildcard(pattern, &agent.name))
        })
        .collect();
    let is_wanted = |i: usize| is_wanted.get(i).copied().unwrap_or(false);
    let nodes = look.nodes(&wanted.nodes);
    // By agent: on how many nodes it is so, and where it is as asked for, in the order of nodes.
    let mut of_agents: Vec<_> = look
        .agents()
        .iter()
        .map(|_| ([0_u64; Is::ALL.len()], Vec::new()))
        .collect();
    for (at, on) in nodes.iter().enumerate() {
        let statuses = judged.on(&look, *on).iter().enumerate();
        for ((i, status), (totals, places)) in statuses.zip(&mut of_agents) {
            let Some(status) = status.filter(|_| is_wanted(i)) else {
                continue;
            };
            let place = Is::ALL.iter().position(|known| *known == status);
            if let Some(total) = place.and_then(|place| totals.get_mut(place)) {
                *total += 1;
            }
            if wanted.statuses.is_empty() || wanted.statuses.contains(&status) {
                places.push(at);
            }
        }
    }
    drop(judged);
    let archs = &wanted.nodes.archs;
    let may_run = |agent: &&Agent| {
        let of_agent = &agent.nodes.archs;
        let meets = |arch: &Arch| of_agent.is_empty() || of_agent.contains(arch);
        archs.is_empty() || archs.iter().any(meets)
    };
    let without = look.agents().iter().zip(&of_agents).enumerate();
    let without = without.filter(|(i, (agent, (totals, _)))| {
        is_wanted(*i) && may_run(agent) && totals.iter().all(|nodes| *nodes == 0)
    });
    let mut without: Vec<_> = without.map(|(_, (agent, _))| agent).collect();
    if !without.is_empty() {
        let all = look.nodes(&Nodes::default());
        without.retain(|agent| !all.iter().any(|on| on.is_of(&agent.nodes)));
    }
    let mut without_nodes: Vec<_> = without.iter().map(|agent| agent.name.clone()).collect();
    without_nodes.sort_unstable();
    let mut by_name: Vec<_> = look.agents().iter().zip(of_agents).enumerate().collect();
    by_name.sort_by_key(|(_, (agent, _))| &agent.name);
    let (mut rows, mut sums) = (Vec::new(), Vec::new());
    for (i, (agent, (totals, places))) in by_name {
        let counts = Is::ALL.iter().zip(totals).filter(|(_, nodes)| *nodes > 0);
        sums.extend(counts.map(|(status, nodes)| Total {
            agent: agent.name.clone(),
            status: *status,
            nodes,
        }));
        for on in places.iter().filter_map(|at| nodes.get(*at)) {
            if rows.len() > wanted.limit {
                break;
            }
            let is_behind = |after: &Place| {
                (agent.name.as_str(), on.cluster, on.name)
                    > (
                        after.agent.as_str(),
                        after.cluster.as_str(),
                        after.node.as_str(),
                    )
            };
            if wanted.after.as_ref().is_none_or(is_behind) {
                let row = |_, verdict, _| rows.push(look.row(*on, agent, &verdict));
                look.judge(*on, |other| other == i, row);
            }
        }
    }
    let agents = look.agents().iter().filter(may_run);
    Ok(Found {
        agents: agents.map(|agent| agent.name.clone()).collect(),
        without_nodes,
        rows,
        totals: sums,
        policy: look.ledger.mandated.in_force.clone(),
    })
}

pub(super) fn look<'a>(
    table: &'a Table,
    ledger: &'a Option<Ledger>,
    beside: &'a Beside,
    expected: &'a ExpectedNodes,
) -> Result<Look<'a>, Status> {
    let ledger = ledger.as_ref();
    let ledger = ledger.ok_or_else(|| Status::unavailable("the policy is just being read"))?;
    Ok(Look {
        table,
        ledger,
        digests: &beside.digests,
        recent: &beside.recent,
        expected,
        now: SystemTime::now(),
    })
}

/// Adds since when it is so, and what it was before.
async fn note<S: Read>(query: &Inner<S>, rows: &mut [Row], history: bool) -> Result<(), Status> {
    let places: Vec<_> = rows.iter().map(|row| row.place.clone()).collect();
    let standings = query.store.standings(places.clone()).await;
    for (row, standing) in rows.iter_mut().zip(standings.map_err(ask::unavailable)?) {
        // Noted a moment later than found.
        let standing = standing.filter(|standing| standing.status == row.status);
        row.since = standing.map(|standing| standing.since);
    }
    if history {
        let past = query.store.past_standings(places).await;
        for (row, past) in rows.iter_mut().zip(past.map_err(ask::unavailable)?) {
            row.past = past;
        }
    }
    Ok(())
}

/// What changed since it was looked last.
pub(super) async fn changes<S: Read>(
    query: &Inner<S>,
    mut known: Known,
) -> Result<(Known, Vec<Change>), Status> {
    if matches!(query.settings.mandates, Mandates::Nobody(_)) {
        return Ok((known, Vec::new()));
    }
    let shared = query.live.loaded().await?;
    let beside = beside(query, &shared).await?;
    let looked = tokio::task::spawn_blocking(move || {
        let expected = shared.expected().nodes();
        let (table, ledger) = (shared.table(), shared.ledger());
        let look = look(&table, &ledger, &beside, &expected)?;
        let changes = known.changes(&look, &mut shared.judged());
        Ok((known, changes))
    });
    looked
        .await
        .map_err(|error| Status::internal(format!("the look failed: {error}")))?
}
