//! What is known of emulated processes, what is shown of it, and what keys do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use archtrace_facts::fleet::{Coverage, FactUpdate, NodeFact, RemovedFact};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

#[derive(Debug)]
pub(super) struct Model {
    /// Who is asked.
    pub(super) peer: String,
    /// Whether there may be several nodes.
    pub(super) is_fleet: bool,
    known: BTreeMap<RemovedFact, Known>,
    /// Snapshots so far; what the last one did not name is gone.
    round: u64,
    /// CPU time of each fact at the last refresh, and when that was.
    before: HashMap<RemovedFact, u64>,
    refreshed: Option<Duration>,
    /// What is shown, in order.
    pub(super) rows: Vec<Row>,
    pub(super) order: Order,
    chosen: Option<RemovedFact>,
    pub(super) is_paused: bool,
    pub(super) has_details: bool,
    /// Whether everything was told once.
    pub(super) is_complete: bool,
    pub(super) coverage: Coverage,
    /// Why nothing is heard at the moment.
    pub(super) away: Option<String>,
}

#[derive(Debug)]
struct Known {
    fact: NodeFact,
    round: u64,
}

/// A binary in one container that runs now, or ran since the last refresh.
#[derive(Clone, Debug)]
pub(super) struct Row {
    name: RemovedFact,
    pub(super) fact: NodeFact,
    /// CPUs that it took since the last refresh; `None` if it was not known then.
    pub(super) rate: Option<f64>,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    Rate,
    Cpu,
    Alive,
    Name,
}

impl Order {
    fn next(self) -> Self {
        match self {
            Self::Rate => Self::Cpu,
            Self::Cpu => Self::Alive,
            Self::Alive => Self::Name,
            Self::Name => Self::Rate,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "CPU rate",
            Self::Cpu => "CPU time",
            Self::Alive => "processes alive",
            Self::Name => "name",
        }
    }
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Back,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Sort,
    Pause,
    Details,
}

impl Key {
    pub(super) fn of(event: KeyEvent) -> Option<Self> {
        let KeyEvent {
            code,
            modifiers,
            kind,
            ..
        } = event;
        if kind == KeyEventKind::Release {
            return None;
        }
        if modifiers.contains(KeyModifiers::CONTROL) {
            // In raw mode they are no signals.
            return matches!(code, KeyCode::Char('c' | 'd')).then_some(Self::Quit);
        }
        Some(match code {
            KeyCode::Char('q') => Self::Quit,
            KeyCode::Esc => Self::Back,
            KeyCode::Up | KeyCode::Char('k') => Self::Up,
            KeyCode::Down | KeyCode::Char('j') => Self::Down,
            KeyCode::PageUp => Self::PageUp,
            KeyCode::PageDown => Self::PageDown,
            KeyCode::Home | KeyCode::Char('g') => Self::First,
            KeyCode::End | KeyCode::Char('G') => Self::Last,
            KeyCode::Char('s') => Self::Sort,
            KeyCode::Char('p' | ' ') => Self::Pause,
            KeyCode::Enter => Self::Details,
            _ => return None,
        })
    }
}

/// Rows that a page moves by.
const PAGE: isize = 10;

impl Model {
    pub(super) fn new(peer: String, is_fleet: bool) -> Self {
        Self {
            peer,
            is_fleet,
            known: BTreeMap::new(),
            round: 0,
            before: HashMap::new(),
            refreshed: None,
            rows: Vec::new(),
            order: Order::default(),
            chosen: None,
            is_paused: false,
            has_details: false,
            is_complete: false,
            coverage: Coverage::default(),
            away: None,
        }
    }

    /// Takes in what changed; it is shown with the next refresh.
    pub(super) fn take(&mut self, updates: Vec<FactUpdate>) {
        for update in updates {
            self.away = None;
            match update {
                FactUpdate::Upsert(fact) => {
                    let known = Known {
                        fact: *fact,
                        round: self.round,
                    };
                    self.known.insert(name(&known.fact), known);
                }
                FactUpdate::Removed(name) => drop(self.known.remove(&name)),
                FactUpdate::SnapshotBegin(_) => self.round += 1,
                FactUpdate::SnapshotEnd(_) => {
                    let round = self.round;
                    self.known.retain(|_, known| known.round == round);
                    self.is_complete = true;
                }
                FactUpdate::Coverage(coverage) => self.coverage = coverage,
            }
        }
    }

    /// Nothing is heard at the moment.
    pub(super) fn away(&mut self, why: String) {
        self.away = Some(why);
    }

