//! Agents that have to run: all in numbers, and the nodes on which they do not.

use std::time::SystemTime;

use archtrace_facts::coverage::{Counts, Row, Status as Is};
use archtrace_facts::policy::Nodes;
use archtrace_query::{Part, Query, Read, Tallies};
use askama::Template;
use axum::extract::{RawQuery, State};
use tonic::{Code, Status};

use super::{Shown, following, name, page, shown};
use crate::link::{self, condition};
use crate::trouble::Trouble;
use crate::view::{Agents, By, Cover, Covered, Frame, Listed, Narrowed};

/// Nodes on one page.
const NODES: u16 = 100;

/// What to do where there is no policy.
#[derive(Template)]
#[template(path = "no_policy.html")]
struct NoPolicy {
    frame: Frame,
    why: String,
}

pub(crate) async fn all<S: Read>(
    State(query): State<Query<S>>,
    RawQuery(asked): RawQuery,
) -> Shown {
    let asked = asked.as_deref();
    let page = page(asked)?;
    let by = By::read(&condition(asked, "by")).ok_or(Trouble::Nonsense)?;
    let tallies = match query.tallies().await {
        Ok(tallies) => tallies,
        Err(status) => return no_policy(status),
    };
    let cover = Cover::new(&query.node_coverage().await?);
    let now = SystemTime::now();
    shown(&Agents::new(&tallies, cover, by, page, now))
}

pub(crate) async fn nodes<S: Read>(
    State(query): State<Query<S>>,
    RawQuery(asked): RawQuery,
) -> Shown {
    let asked = asked.as_deref();
    let tallies = match query.tallies().await {
        Ok(tallies) => tallies,
        Err(status) => return no_policy(status),
    };
    let narrowed = narrowed(asked, &tallies)?;
    let agents: Vec<_> = narrowed.agent.iter().map(String::as_str).collect();
    let nodes = Nodes {
        clusters: narrowed.cluster.iter().cloned().collect(),
        archs: narrowed.arch.into_iter().collect(),
        ..Nodes::default()
    };
    let token = condition(asked, "after");
    let is_first = token.is_empty();
    let part = Part { size: NODES, token };
    let statuses = narrowed.statuses();
    let answer = query.agents(&agents, &nodes, &statuses, part).await?;
    let behind = following(link::COVERED, &narrowed.conditions(), &answer.next);
    let (rows, totals) = answer.told;
    let listed = Listed {
        cover: Cover::new(&answer.coverage),
        rows,
        totals,
        is_first,
        behind,
    };
    shown(&Covered::new(
        &tallies,
        &narrowed,
        listed,
        SystemTime::now(),
    ))
}

/// How it is with agents that have to run on this node; with none, if there is no policy.
pub(super) async fn on<S: Read>(
    query: &Query<S>,
    cluster: &str,
    name: &str,
) -> Result<Vec<Row>, Status> {
    let nodes = Nodes {
        clusters: vec![cluster.to_owned()],
        names: vec![name.to_owned()],
        ..Nodes::default()
    };
    match query.agents(&[], &nodes, &[], Part::first(NODES)).await {
        Ok(answer) => Ok(answer.told.0),
        Err(status) if status.code() == Code::FailedPrecondition => Ok(Vec::new()),
        Err(status) => Err(status),
    }
}

/// How it is with all of them; `None` if there is no policy.
pub(super) async fn counts<S: Read>(query: &Query<S>) -> Result<Option<Counts>, Status> {
    let mut counts = Counts::default();
    match query.tallies().await {
        Ok(tallies) => {
            let tallies = tallies.tallies.iter();
            tallies.for_each(|tally| counts.add_all(&tally.counts));
            Ok(Some(counts))
        }
        Err(status) if status.code() == Code::FailedPrecondition => Ok(None),
        Err(status) => Err(status),
    }
}

/// What to do if that is why there is no answer.
fn no_policy(status: Status) -> Shown {
    if status.code() != Code::FailedPrecondition {
        return Err(status.into());
    }
    shown(&NoPolicy {
        frame: Frame::new("Agents that have to run", link::COVERAGE),
        why: status.message().to_owned(),
    })
}

/// What is asked for, if there is such a thing: so what is shown again comes from the policy and the nodes.
fn narrowed(asked: Option<&str>, tallies: &Tallies) -> Result<Narrowed, Trouble> {
    let some = |word: String| Some(word).filter(|word| !word.is_empty());
    let agent = some(name(asked, "agent")?);
    let is_known = |agent: &String| tallies.agents.contains(agent);
    if !agent.as_ref().is_none_or(is_known) {
        return Err(Trouble::NoAgent);
    }
    let cluster = some(name(asked, "cluster")?);
    let is_known = |cluster: &String| {
        let mut tallies = tallies.tallies.iter();
        tallies.any(|tally| tally.cluster == *cluster)
    };
    if !cluster.as_ref().is_none_or(is_known) {
        return Err(Trouble::NoThing);
    }
    let arch = some(condition(asked, "arch")).map(|word| word.parse());
    let (status, all) = match condition(asked, "status").as_str() {
        "" => (None, false),
        "all" => (None, true),
        word => {
            let status = word.parse::<Is>().map_err(|_| Trouble::Nonsense)?;
            (Some(status), false)
        }
    };
    Ok(Narrowed {
        agent,
        cluster,
        arch: arch.transpose().map_err(|_| Trouble::Nonsense)?,
        status,
        all,
    })
}
