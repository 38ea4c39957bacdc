//! What each command asks and prints.

mod doctor;
mod events;
mod facts;
mod images;
mod nodes;
mod scan;
mod status;
mod watch;

use std::io::{self, Write as _};
use std::process::ExitCode;

use archtrace_facts::fleet::{Filter, NodeState};

use crate::args::{ArchArgs, Args, Command, Output, Place, Question};
use crate::client::Client;
use crate::failure::Failure;

/// Runs the command, and says how well it went.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args {
        server,
        format,
        command,
    } = args;
    let output = || format.output().ok_or(Failure::Format);
    match command {
        Command::Ask(question) => ask(&server, output()?, question).await?,
        Command::Doctor => doctor::doctor(output()?)?,
        Command::Scan(args) => return scan::scan(&args, format).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(server: &str, output: Output, question: Question) -> Result<(), Failure> {
    if let Question::Emulated(args) = &question
        && let Some(interval) = args.watch
    {
        // It outlives the collector it started with.
        return watch::emulated(server, output, args, interval).await;
    }
    let client = Client::connect(server).await?;
    match question {
        Question::Emulated(args) => facts::emulated(&client, output, &args).await,
        Question::Facts(args) => facts::facts(&client, output, &args).await,
        Question::Events(args) => events::events(&client, output, &args).await,
        Question::Images(args) => images::images(&client, output, &args).await,
        Question::Nodes(args) => nodes::nodes(&client, output, &args).await,
        Question::Status => status::status(&client, server, output).await,
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