    /// A refresh at this time: what is shown is what was told until now. While it is paused, nothing
    /// changes, and the next rates are over all that time.
    pub(super) fn tick(&mut self, now: Duration) {
        if self.is_paused {
            return;
        }
        let span = self.refreshed.map(|before| now.saturating_sub(before));
        let rows = self.known.iter().filter_map(|(name, known)| {
            let fact = &known.fact;
            let before = self.before.get(name).copied();
            let rate = rate(before, fact.fact.cpu_ns, span);
            // What came and went in between is shown, too.
            let runs = fact.fact.processes > 0 || rate.is_some_and(|rate| rate > 0.0);
            runs.then(|| Row {
                name: name.clone(),
                fact: fact.clone(),
                rate,
            })
        });
        self.rows = rows.collect();
        let cpu = |known: &Known| known.fact.fact.cpu_ns;
        let before = self
            .known
            .iter()
            .map(|(name, known)| (name.clone(), cpu(known)));
        self.before = before.collect();
        self.refreshed = Some(now);
        self.sort();
    }

    pub(super) fn press(&mut self, key: Key) {
        match key {
            // Whoever runs it ends it.
            Key::Quit => {}
            Key::Back => self.has_details = false,
            Key::Up => self.move_by(-1),
            Key::Down => self.move_by(1),
            Key::PageUp => self.move_by(-PAGE),
            Key::PageDown => self.move_by(PAGE),
            Key::First => self.move_by(isize::MIN),
            Key::Last => self.move_by(isize::MAX),
            Key::Sort => {
                self.order = self.order.next();
                self.sort();
            }
            Key::Pause => self.is_paused = !self.is_paused,
            Key::Details => {
                // Of the first, where none is chosen yet.
                let is_new = self.chosen().is_none();
                if is_new {
                    self.move_by(0);
                }
                self.has_details = is_new || !self.has_details;
            }
        }
    }

    /// The row that is chosen: always the same thing, wherever it moves to.
    pub(super) fn chosen(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        self.rows.iter().position(|row| row.name == *chosen)
    }

    /// CPUs that all rows took since the last refresh, and their processes.
    pub(super) fn totals(&self) -> (f64, u64) {
        let rates = self.rows.iter().filter_map(|row| row.rate);
        let alive = self.rows.iter().map(|row| row.fact.fact.processes);
        // The sum of nothing would be -0.
        let rate = rates.fold(0.0, |sum, rate| sum + rate);
        (rate, alive.fold(0, u64::saturating_add))
    }

    fn move_by(&mut self, rows: isize) {
        let last = self.rows.len().saturating_sub(1);
        let to = match self.chosen() {
            Some(at) => at.saturating_add_signed(rows).min(last),
            None if rows > PAGE => last,
            None => 0,
        };
        self.chosen = self.rows.get(to).map(|row| row.name.clone());
    }

    fn sort(&mut self) {
        let order = self.order;
        // By name first: it decides among equals.
        self.rows.sort_by(|a, b| a.name.cmp(&b.name));
        match order {
            Order::Rate => self.rows.sort_by(|a, b| {
                let rate = |row: &Row| row.rate.unwrap_or_default();
                let cpu = |row: &Row| row.fact.fact.cpu_ns;
                let by_rate = rate(b).total_cmp(&rate(a));
                by_rate.then_with(|| cpu(b).cmp(&cpu(a)))
            }),
            Order::Cpu => self.rows.sort_by_key(|row| Reverse(row.fact.fact.cpu_ns)),
            Order::Alive => self
                .rows
                .sort_by_key(|row| Reverse(row.fact.fact.processes)),
            Order::Name => self.rows.sort_by_cached_key(|row| {
                let fact = &row.fact;
                (fact.identity.place(), fact.fact.key.binary.clone())
            }),
        }
    }
}

fn name(fact: &NodeFact) -> RemovedFact {
    RemovedFact {
        cluster: fact.cluster.clone(),
        node: fact.node.clone(),
        id: fact.fact.key.id(),
    }
}

/// CPUs taken over a span; `None` where there is nothing to compare with. An agent that starts again
/// does not count backwards, but a store that is put back to an older copy does.
fn rate(before: Option<u64>, now: u64, span: Option<Duration>) -> Option<f64> {
    let span = span.filter(|span| !span.is_zero())?;
    let taken = now.checked_sub(before?)?;
    Some(Duration::from_nanos(taken).as_secs_f64() / span.as_secs_f64())
}

#[cfg(test)]
pub(super) mod tests;
