//! Which facts or events somebody asks for, as conditions.

use archtrace_facts::fact::Mode;
use archtrace_facts::select::{Filter, NumberField, Selection, TextField, TimeField};

use super::conditions::{Conditions, all, any};
use super::expression;
use super::values::from_time;

/// What the conditions are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Fact {
        /// Facts of nodes that were not heard since have no processes.
        alive_since: i64,
    },
    Event,
}

/// How a field is written in SQL, and whether it may be NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) text: &'static str,
    pub(super) nullable: bool,
}

const fn always(text: &'static str) -> Column {
    Column {
        text,
        nullable: false,
    }
}

const fn perhaps(text: &'static str) -> Column {
    Column {
        text,
        nullable: true,
    }
}

impl Subject {
    /// The column of a text; what does not have the field has the empty text.
    pub(super) fn text(self, field: TextField) -> Column {
        use Subject::{Event, Fact};
        // The owner of a fact is always there; losses and changes of handlers have none.
        let of_owner = |text| Column {
            text,
            nullable: self == Event,
        };
        match (field, self) {
            (TextField::Cluster, _) => always("n.cluster"),
            (TextField::Node, _) => always("n.name"),
            (TextField::NodeArch, _) => always("n.arch"),
            (TextField::Namespace, _) => of_owner("o.namespace"),
            (TextField::Pod, _) => of_owner("o.pod"),
            (TextField::Container, _) => of_owner("o.container"),
            (TextField::Workload, _) => of_owner("o.workload"),
            (TextField::Image, _) => of_owner("o.image"),
            (TextField::ImageId, _) => of_owner("o.image_id"),
            (TextField::Unit, _) => of_owner("o.unit"),
            (TextField::Cgroup, _) => of_owner("o.cgroup"),
            (TextField::Binary, Fact { .. }) => always("f.binary"),
            (TextField::Binary, Event) => perhaps("e.binary"),
            (TextField::Arch, Fact { .. }) => always("f.arch"),
            (TextField::Arch, Event) => perhaps("e.arch"),
            (TextField::Mode, Fact { .. }) => always("f.mode"),
            (TextField::Mode, Event) => perhaps("e.mode"),
            (TextField::Emulator, Fact { .. }) => perhaps("f.emulator"),
            (TextField::Emulator, Event) => perhaps("e.emulator"),
            (TextField::Via, Fact { .. }) => perhaps("f.via"),
            (TextField::Via, Event) => perhaps("e.via"),
            (TextField::Cause, Fact { .. }) => perhaps("f.cause"),
            (TextField::Cause, Event) => perhaps("e.cause"),
            (TextField::Kind | TextField::Comm | TextField::Stage, Fact { .. }) => always("''"),
            (TextField::Kind, Event) => always("e.kind"),
            (TextField::Comm, Event) => perhaps("e.comm"),
            (TextField::Stage, Event) => perhaps("e.stage"),
        }
    }

    /// A number; `None` if nothing of the kind has it.
    pub(super) fn number(self, field: NumberField, conditions: &mut Conditions) -> Option<String> {
        let column = match (field, self) {
            (NumberField::Count, Self::Fact { .. }) => "f.count",
            (NumberField::Count, Self::Event) => {
                "CASE WHEN e.handler IS NULL THEN COALESCE(e.count, 0) END"
            }
            (NumberField::Processes, Self::Fact { alive_since }) => {
                let alive_since = conditions.integer(alive_since);
                return Some(format!(
                    "CASE WHEN s.last_heard >= {alive_since} THEN f.processes ELSE 0 END"
                ));
            }
            (NumberField::Cpu, Self::Fact { .. }) => "f.cpu_ns",
            (NumberField::Pid, Self::Event) => "e.pid",
            (NumberField::Errno, Self::Event) => "e.errno",
            (NumberField::Processes | NumberField::Cpu, Self::Event)
            | (NumberField::Pid | NumberField::Errno, Self::Fact { .. }) => return None,
        };
        Some(column.to_owned())
    }

    /// The column of a time; `None` if nothing of the kind has it.
    pub(super) fn time(self, field: TimeField) -> Option<&'static str> {
        match (field, self) {
            (TimeField::FirstSeen, Self::Fact { .. }) => Some("f.first_seen"),
            (TimeField::LastSeen, Self::Fact { .. }) => Some("f.last_seen"),
            (TimeField::Time, Self::Event) => Some("e.time"),
            (TimeField::FirstSeen | TimeField::LastSeen, Self::Event)
            | (TimeField::Time, Self::Fact { .. }) => None,
        }
    }

    /// When it was last so.
    fn latest(self) -> &'static str {
        match self {
            Self::Fact { .. } => "f.last_seen",
            Self::Event => "e.time",
        }
    }
}

