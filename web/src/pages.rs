//! One page each: asks, and hands over to a template.

pub(crate) mod coverage;

use std::time::SystemTime;

use archtrace_facts::fact::Mode;
use archtrace_facts::finding::Severity;
use archtrace_facts::fleet::{Dimension, NodeFact, NodeState};
use archtrace_facts::report::Record;
use archtrace_facts::select::{Filter, Selection};
use archtrace_query::{Answer, Part, Query, Read, Workload};
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Html;

use crate::link::{self, condition};
use crate::trouble::Trouble;
use crate::view::{
    Arrived, Asked, Cover, Emulated, EventRow, FindingRow, Fleet, Frame, Heard, NodeRow, NodeView,
    WorkloadView, Workloads, event_rows,
};

/// A page, or why there is none.
type Shown = Result<Html<String>, Trouble>;

/// Sums that are asked for: the most that the service tells.
const SUMS: u16 = 10_000;

/// Emulated facts that are read for one page, some MB: beyond that, a list of pods is none that anybody
/// reads.
const EMULATED: usize = 5000;

/// Facts of one workload or node that are read; of a workload so many native ones, too.
const FACTS: u16 = 1000;

/// How programs run that are not native.
const FOREIGN: [Mode; 3] = [Mode::Compat, Mode::Emulated, Mode::Failed];

/// Findings on one page.
const FINDINGS: u16 = 100;

/// Nodes on one page.
const NODES: u16 = 100;

/// Events on one page, and on that of something else.
pub(crate) const EVENTS: u16 = 100;
const SOME_EVENTS: u16 = 20;

pub(crate) async fn fleet<S: Read>(State(query): State<Query<S>>) -> Shown {
    use Dimension::{Arch, Cluster, Mode, Namespace, Workload};
    let everything = Selection::default();
    let all = query.summary(&everything, &[], SUMS).await?;
    let modes = query.summary(&everything, &[Mode], SUMS).await?;
    let kinds = query.summary(&everything, &[Arch, Mode], SUMS).await?;
    let places = [Cluster, Namespace, Workload];
    let emulated = query.summary(&emulated_ones(), &places, SUMS).await?;
    let page = Fleet::new(&Arrived {
        coverage: all.coverage,
        all: all.told,
        modes: modes.told,
        kinds: kinds.told,
        emulated: emulated.told,
        nodes: query.nodes_by_arch().await?,
        agents: coverage::counts(&query).await?,
    });
    shown(&page)
}

#[derive(Template)]
#[template(path = "findings.html")]
struct Findings {
    frame: Frame,
    cover: Cover,
    choices: Vec<Choice>,
    rows: Vec<FindingRow>,
    behind: String,
}

pub(crate) async fn findings<S: Read>(
    State(query): State<Query<S>>,
    RawQuery(asked): RawQuery,
) -> Shown {
    let asked = asked.as_deref();
    let least = match condition(asked, "least").as_str() {
        "" => Severity::Info,
        word => word.parse().map_err(|_| Trouble::Nonsense)?,
    };
    let part = Part {
        size: FINDINGS,
        token: condition(asked, "after"),
    };
    let found = query.findings(&Selection::default(), least, part).await?;
    let now = SystemTime::now();
    let choices = Severity::ALL.iter().map(|each| Choice {
        name: each.as_str().to_owned(),
        link: link::with(link::FINDINGS, &[("least", each.as_str())]),
        is_here: *each == least,
    });
    let rows = found.told.iter();
    shown(&Findings {
        frame: Frame::new("Findings", link::FINDINGS),
        cover: Cover::new(&found.coverage),
        choices: choices.collect(),
        rows: rows.map(|found| FindingRow::new(found, now)).collect(),
        behind: following(link::FINDINGS, &[("least", least.as_str())], &found.next),
    })
}

pub(crate) async fn emulated<S: Read>(
    State(query): State<Query<S>>,
    RawQuery(asked): RawQuery,
) -> Shown {
    let page = page(asked.as_deref())?;
    let selection = emulated_ones();
    let mut facts = Vec::new();
    let mut part = Part::first(SUMS);
    let (coverage, is_cut) = loop {
        let Answer {
            told,
            coverage,
            next,
        } = query.facts(&selection, part).await?;
        facts.extend(told);
        if next.is_empty() || facts.len() >= EMULATED {
            break (coverage, !next.is_empty());
        }
        part = Part {
            size: SUMS,
            token: next,
        };
    };
    let now = SystemTime::now();
    shown(&Emulated::new(&facts, is_cut, &coverage, page, now))
}

