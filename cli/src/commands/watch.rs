//! `archtrace emulated --watch`: the same table, again and again.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::facts::ask_emulated;
use super::print;
use crate::args::{EmulatedArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

/// Asks until it is interrupted. A collector that is away is waited for.
pub(super) async fn emulated(
    server: &str,
    output: Output,
    args: &EmulatedArgs,
    every: Duration,
) -> Result<(), Failure> {
    let live = std::io::stdout().is_terminal() && output != Output::Json;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let _cursor = live.then(HiddenCursor::hide);
    let mut client = None;
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let answer = tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            answer = ask(&mut client, server, args) => answer,
        };
        match answer {
            Ok(facts) => {
                let table = if facts.is_empty() && output != Output::Json {
                    format!("no emulated processes {}\n", args.since.words())
                } else {
                    show::facts(&facts, output, show::Columns::Emulated)
                };
                print(&if live { frame(&table) } else { table })?;
            }
            Err(failure @ Failure::Unreachable { .. }) => {
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
    server: &str,
    args: &EmulatedArgs,
) -> Result<Vec<archtrace_facts::fleet::NodeFact>, Failure> {
    let client = match client {
        Some(client) => client,
        None => client.insert(Client::connect(server).await?),
    };
    ask_emulated(client, args).await
}

/// One picture: drawn over the last one line by line, in a single write, so that nothing flickers.
fn frame(text: &str) -> String {
    let height = terminal_size::terminal_size().map_or(usize::MAX, |(_, height)| height.0.into());
    // One line for the title, one for what was left out, one for the cursor.
    let room = height.saturating_sub(3);
    // ECMA-48: cursor to the top left; erase to the end of the line; erase what is below.
    let mut frame = format!("\x1b[H{}  (Ctrl-C ends)\x1b[K\n", show::human::utc_now());
    for line in text.lines().take(room) {
        // Writing to a String cannot fail.
        let _ = writeln!(frame, "{line}\x1b[K");
    }
    let left_out = text.lines().count().saturating_sub(room);
    if left_out > 0 {
        let _ = writeln!(frame, "... and {left_out} more line(s)\x1b[K");
    }
    frame.push_str("\x1b[J");
    frame
}

/// Hides the cursor and clears the screen; shows the cursor again when dropped.
struct HiddenCursor;

impl HiddenCursor {
    fn hide() -> Self {
        // If the terminal is gone, the next picture fails.
        let _ = print("\x1b[?25l\x1b[2J");
        Self
    }
}

impl Drop for HiddenCursor {
    fn drop(&mut self) {
        let _ = print("\x1b[?25h");
    }
}
