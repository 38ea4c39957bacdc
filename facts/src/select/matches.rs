//! Whether something is meant by a selection.

use std::borrow::Cow;
use std::time::SystemTime;

use super::{Expr, Field, Filter, NumberField, Op, Selection, TextField, TimeField, Value};
use crate::arch::Arch;
use crate::fact::{Cause, FactKey, Mode, Via};
use crate::fleet::{NodeEvent, NodeFact};
use crate::identity::Identity;
use crate::report::Record;

/// Something that can be selected, by its fields.
pub trait Subject {
    /// A text; empty where it has none.
    fn text(&self, field: TextField) -> Cow<'_, str>;
    /// A number, if it has it.
    fn number(&self, field: NumberField) -> Option<i128>;
    /// A time, if it has it.
    fn time(&self, field: TimeField) -> Option<SystemTime>;
    /// Instruction set of its node.
    fn node_arch(&self) -> Arch;
    /// Its own instruction set, if it has one.
    fn arch(&self) -> Option<Arch>;
    /// How it ran, if it is about something that did.
    fn mode(&self) -> Option<Mode>;
    /// When it was last seen, or happened.
    fn seen(&self) -> SystemTime;
}

impl Selection {
    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        let Self {
            allow,
            deny,
            expression,
        } = self;
        allow.is_empty() && deny.is_empty() && expression.is_none()
    }

    /// Whether nothing that ran so can be meant, whatever else it is.
    #[must_use]
    pub fn leaves_out(&self, mode: Mode) -> bool {
        let is_about_others =
            |filter: &Filter| !filter.modes.is_empty() && !filter.modes.contains(&mode);
        let is_denied = |filter: &Filter| {
            let of_modes = Filter {
                modes: filter.modes.clone(),
                ..Filter::default()
            };
            filter.modes.contains(&mode) && *filter == of_modes
        };
        (!self.allow.is_empty() && self.allow.iter().all(is_about_others))
            || self.deny.iter().any(is_denied)
    }

    /// Whether this is meant.
    pub fn matches(&self, subject: &impl Subject) -> bool {
        let Self {
            allow,
            deny,
            expression,
        } = self;
        (allow.is_empty() || allow.iter().any(|filter| filter.matches(subject)))
            && !deny.iter().any(|filter| filter.matches(subject))
            && expression
                .as_ref()
                .is_none_or(|expression| expression.matches(subject))
    }

    /// Whether this fact is meant.
    #[must_use]
    pub fn matches_fact(&self, fact: &NodeFact) -> bool {
        self.matches(fact)
    }

    /// Whether this event, loss or change of a handler is meant.
    #[must_use]
    pub fn matches_event(&self, event: &NodeEvent) -> bool {
        self.matches(event)
    }
}

impl Filter {
    /// Whether all of its conditions hold.
    pub fn matches(&self, subject: &impl Subject) -> bool {
        let Self {
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
        } = self;
        let one_of = |patterns: &[String], field| {
            if patterns.is_empty() {
                return true;
            }
            let text = subject.text(field);
            patterns.iter().any(|pattern| wildcard(pattern, &text))
        };
        since.is_none_or(|since| subject.seen() >= since)
            && any_of(modes, subject.mode())
            && any_of(archs, subject.arch())
            && any_of(node_archs, Some(subject.node_arch()))
            && one_of(clusters, TextField::Cluster)
            && one_of(nodes, TextField::Node)
            && one_of(namespaces, TextField::Namespace)
            && one_of(pods, TextField::Pod)
            && one_of(containers, TextField::Container)
            && one_of(workloads, TextField::Workload)
            && one_of(images, TextField::Image)
            && one_of(binaries, TextField::Binary)
    }
}

fn any_of<T: PartialEq>(wanted: &[T], value: Option<T>) -> bool {
    wanted.is_empty() || value.is_some_and(|value| wanted.contains(&value))
}

impl Expr {
    /// Whether it holds.
    pub fn matches(&self, subject: &impl Subject) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(subject)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(subject)),
            Self::Not(part) => !part.matches(subject),
            Self::Compare(field, op, value) => compare(subject, *field, *op, value),
        }
    }
}

/// What compares things of different kinds does not hold: the parser makes none.
fn compare(subject: &impl Subject, field: Field, op: Op, value: &Value) -> bool {
    match (field, value) {
        (Field::Text(field), Value::Text(value)) => {
            let text = subject.text(field);
            match op {
                Op::Equal => wildcard(value, &text),
                Op::NotEqual => !wildcard(value, &text),
                Op::Has => text.contains(value.as_str()),
                Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual => false,
            }
        }
        (Field::Number(field), Value::Number(value)) => {
            in_order(op, subject.number(field), i128::from(*value))
        }
        (Field::Time(field), Value::Time(value)) => in_order(op, subject.time(field), *value),
        _ => false,
    }
}

fn in_order<T: PartialOrd + Copy>(op: Op, has: Option<T>, value: T) -> bool {
    let Some(has) = has else {
        return op == Op::NotEqual;
    };
    match op {
        Op::Equal => has == value,
        Op::NotEqual => has != value,
        Op::Less => has < value,
        Op::LessOrEqual => has <= value,
        Op::Greater => has > value,
        Op::GreaterOrEqual => has >= value,
        Op::Has => false,
    }
}

