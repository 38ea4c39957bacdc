//! `archtrace top`: what runs emulated now, the most expensive first, until somebody has seen enough.
//!
//! | module | what |
//! |---|---|
//! | `model` | what is known, what is shown of it, and what keys do: pure |
//! | `draw` | the model on a screen |
//! | `screen` | the terminal, which is left as it was |

mod draw;
mod model;
mod screen;

use std::io::IsTerminal as _;
use std::time::{Duration, Instant, SystemTime};

use archtrace_facts::fact::Mode;
use archtrace_facts::select::Selection;
use crossterm::event::{Event, EventStream};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_stream::StreamExt as _;

use super::batch::batch;
use super::stop::Stop;
use crate::args::{Connection, Output, TopArgs};
use crate::client::{Client, Peer};
use crate::failure::Failure;
use draw::{Theme, draw};
use model::{Key, Model};
use screen::Screen;

/// How long to wait until whoever is away is asked again.
const WAIT: Duration = Duration::from_secs(1);

/// Shows until a key, a signal, or something that trying again does not mend ends it.
pub(super) async fn top(
    connection: &Connection,
    client: Client,
    output: Output,
    args: &TopArgs,
) -> Result<(), Failure> {
    let TopArgs {
        conditions,
        interval: every,
    } = args;
    if output == Output::Json {
        return Err(option(
            "-o",
            "top draws on a terminal; for programs there is archtrace facts --watch -o json",
        ));
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(option(
            "top",
            "it draws on a terminal, and this is none; archtrace emulated --watch prints lines",
        ));
    }
    let selection = conditions.selection(|allow| allow.modes = vec![Mode::Emulated]);
    let peer = client.peer().clone();
    let mut stop = Stop::new()?;
    let mut top = Top {
        model: Model::new(peer.to_string(), matches!(peer, Peer::Collector(_))),
        screen: Screen::enter()?,
        theme: Theme::of_environment(),
        started: Instant::now(),
    };
    tokio::select! {
        () = stop.wanted() => Ok(()),
        ended = top.run(connection, client, &selection, *every) => ended,
    }
}

fn option(name: &'static str, reason: &str) -> Failure {
    Failure::Option {
        name,
        reason: reason.to_owned(),
    }
}

struct Top {
    model: Model,
    screen: Screen,
    theme: Theme,
    started: Instant,
}

impl Top {
    async fn run(
        &mut self,
        connection: &Connection,
        client: Client,
        selection: &Selection,
        every: Duration,
    ) -> Result<(), Failure> {
        let mut keys = EventStream::new();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (sender, mut told) = tokio::sync::mpsc::channel(1);
        let telling = follow(connection, client, selection, &sender);
        tokio::pin!(telling);
        self.draw()?;
        loop {
            tokio::select! {
                ended = &mut telling => return ended,
                Some(news) = told.recv() => match news {
                    News::Updates(updates) => self.model.take(updates),
                    News::Away(why) => {
                        self.model.away(why);
                        self.draw()?;
                    }
                },
                _ = ticks.tick() => {
                    self.model.tick(self.started.elapsed());
                    self.draw()?;
                }
                event = keys.next() => match event {
                    Some(Ok(event)) => {
                        if self.heard(&event) {
                            return Ok(());
                        }
                        self.draw()?;
                    }
                    Some(Err(error)) => return Err(error.into()),
                    // Nobody is at the keyboard any more.
                    None => return Ok(()),
                },
            }
        }
    }

    /// What somebody did; whether they have seen enough.
    fn heard(&mut self, event: &Event) -> bool {
        let Event::Key(key) = event else {
            // Such as another size: it is drawn again.
            return false;
        };
        match Key::of(*key) {
            Some(Key::Quit) => true,
            Some(key) => {
                self.model.press(key);
                false
            }
            None => false,
        }
    }

    fn draw(&mut self) -> Result<(), Failure> {
        let Self {
            model,
            screen,
            theme,
            ..
        } = self;
        let now = SystemTime::now();
        screen.draw(|frame| draw(frame, model, *theme, now))?;
        Ok(())
    }
}

/// What comes from the other side.
enum News {
    Updates(Vec<archtrace_facts::fleet::FactUpdate>),
    /// Nothing, and why; it is asked again.
    Away(String),
}

/// Tells what changes, for ever; ends where trying again would not help.
async fn follow(
    connection: &Connection,
    client: Client,
    selection: &Selection,
    news: &tokio::sync::mpsc::Sender<News>,
) -> Result<(), Failure> {
    let mut client = Some(client);
    loop {
        let ended = async {
            let client = match client.take() {
                Some(client) => client,
                None => Client::connect(connection).await?,
            };
            let mut updates = client.watch_facts(selection).await?;
            loop {
                let mut came = Vec::new();
                let ended = batch(&mut updates, &mut came).await;
                // Whoever listens runs this.
                let _ = news.send(News::Updates(came)).await;
                if let Some(ended) = ended {
                    return ended;
                }
            }
        };
        let why = match ended.await {
            Ok(()) => "the other side ended the stream".to_owned(),
            Err(failure) if failure.is_passing() => failure.to_string(),
            Err(failure) => return Err(failure),
        };
        let why = why.lines().next().unwrap_or_default().to_owned();
        let _ = news.send(News::Away(why)).await;
        sleep(WAIT).await;
    }
}
