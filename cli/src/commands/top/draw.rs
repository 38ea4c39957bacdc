//! The model on a screen of any size; it is made for 80 columns and 24 lines.

use std::time::{Duration, SystemTime};

use archtrace_facts::fact::Via;
use archtrace_facts::fleet::NodeFact;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, TableState};

use super::model::{Model, Row as Known};
use crate::show::human::{age, count, duration};
use crate::show::warnings;

/// How things look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    pub(super) colour: bool,
}

impl Theme {
    /// Without colour if `NO_COLOR` says so (<https://no-color.org>: any value but the empty one).
    pub(super) fn of_environment() -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colour }
    }

    fn colour(self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }
}

/// A whole CPU: from here on it is worth a look.
const BUSY: f64 = 1.0;

/// Lines for warnings: one of stale, one of unknown nodes, and one if nobody is heard.
const WARNINGS: usize = 3;

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme, now: SystemTime) {
    let mut notes = warnings(&model.coverage);
    // What is known first: the rest may not fit.
    let away = model.away.as_ref();
    notes.extend(away.map(|why| format!("trying again: {why}")));
    notes.truncate(WARNINGS);
    let notes_height = u16::try_from(notes.len()).unwrap_or(u16::MAX);
    let [head, warned, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(notes_height),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(title(model), head);
    let warning = theme.colour(Color::Yellow);
    let notes = notes.into_iter().map(|note| Line::styled(note, warning));
    frame.render_widget(Paragraph::new(notes.collect::<Vec<_>>()), warned);
    if model.rows.is_empty() {
        frame.render_widget(Paragraph::new(nothing(model)), body);
    } else {
        table(frame, body, model, theme);
    }
    if let Some(row) = model.chosen().and_then(|at| model.rows.get(at))
        && model.has_details
    {
        details(frame, body, &row.fact, now);
    }
    frame.render_widget(help(model), keys);
}

fn title(model: &Model) -> Line<'_> {
    let (rate, alive) = model.totals();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let paused = if model.is_paused { "PAUSED  " } else { "" };
    Line::from(vec![
        Span::styled("archtrace top  ", bold),
        Span::styled(paused, bold),
        Span::raw(format!(
            "{} emulated, {} alive, {rate:.2} CPUs  ",
            count(u64::try_from(model.rows.len()).unwrap_or(u64::MAX)),
            count(alive),
        )),
        Span::raw(&model.peer),
    ])
}

fn nothing(model: &Model) -> &'static str {
    if model.is_complete {
        "Nothing runs emulated."
    } else {
        "Waiting for the first answer."
    }
}

fn table(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let mut head = vec![
        right("CPU%"),
        right("TIME"),
        right("ALIVE"),
        Cell::new("ARCH"),
    ];
    let mut widths = vec![
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(5),
        Constraint::Length(7),
    ];
    if model.is_fleet {
        head.push(Cell::new("NODE"));
        widths.push(Constraint::Max(16));
    }
    head.extend([Cell::new("POD OR UNIT"), Cell::new("BINARY")]);
    widths.extend([Constraint::Fill(4), Constraint::Fill(3)]);
    // What a column gets is known before it is filled: the ends of paths matter most.
    let columns = Layout::horizontal(widths.clone()).spacing(1).split(area);
    let last = columns.last().map_or(0, |column| column.width);
    let rows = model.rows.iter().map(|row| cells(row, model, theme, last));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let table = Table::new(rows, widths)
        .header(Row::new(head).style(bold))
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(model.chosen());
    frame.render_stateful_widget(table, area, &mut state);
}