/// A text as it is compared: never NULL, so that what is turned around by a NOT is not NULL either.
/// Where nothing is turned around and only something can be meant, NULL does as well as '', and an
/// index on the column can be used.
pub(super) fn comparable(column: Column, value: &str, negated: bool) -> String {
    let Column { text, nullable } = column;
    let never_empty = value.chars().any(|c| c != '*');
    if nullable && (negated || !never_empty) {
        format!("COALESCE({text}, '')")
    } else {
        text.to_owned()
    }
}

/// Adds what `selection` wants.
pub(super) fn add(conditions: &mut Conditions, selection: &Selection, subject: Subject) {
    let Selection {
        allow,
        deny,
        expression,
    } = selection;
    if !allow.is_empty() {
        let allowed: Vec<_> = allow
            .iter()
            .map(|one| filter(conditions, one, subject, false))
            .collect();
        conditions.add(any(&allowed));
    }
    for one in deny {
        let denied = filter(conditions, one, subject, true);
        conditions.add(format!("NOT ({denied})"));
    }
    if let Some(expression) = expression {
        let wanted = expression::condition(conditions, expression, subject, false);
        conditions.add(wanted);
    }
    if matches!(subject, Subject::Fact { .. }) && never_native(selection) {
        // Says again what the selection says, in the words of the partial index.
        conditions.add("f.mode <> 'native'".to_owned());
    }
}

fn filter(conditions: &mut Conditions, filter: &Filter, subject: Subject, negated: bool) -> String {
    let Filter {
        clusters,
        nodes,
        node_archs,
        namespaces,
        pods,
        containers,
        workloads,
        images,
        binaries,
        archs,
        modes,
        since,
    } = filter;
    let mut wanted = Vec::new();
    for (field, patterns) in [
        (TextField::Cluster, clusters),
        (TextField::Node, nodes),
        (TextField::Namespace, namespaces),
        (TextField::Pod, pods),
        (TextField::Container, containers),
        (TextField::Workload, workloads),
        (TextField::Image, images),
        (TextField::Binary, binaries),
    ] {
        if !patterns.is_empty() {
            let column = subject.text(field);
            wanted.push(patterns_match(conditions, column, patterns, negated));
        }
    }
    let words = |all: &[archtrace_facts::arch::Arch]| all.iter().map(ToString::to_string).collect();
    let modes = modes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (node_archs, archs): (Vec<String>, Vec<String>) = (words(node_archs), words(archs));
    for (field, words) in [
        (TextField::NodeArch, node_archs),
        (TextField::Arch, archs),
        (TextField::Mode, modes),
    ] {
        if !words.is_empty() {
            let column = comparable(subject.text(field), "a word", negated);
            wanted.push(conditions.one_of(&column, words.iter().map(String::as_str)));
        }
    }
    if let Some(since) = since {
        let since = conditions.integer(from_time(*since));
        wanted.push(format!("{} >= {since}", subject.latest()));
    }
    all(&wanted)
}

/// That one of the patterns matches: those without a `*` together, so that an index serves them.
fn patterns_match(
    conditions: &mut Conditions,
    column: Column,
    patterns: &[String],
    negated: bool,
) -> String {
    let (with_star, plain): (Vec<_>, Vec<_>) = patterns.iter().partition(|text| text.contains('*'));
    let mut alternatives = Vec::new();
    if !plain.is_empty() {
        let empty_too = plain.iter().any(|text| text.is_empty());
        let column = comparable(column, if empty_too { "" } else { "a name" }, negated);
        alternatives.push(conditions.one_of(&column, plain.iter().map(|text| text.as_str())));
    }
    for pattern in with_star {
        let column = comparable(column, pattern, negated);
        alternatives.push(conditions.like(&column, pattern));
    }
    any(&alternatives)
}

/// Whether nothing native can be meant.
fn never_native(selection: &Selection) -> bool {
    let only = |filter: &Filter| !filter.modes.is_empty() && !filter.modes.contains(&Mode::Native);
    let by_allowing = !selection.allow.is_empty() && selection.allow.iter().all(only);
    let all_native = Filter {
        modes: vec![Mode::Native],
        ..Filter::default()
    };
    let by_denying = selection.deny.contains(&all_native);
    let by_expression = selection.expression.as_ref();
    by_allowing || by_denying || by_expression.is_some_and(expression::never_native)
}
