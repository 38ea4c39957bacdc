//! `archtrace emulated` and `archtrace facts`.

use std::cmp::Reverse;
use std::time::SystemTime;

use archtrace_facts::fact::Mode;
use archtrace_facts::fleet::NodeFact;
use archtrace_facts::select::Selection;

use super::tell;
use crate::args::{EmulatedArgs, FactsArgs, Output};
use crate::client::{Answer, Client};
use crate::failure::Failure;
use crate::show;

pub(super) async fn emulated(
    client: &Client,
    output: Output,
    args: &EmulatedArgs,
) -> Result<(), Failure> {
    let facts = ask_emulated(client, args).await?;
    let running = if args.running { "running" } else { "seen" };
    let what = || format!("emulated processes {running} {}", args.since.words());
    tell(client, &facts, args.conditions.nodes(), what, |facts| {
        show::facts(facts, output, show::Kind::Emulated)
    })
    .await
}

/// Those that were seen last come first.
pub(super) async fn ask_emulated(
    client: &Client,
    args: &EmulatedArgs,
) -> Result<Answer<Vec<NodeFact>>, Failure> {
    let EmulatedArgs {
        conditions,
        since,
        running,
        watch: _,
    } = args;
    let selection = conditions.selection(|allow| {
        allow.modes.push(Mode::Emulated);
        allow.since = since.at(SystemTime::now());
    });
    // Of pods that are gone too: what ran emulated is asked for, not what is there.
    ask(client, &selection, *running, true).await
}

pub(super) async fn facts(
    client: &Client,
    output: Output,
    args: &FactsArgs,
) -> Result<(), Failure> {
    let FactsArgs {
        conditions,
        since,
        history,
        running,
        watch: _,
    } = args;
    let selection = conditions.selection(|allow| allow.since = since.at(SystemTime::now()));
    let facts = ask(client, &selection, *running, *history).await?;
    let what = || format!("such facts {}", since.words());
    tell(client, &facts, conditions.nodes(), what, |facts| {
        show::facts(facts, output, show::Kind::Facts)
    })
    .await
}

async fn ask(
    client: &Client,
    selection: &Selection,
    running: bool,
    history: bool,
) -> Result<Answer<Vec<NodeFact>>, Failure> {
    let mut facts = client.facts(selection, running, history).await?;
    facts
        .told
        .sort_by_cached_key(|fact| Reverse(fact.fact.last_seen));
    Ok(facts)
}