fn cells<'a>(row: &'a Known, model: &Model, theme: Theme, width: u16) -> Row<'a> {
    let NodeFact {
        node,
        fact,
        identity,
        ..
    } = &row.fact;
    let rate = match row.rate {
        Some(rate) => format!("{:.1}", rate * 100.0),
        None => "-".to_owned(),
    };
    let busy = row.rate.is_some_and(|rate| rate >= BUSY);
    let style = if busy {
        theme.colour(Color::Red)
    } else {
        Style::new()
    };
    let mut cells = vec![
        right(rate).style(style),
        right(short(Duration::from_nanos(fact.cpu_ns))),
        right(count(fact.processes)),
        Cell::new(fact.key.arch.to_string()),
    ];
    if model.is_fleet {
        cells.push(Cell::new(node.as_str()));
    }
    let place = match identity.place() {
        place if place.is_empty() => fact.key.cgroup.clone(),
        place => place,
    };
    cells.push(Cell::new(place));
    cells.push(Cell::new(end_of(&fact.key.shown_binary(), width)));
    Row::new(cells)
}

fn right<'a>(text: impl Into<std::borrow::Cow<'a, str>>) -> Cell<'a> {
    Cell::new(Line::raw(text).right_aligned())
}

/// `2h 03m` without its space: columns are narrow.
fn short(time: Duration) -> String {
    duration(time).replace(' ', "")
}

/// The last characters of a path, as many as fit; names of that are wider than one column each are cut
/// by the terminal.
fn end_of(text: &str, width: u16) -> String {
    let width = usize::from(width);
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let skip = length - width.saturating_sub(1);
    let end: String = text.chars().skip(skip).collect();
    format!("…{end}")
}

