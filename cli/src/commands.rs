//! What each command asks and prints.

mod doctor;
mod events;
mod facts;
mod nodes;
mod status;
mod watch;

use std::io::{self, Write as _};

use archtrace_facts::fleet::{Filter, NodeState};

use crate::args::{ArchArgs, Args, Command, Place};
use crate::client::Client;
use crate::failure::Failure;

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let Args {
        server,
        output,
        command,
    } = args;
    if let Command::Emulated(args) = &command
        && let Some(interval) = args.watch
    {
        return watch::emulated(&server, output, args, interval).await;
    }
    let client = match command {
        // The one command that asks this machine, and no collector.
        Command::Doctor => return doctor::doctor(output),
        _ => Client::connect(&server).await?,
    };
    match command {
        Command::Doctor => doctor::doctor(output),
        Command::Emulated(args) => facts::emulated(&client, output, &args).await,
        Command::Facts(args) => facts::facts(&client, output, &args).await,
        Command::Events(args) => events::events(&client, output, &args).await,
        Command::Nodes(args) => nodes::nodes(&client, output, &args).await,
        Command::Status => status::status(&client, &server, output).await,
    }
}

/// Prints at once, so that a failure leaves no half of an answer.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

fn filter(place: &Place, ArchArgs { archs }: &ArchArgs) -> Filter {
    let Place {
        nodes,
        namespaces,
        pods,
    } = place;
    Filter {
        nodes: nodes.clone(),
        namespaces: namespaces.clone(),
        pods: pods.clone(),
        archs: archs.clone(),
        ..Filter::default()
    }
}

/// Says that there is nothing to print, and how much that means: nothing from a node that does
/// not report is not the same as nothing.
async fn nothing(client: &Client, what: &str, nodes: &[String]) -> Result<(), Failure> {
    let known = client.nodes(nodes).await?;
    let stale = known
        .iter()
        .filter(|node| node.state == NodeState::Stale)
        .count();
    match (known.len(), stale) {
        (0, _) if nodes.is_empty() => eprintln!(
            "no node has reported to this collector yet; start archtrace-agent --collector URL on one"
        ),
        (0, _) => eprintln!("no node of that name has reported to this collector"),
        (all, 0) => eprintln!("no {what} on {all} node(s)"),
        (all, stale) => {
            eprintln!(
                "no {what} on {all} node(s), of which {stale} do(es) not report at the moment"
            );
        }
    }
    Ok(())
}