/// Whether the text is like the pattern, in which `*` stands for any characters and nothing else is
/// special. Takes time in proportion to the product of the lengths at worst.
#[must_use]
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The earliest place is as good as any later one.
    for part in middle.split('*') {
        match text.split_once(part) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    text.ends_with(end)
}

fn of_identity(identity: &Identity, field: TextField) -> &str {
    match field {
        TextField::Namespace => &identity.namespace,
        TextField::Pod => &identity.pod,
        TextField::Container => &identity.container,
        TextField::Workload => &identity.workload,
        TextField::Image => &identity.image,
        TextField::ImageId => &identity.image_id,
        TextField::Unit => &identity.unit,
        _ => "",
    }
}

fn of_key(key: &FactKey, field: TextField) -> Cow<'_, str> {
    match field {
        TextField::Cgroup => key.cgroup.as_str().into(),
        TextField::Binary => key.binary.as_str().into(),
        TextField::Arch => key.arch.to_string().into(),
        TextField::Mode => key.mode.as_str().into(),
        TextField::Emulator => key.emulator.as_deref().unwrap_or_default().into(),
        TextField::Via => key.via.map_or("", Via::as_str).into(),
        TextField::Cause => key.cause.map_or("", Cause::as_str).into(),
        _ => "".into(),
    }
}

impl Subject for NodeFact {
    fn text(&self, field: TextField) -> Cow<'_, str> {
        match field {
            TextField::Cluster => self.cluster.as_str().into(),
            TextField::Node => self.node.as_str().into(),
            TextField::NodeArch => self.node_arch.to_string().into(),
            TextField::Namespace
            | TextField::Pod
            | TextField::Container
            | TextField::Workload
            | TextField::Image
            | TextField::ImageId
            | TextField::Unit => of_identity(&self.identity, field).into(),
            _ => of_key(&self.fact.key, field),
        }
    }

    fn number(&self, field: NumberField) -> Option<i128> {
        match field {
            NumberField::Count => Some(self.fact.count.into()),
            NumberField::Processes => Some(self.fact.processes.into()),
            NumberField::Cpu => Some(self.fact.cpu_ns.into()),
            NumberField::Pid | NumberField::Errno => None,
        }
    }

    fn time(&self, field: TimeField) -> Option<SystemTime> {
        match field {
            TimeField::FirstSeen => Some(self.fact.first_seen),
            TimeField::LastSeen => Some(self.fact.last_seen),
            TimeField::Time => None,
        }
    }

    fn node_arch(&self) -> Arch {
        self.node_arch
    }

    fn arch(&self) -> Option<Arch> {
        Some(self.fact.key.arch)
    }

    fn mode(&self) -> Option<Mode> {
        Some(self.fact.key.mode)
    }

    fn seen(&self) -> SystemTime {
        self.fact.last_seen
    }
}

impl Subject for NodeEvent {
    fn text(&self, field: TextField) -> Cow<'_, str> {
        match (field, &self.record) {
            (TextField::Cluster, _) => self.cluster.as_str().into(),
            (TextField::Node, _) => self.node.as_str().into(),
            (TextField::NodeArch, _) => self.node_arch.to_string().into(),
            (TextField::Kind, record) => record.kind().into(),
            (TextField::Stage, Record::Loss(loss)) => loss.stage.as_str().into(),
            (TextField::Arch, Record::Handler(change)) => match change.handler.arch {
                Some(arch) => arch.to_string().into(),
                None => "".into(),
            },
            (TextField::Comm, Record::Event(event)) => event.comm.as_str().into(),
            (
                TextField::Namespace
                | TextField::Pod
                | TextField::Container
                | TextField::Workload
                | TextField::Image
                | TextField::ImageId
                | TextField::Unit,
                _,
            ) => of_identity(&self.identity, field).into(),
            (_, Record::Event(event)) => of_key(&event.key, field),
            _ => "".into(),
        }
    }

    fn number(&self, field: NumberField) -> Option<i128> {
        match (field, &self.record) {
            (NumberField::Count, Record::Event(event)) => Some(event.count.into()),
            (NumberField::Count, Record::Loss(loss)) => Some(loss.count.into()),
            (NumberField::Pid, Record::Event(event)) => Some(event.pid.into()),
            (NumberField::Errno, Record::Event(event)) => Some(event.errno.into()),
            _ => None,
        }
    }

    fn time(&self, field: TimeField) -> Option<SystemTime> {
        (field == TimeField::Time).then(|| self.record.time())
    }

    fn node_arch(&self) -> Arch {
        self.node_arch
    }

    fn arch(&self) -> Option<Arch> {
        match &self.record {
            Record::Event(event) => Some(event.key.arch),
            Record::Handler(change) => change.handler.arch,
            Record::Loss(_) => None,
        }
    }

    fn mode(&self) -> Option<Mode> {
        match &self.record {
            Record::Event(event) => Some(event.key.mode),
            Record::Handler(_) | Record::Loss(_) => None,
        }
    }

    fn seen(&self) -> SystemTime {
        self.record.time()
    }
}

#[cfg(test)]
mod tests;
