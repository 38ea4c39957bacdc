//! `archtrace emulated --watch`: the same table, again and again.

use std::io::IsTerminal as _;
use std::time::Duration;

use archtrace_facts::fleet::NodeFact;
use tokio::time::{MissedTickBehavior, interval};

use super::facts::ask_emulated;
use super::screen::{HiddenCursor, frame};
use super::stop::Stop;
use super::{print, warn};
use crate::args::{Connection, EmulatedArgs, Output};
use crate::client::{Answer, Client};
use crate::failure::Failure;
use crate::show;

/// Asks until it is interrupted. A collector that is away is waited for.
pub(super) async fn emulated(
    connection: &Connection,
    output: Output,
    args: &EmulatedArgs,
    every: Duration,
) -> Result<(), Failure> {
    let live = std::io::stdout().is_terminal() && output != Output::Json;
    let mut stop = Stop::new()?;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let _cursor = live.then(HiddenCursor::hide);
    let mut client = None;
    let mut warned = None;
    loop {
        tokio::select! {
            () = stop.wanted() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let answer = tokio::select! {
            () = stop.wanted() => return Ok(()),
            answer = ask(&mut client, connection, args) => answer,
        };
        match answer {
            Ok(answer) => {
                let mut table = if answer.told.is_empty() && output != Output::Json {
                    format!("no emulated processes {}\n", args.since.words())
                } else {
                    show::facts(&answer, output, show::Kind::Emulated)
                };
                if live {
                    for line in show::warnings(&answer.coverage) {
                        table.push_str(&format!("warning: {line}\n"));
                    }
                } else if warned.as_ref() != Some(&answer.coverage) {
                    warn(&answer.coverage);
                    warned = Some(answer.coverage);
                }
                print(&if live { frame(&table) } else { table })?;
            }
            Err(failure) if failure.is_passing() => {
                client = None;
                let told = format!("{failure}\nTrying again.\n");
                if live {
                    print(&frame(&told))?;
                } else {
                    eprint!("archtrace: {told}");
                }
            }
            Err(failure) => return Err(failure),
        }
    }
}

async fn ask(
    client: &mut Option<Client>,
    connection: &Connection,
    args: &EmulatedArgs,
) -> Result<Answer<Vec<NodeFact>>, Failure> {
    let client = match client {
        Some(client) => client,
        None => client.insert(Client::connect(connection).await?),
    };
    ask_emulated(client, args).await
}
