//! `archtrace emulated` and `archtrace facts`.

use std::cmp::Reverse;
use std::time::SystemTime;

use archtrace_facts::fact::Mode;
use archtrace_facts::fleet::{Filter, NodeFact};

use super::{filter, nothing, print};
use crate::args::{EmulatedArgs, FactsArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

pub(super) async fn emulated(
    client: &Client,
    output: Output,
    args: &EmulatedArgs,
) -> Result<(), Failure> {
    let facts = ask_emulated(client, args).await?;
    if facts.is_empty() {
        let running = if args.running { "running" } else { "seen" };
        let what = format!("emulated processes {running} {}", args.since.words());
        return nothing(client, &what, &args.place.nodes).await;
    }
    print(&show::facts(&facts, output, show::Columns::Emulated))
}

/// Those that were seen last come first.
pub(super) async fn ask_emulated(
    client: &Client,
    args: &EmulatedArgs,
) -> Result<Vec<NodeFact>, Failure> {
    let EmulatedArgs {
        place,
        arch,
        since,
        running,
        watch: _,
    } = args;
    let since = since.at(SystemTime::now());
    let filter = Filter {
        modes: vec![Mode::Emulated],
        since,
        ..filter(place, arch)
    };
    ask(client, &filter, *running).await
}

pub(super) async fn facts(
    client: &Client,
    output: Output,
    args: &FactsArgs,
) -> Result<(), Failure> {
    let FactsArgs {
        place,
        arch,
        modes,
        since,
        running,
    } = args;
    let at = since.at(SystemTime::now());
    let filter = Filter {
        modes: modes.clone(),
        since: at,
        ..filter(place, arch)
    };
    let facts = ask(client, &filter, *running).await?;
    if facts.is_empty() {
        return nothing(
            client,
            &format!("such facts {}", since.words()),
            &place.nodes,
        )
        .await;
    }
    print(&show::facts(&facts, output, show::Columns::Facts))
}

async fn ask(client: &Client, filter: &Filter, running: bool) -> Result<Vec<NodeFact>, Failure> {
    let mut facts = client.facts(filter, running).await?;
    facts.sort_by_cached_key(|fact| Reverse(fact.fact.last_seen));
    Ok(facts)
}