pub(crate) async fn workloads<S: Read>(
    State(query): State<Query<S>>,
    RawQuery(asked): RawQuery,
) -> Shown {
    use Dimension::{Arch, Cluster, Mode, Namespace, Workload};
    let page = page(asked.as_deref())?;
    let by = [Cluster, Namespace, Workload, Arch, Mode];
    let sums = query.summary(&Selection::default(), &by, SUMS).await?;
    shown(&Workloads::new(&sums.told, &sums.coverage, page))
}

pub(crate) async fn workload<S: Read>(
    State(query): State<Query<S>>,
    RawQuery(asked): RawQuery,
) -> Shown {
    let asked = asked.as_deref();
    let of = Workload {
        cluster: name(asked, "cluster")?,
        namespace: name(asked, "namespace")?,
        name: name(asked, "name")?,
    };
    if of.name.is_empty() {
        return Err(Trouble::NoThing);
    }
    let filter = Filter {
        clusters: vec![of.cluster.clone()],
        namespaces: vec![of.namespace.clone()],
        workloads: vec![of.name.clone()],
        ..Filter::default()
    };
    let foreign = only(Filter {
        modes: FOREIGN.to_vec(),
        ..filter.clone()
    });
    let selection = only(filter);
    let by = [Dimension::Arch, Dimension::Mode];
    let kinds = query.summary(&selection, &by, SUMS).await?;
    // Each from memory: a store would look for native ones among all it has.
    let facts = query.facts(&foreign, Part::first(FACTS)).await?;
    let (native, are_more) = query.native_facts(of, FACTS.into()).await?;
    let events = query.events(&selection, &[], Part::first(SOME_EVENTS));
    let asked = Asked {
        coverage: kinds.coverage,
        kinds: kinds.told,
        is_cut: are_more || !facts.next.is_empty(),
        facts: [facts.told, native].concat(),
        events: events.await?.told,
    };
    let view = WorkloadView::new(&asked, SystemTime::now());
    shown(&view.ok_or(Trouble::NoThing)?)
}

#[derive(Template)]
#[template(path = "nodes.html")]
struct Nodes {
    frame: Frame,
    cover: Cover,
    rows: Vec<NodeRow>,
    is_first: bool,
    behind: String,
}

pub(crate) async fn nodes<S: Read>(
    State(query): State<Query<S>>,
    RawQuery(asked): RawQuery,
) -> Shown {
    let token = condition(asked.as_deref(), "after");
    let is_first = token.is_empty();
    let part = Part { size: NODES, token };
    let nodes = query.nodes(&[], part).await?;
    let now = SystemTime::now();
    let rows = nodes.told.iter().map(|node| NodeRow::new(node, now));
    shown(&Nodes {
        frame: Frame::new("Nodes", link::NODES),
        cover: Cover::new(&nodes.coverage),
        rows: rows.collect(),
        is_first,
        behind: following(link::NODES, &[], &nodes.next),
    })
}

pub(crate) async fn node<S: Read>(
    State(query): State<Query<S>>,
    RawQuery(asked): RawQuery,
) -> Shown {
    let asked = asked.as_deref();
    let (cluster, name) = (name(asked, "cluster")?, name(asked, "name")?);
    let nodes = query.nodes(&[&name], Part::first(NODES)).await?;
    let is_it = |node: &&archtrace_facts::fleet::NodeStatus| {
        node.cluster == cluster && node.state != NodeState::Unknown
    };
    let node = nodes.told.iter().find(is_it).ok_or(Trouble::NoThing)?;
    let of_node = Filter {
        clusters: vec![cluster],
        nodes: vec![name],
        ..Filter::default()
    };
    let foreign = only(Filter {
        modes: FOREIGN.to_vec(),
        ..of_node.clone()
    });
    let facts = query.facts(&foreign, Part::first(FACTS)).await?;
    let is_cut = !facts.next.is_empty() || facts.told.len() > usize::from(EVENTS);
    let facts = worst(facts.told, usize::from(EVENTS));
    let of_node = only(of_node);
    let events = query.events(&of_node, &[], Part::first(SOME_EVENTS));
    let events = events.await?.told;
    let agents = coverage::on(&query, &node.cluster, &node.info.name).await?;
    let heard = Heard {
        facts: &facts,
        is_cut,
        events: &events,
        agents: &agents,
    };
    shown(&NodeView::new(node, &heard, SystemTime::now()))
}