/// Everything of one row, in front of the table.
fn details(frame: &mut Frame<'_>, area: Rect, value: &NodeFact, now: SystemTime) {
    let NodeFact {
        cluster,
        node,
        node_arch,
        fact,
        identity,
        ..
    } = value;
    let node = if cluster.is_empty() {
        format!("{node} ({node_arch})")
    } else {
        format!("{cluster}/{node} ({node_arch})")
    };
    let emulator = fact.key.emulator.clone().unwrap_or_default();
    let lines = [
        ("node", node),
        ("pod or unit", identity.place()),
        ("workload", identity.workload.clone()),
        ("image", identity.image.clone()),
        ("cgroup", fact.key.cgroup.clone()),
        ("binary", fact.key.shown_binary()),
        ("arch", fact.key.arch.to_string()),
        ("emulator", emulator),
        ("via", fact.key.via.map_or("", Via::as_str).to_owned()),
        ("execs", count(fact.count)),
        ("alive", count(fact.processes)),
        ("CPU time", duration(Duration::from_nanos(fact.cpu_ns))),
        ("first seen", age(fact.first_seen, now)),
        ("last seen", age(fact.last_seen, now)),
    ];
    let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
    let lines: Vec<_> = lines
        .map(|(name, value)| Line::raw(format!("{name:<12} {value}")))
        .collect();
    // Two for its frame.
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let height = height.min(area.height);
    let place = Rect {
        y: area.bottom().saturating_sub(height),
        height,
        ..area
    };
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(" Enter closes ");
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

fn help(model: &Model) -> Line<'_> {
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    let pause = if model.is_paused { "go on" } else { "pause" };
    let keys = [
        ("q", "quit".to_owned()),
        ("↑↓", "choose".to_owned()),
        ("Enter", "details".to_owned()),
        ("s", format!("sort (by {})", model.order.as_str())),
        ("p", pause.to_owned()),
    ];
    let spans = keys
        .into_iter()
        .flat_map(|(key, what)| [Span::styled(key, reversed), Span::raw(format!(" {what}  "))]);
    Line::from(spans.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use archtrace_facts::fleet::{Coverage, FactUpdate};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;

    use super::super::model::Key;
    use super::super::model::tests::{at, fact, snapshot};
    use super::*;

    fn painted(model: &Model, width: u16, height: u16, colour: bool) -> Buffer {
        let backend = TestBackend::new(width, height);
        let mut terminal = Terminal::new(backend).expect("a terminal");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_060);
        let paint = |frame: &mut Frame<'_>| draw(frame, model, Theme { colour }, now);
        terminal.draw(paint).expect("draws");
        terminal.backend().buffer().clone()
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        let width = usize::from(buffer.area.width);
        let cells: Vec<_> = buffer
            .content
            .iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        let lines = cells.chunks(width).map(<[&str]>::concat);
        lines.map(|line| line.trim_end().to_owned()).collect()
    }

    fn model() -> Model {
        let mut model = Model::new("the collector at http://127.0.0.1:50061".to_owned(), true);
        let long = "/opt/application/releases/2026-11-26/bin/payment-service";
        model.take(snapshot(vec![
            fact("ip-10-0-1-7.internal", long, 12, 1000),
            fact("ip-10-0-1-8.internal", "/bin/idle", 1, 7_380_000),
        ]));
        model.tick(at(0));
        model.take(vec![fact("ip-10-0-1-7.internal", long, 12, 4000)]);
        model.tick(at(2));
        model
    }

    #[test]
    fn it_fits_a_terminal_of_80_columns() {
        let lines = lines(&painted(&model(), 80, 24, true));
        let expected = [
            "archtrace top  2 emulated, 13 alive, 1.50 CPUs  the collector at http://127.0.0.",
            "  CPU%    TIME ALIVE ARCH    NODE             POD OR UNIT         BINARY",
            " 150.0   4.00s    12 amd64   ip-10-0-1-7.inte pay/api-7c9f8d5b6-x …yment-service",
            "   0.0   2h03m     1 amd64   ip-10-0-1-8.inte pay/api-7c9f8d5b6-x /bin/idle",
            "",
        ];
        assert_eq!(lines[..5], expected);
        let keys = "q quit  ↑↓ choose  Enter details  s sort (by CPU rate)  p pause";
        assert_eq!(lines[23], keys);
    }

    #[test]
    fn details_say_everything() {
        let mut model = model();
        model.press(Key::Down);
        model.press(Key::Details);
        let text = lines(&painted(&model, 80, 24, true)).join("\n");
        for words in [
            "prod/ip-10-0-1-7.internal (arm64)",
            "pay/api-7c9f8d5b6-x2x4z app",
            "Deployment/api",
            "/opt/application/releases/2026-11-26/bin/payment-service",
            "/usr/bin/qemu-x86_64",
            "60s ago",
            "Enter closes",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        model.press(Key::Back);
        let text = lines(&painted(&model, 80, 24, true)).join("\n");
        assert!(!text.contains("Enter closes"), "{text}");
    }

    #[test]
    fn silence_is_said() {
        let mut model = model();
        model.take(vec![FactUpdate::Coverage(Coverage {
            reporting: 2,
            stale: 1,
            stale_nodes: vec!["old".to_owned()],
            ..Coverage::default()
        })]);
        model.away("cannot reach the collector".to_owned());
        let told = lines(&painted(&model, 80, 24, true));
        assert!(told[1].starts_with("1 node is stale"), "{told:?}");
        assert!(told[2].starts_with("trying again: cannot"), "{told:?}");
        let waiting = Model::new("x".to_owned(), true);
        let told = lines(&painted(&waiting, 80, 24, true));
        assert_eq!(told[0], "archtrace top  0 emulated, 0 alive, 0.00 CPUs  x");
        assert_eq!(told[1], "Waiting for the first answer.");
    }

    #[test]
    fn there_is_no_colour_where_none_is_wanted() {
        let coloured = |colour| {
            let buffer = painted(&model(), 80, 24, colour);
            let mut cells = buffer.content.iter();
            cells.any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset))
        };
        assert!(coloured(true));
        assert!(!coloured(false));
    }

    #[test]
    fn any_size_can_be_drawn() {
        let mut model = model();
        model.press(Key::Down);
        model.press(Key::Details);
        for (width, height) in [(1, 1), (3, 40), (20, 2), (400, 5), (80, 3)] {
            painted(&model, width, height, true);
        }
    }
}
