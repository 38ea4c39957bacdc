//! `archtrace facts --watch`: what is there, then what changes.

use std::cmp::Reverse;
use std::io::IsTerminal as _;
use std::time::{Duration, SystemTime};

use archtrace_facts::fleet::{Coverage, FactUpdate, NodeFact};
use archtrace_facts::select::{Expr, Field, NumberField, Op, Selection, Value};
use tokio::time::{MissedTickBehavior, interval};

use super::batch::batch;
use super::known::Known;
use super::resume::Resume;
use super::screen::{HiddenCursor, frame};
use super::stop::Stop;
use super::{print, warn};
use crate::args::{Connection, FactsArgs, Output};
use crate::client::{Answer, Client};
use crate::failure::Failure;
use crate::show::{self, Change, FactLines};

/// How often a terminal is drawn: ages go on where nothing else does.
const DRAW: Duration = Duration::from_millis(500);

/// Watches until somebody has seen enough.
pub(super) async fn facts(
    connection: &Connection,
    output: Output,
    args: &FactsArgs,
) -> Result<(), Failure> {
    let FactsArgs {
        conditions,
        since,
        history: _,
        running,
        watch: _,
    } = args;
    let mut selection = conditions.selection(|allow| allow.since = since.at(SystemTime::now()));
    if *running {
        require_running(&mut selection);
    }
    let on_screen = std::io::stdout().is_terminal() && output != Output::Json;
    let mut stop = Stop::new()?;
    let _cursor = on_screen.then(HiddenCursor::hide);
    let mut watch = Watch {
        known: Known::default(),
        coverage: Coverage::default(),
        lines: (!on_screen).then(|| FactLines::new(output)),
        output,
    };
    let mut resume = Resume::new();
    let watch = async {
        loop {
            let ended = watch.stream(connection, &selection, &mut resume).await;
            resume.after(ended).await?;
        }
    };
    tokio::select! {
        () = stop.wanted() => Ok(()),
        ended = watch => ended,
    }
}

fn require_running(selection: &mut Selection) {
    let alive = Expr::Compare(
        Field::Number(NumberField::Processes),
        Op::GreaterOrEqual,
        Value::Number(1),
    );
    selection.expression = Some(match selection.expression.take() {
        Some(expression) => Expr::And(vec![expression, alive]),
        None => alive,
    });
}

/// What is there, and how it is shown.
struct Watch {
    known: Known,
    coverage: Coverage,
    /// `None` on a terminal, where a table is drawn.
    lines: Option<FactLines>,
    output: Output,
}

impl Watch {
    /// One stream, to its end.
    async fn stream(
        &mut self,
        connection: &Connection,
        selection: &Selection,
        resume: &mut Resume,
    ) -> Result<(), Failure> {
        let client = Client::connect(connection).await?;
        let mut updates = client.watch_facts(selection).await?;
        resume.works();
        self.known.begin();
        let mut came = Vec::new();
        let mut ticks = interval(DRAW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = batch(&mut updates, &mut came) => {
                    self.take(std::mem::take(&mut came))?;
                    if let Some(ended) = ended {
                        return ended;
                    }
                }
                _ = ticks.tick(), if self.lines.is_none() => self.draw()?,
            }
        }
    }

    fn take(&mut self, updates: Vec<FactUpdate>) -> Result<(), Failure> {
        let mut text = String::new();
        let mut changes = Vec::new();
        for update in updates {
            match update {
                FactUpdate::Upsert(fact) => changes.extend(self.known.upsert(*fact)),
                FactUpdate::Removed(name) => changes.extend(self.known.remove(&name)),
                FactUpdate::SnapshotBegin(reason) => {
                    self.known.begin();
                    text.push_str(&self.changed(&mut changes));
                    text.push_str(&self.note(|lines| lines.snapshot_begin(&reason)));
                }
                FactUpdate::SnapshotEnd(facts) => {
                    changes.extend(self.known.end());
                    text.push_str(&self.changed(&mut changes));
                    text.push_str(&self.note(|lines| lines.snapshot_end(facts)));
                }
                FactUpdate::Coverage(coverage) => {
                    text.push_str(&self.changed(&mut changes));
                    if let Some(lines) = &self.lines {
                        match lines.coverage(&coverage) {
                            Some(line) => text.push_str(&line),
                            None if coverage == self.coverage => {}
                            None => warn(&coverage),
                        }
                    }
                    self.coverage = coverage;
                }
            }
        }
        text.push_str(&self.changed(&mut changes));
        print(&text)
    }

    fn changed(&mut self, changes: &mut Vec<(Change, NodeFact)>) -> String {
        let changes = std::mem::take(changes);
        match &mut self.lines {
            Some(lines) if !changes.is_empty() => lines.changes(&changes),
            _ => String::new(),
        }
    }

    fn note(&self, note: impl FnOnce(&FactLines) -> String) -> String {
        self.lines.as_ref().map_or(String::new(), note)
    }

    fn draw(&self) -> Result<(), Failure> {
        let mut told: Vec<_> = self.known.facts().cloned().collect();
        told.sort_by_key(|fact| Reverse(fact.fact.last_seen));
        let answer = Answer {
            told,
            coverage: self.coverage.clone(),
        };
        let mut table = show::facts(&answer, self.output, show::Kind::Facts);
        for line in show::warnings(&self.coverage) {
            table.push_str(&format!("warning: {line}\n"));
        }
        print(&frame(&table))
    }
}