#[derive(Template)]
#[template(path = "events.html")]
struct Events {
    frame: Frame,
    cover: Cover,
    kinds: Vec<Choice>,
    rows: Vec<EventRow>,
    /// Where new ones come from; empty on pages of older ones.
    live: String,
    behind: String,
}

/// A choice of what is shown.
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) link: String,
    pub(crate) is_here: bool,
}

pub(crate) async fn events<S: Read>(
    State(query): State<Query<S>>,
    RawQuery(asked): RawQuery,
) -> Shown {
    let asked = asked.as_deref();
    let kind = kind(asked)?;
    let token = condition(asked, "after");
    let is_first = token.is_empty();
    let part = Part {
        size: EVENTS,
        token,
    };
    let now = SystemTime::now();
    let everything = Selection::default();
    let events = query.events(&everything, kind.as_slice(), part).await?;
    let kind = kind.unwrap_or_default();
    let same = ("kind", kind);
    let kinds = [""].into_iter().chain(Record::kinds());
    let kinds = kinds.map(|each| Choice {
        name: if each.is_empty() { "all" } else { each }.to_owned(),
        link: link::with(link::EVENTS, &[("kind", each)]),
        is_here: each == kind,
    });
    let since = crate::live::nanos(now).to_string();
    shown(&Events {
        frame: Frame::new("Events", link::EVENTS),
        cover: Cover::new(&events.coverage),
        kinds: kinds.collect(),
        rows: event_rows(&events.told, now),
        live: if is_first {
            link::with(link::LIVE, &[same, ("since", &since)])
        } else {
            String::new()
        },
        behind: following(link::EVENTS, &[same], &events.next),
    })
}

fn shown(page: &impl Template) -> Shown {
    match page.render() {
        Ok(text) => Ok(Html(text)),
        Err(error) => {
            tracing::error!(%error, "cannot print a page");
            Err(Trouble::Failed)
        }
    }
}

fn emulated_ones() -> Selection {
    only(Filter {
        modes: vec![Mode::Emulated],
        ..Filter::default()
    })
}

fn only(filter: Filter) -> Selection {
    Selection {
        allow: vec![filter],
        ..Selection::default()
    }
}

/// The most expensive, then those that failed, then the rest.
fn worst(mut facts: Vec<NodeFact>, most: usize) -> Vec<NodeFact> {
    facts.sort_by_key(|fact| std::cmp::Reverse((fact.fact.cpu_ns, fact.fact.key.mode)));
    facts.truncate(most);
    facts
}

/// The next part of a listing; nothing if there is none.
fn following(page: &str, conditions: &[(&str, &str)], token: &str) -> String {
    if token.is_empty() {
        return String::new();
    }
    link::with(page, &[conditions, &[("after", token)]].concat())
}

/// Which page is asked for, from 0 on.
fn page(asked: Option<&str>) -> Result<usize, Trouble> {
    match condition(asked, "page").as_str() {
        "" => Ok(0),
        number => number.parse().map_err(|_| Trouble::Nonsense),
    }
}

/// The name of something. A pattern is none: a page is about one thing.
fn name(asked: Option<&str>, what: &str) -> Result<String, Trouble> {
    match condition(asked, what) {
        pattern if pattern.contains('*') => Err(Trouble::NoThing),
        name => Ok(name),
    }
}

/// The kind of event that is asked for, if one is: in the words of this program.
pub(crate) fn kind(asked: Option<&str>) -> Result<Option<&'static str>, Trouble> {
    let asked = condition(asked, "kind");
    if asked.is_empty() {
        return Ok(None);
    }
    let known = Record::kinds().find(|kind| *kind == asked);
    known.map(Some).ok_or(Trouble::Nonsense)
}
