//! A fact as questions see it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Cause, Mode, Via};
use archtrace_facts::select::{NumberField, Subject, TextField, TimeField};

use super::super::texts::{Kind, Texts, index};
use super::node::{NO_TEXT, Node, Place, Row};

/// A fact with all that is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    texts: &'a Texts,
    pub(crate) node: &'a Node,
    pub(crate) row: &'a Row,
    pub(crate) kind: &'a Kind,
}

impl<'a> View<'a> {
    pub(super) fn new(texts: &'a Texts, node: &'a Node, row: &'a Row, kind: &'a Kind) -> Self {
        Self {
            texts,
            node,
            row,
            kind,
        }
    }

    /// Processes alive, as far as anybody knows now.
    pub(crate) fn processes(&self) -> u64 {
        if self.node.current {
            self.row.processes
        } else {
            0
        }
    }

    pub(crate) fn first_seen(&self) -> SystemTime {
        time(self.row.first_seen)
    }

    pub(crate) fn last_seen(&self) -> SystemTime {
        time(self.row.last_seen)
    }

    /// A text, for as long as the table is.
    pub(crate) fn word(&self, field: TextField) -> Cow<'a, str> {
        let place = self.node.places.get(index(self.row.place));
        let of_place = |text: fn(&Place) -> u32| {
            let number = place.map_or(NO_TEXT, text);
            Cow::Borrowed(self.texts.text(number))
        };
        match field {
            TextField::Cluster => self.texts.text(self.node.cluster).into(),
            TextField::Node => Cow::Borrowed(&self.node.name),
            TextField::NodeArch => self.node.arch.to_string().into(),
            TextField::Namespace => of_place(|place| place.namespace),
            TextField::Pod => of_place(|place| place.pod),
            TextField::Container => of_place(|place| place.container),
            TextField::Workload => of_place(|place| place.workload),
            TextField::Image => of_place(|place| place.image),
            TextField::ImageId => of_place(|place| place.image_id),
            TextField::Unit => of_place(|place| place.unit),
            TextField::Cgroup => place
                .map_or_else(String::new, |place| place.cgroup(self.texts))
                .into(),
            TextField::Binary => self.texts.text(self.row.binary).into(),
            TextField::Arch => self.kind.arch.to_string().into(),
            TextField::Mode => self.kind.mode.as_str().into(),
            TextField::Emulator => self.texts.text(self.row.emulator).into(),
            TextField::Via => self.row.via.map_or("", Via::as_str).into(),
            TextField::Cause => self.row.cause.map_or("", Cause::as_str).into(),
            TextField::Kind | TextField::Comm | TextField::Stage => "".into(),
        }
    }
}

impl Subject for View<'_> {
    fn text(&self, field: TextField) -> Cow<'_, str> {
        self.word(field)
    }

    fn number(&self, field: NumberField) -> Option<i128> {
        match field {
            NumberField::Count => Some(self.row.count.into()),
            NumberField::Processes => Some(self.processes().into()),
            NumberField::Cpu => Some(self.row.cpu_ns.into()),
            NumberField::Pid | NumberField::Errno => None,
        }
    }

    fn time(&self, field: TimeField) -> Option<SystemTime> {
        match field {
            TimeField::FirstSeen => Some(self.first_seen()),
            TimeField::LastSeen => Some(self.last_seen()),
            TimeField::Time => None,
        }
    }

    fn node_arch(&self) -> Arch {
        self.node.arch
    }

    fn arch(&self) -> Option<Arch> {
        Some(self.kind.arch)
    }

    fn mode(&self) -> Option<Mode> {
        Some(self.kind.mode)
    }

    fn seen(&self) -> SystemTime {
        self.last_seen()
    }
}

fn time(nanos: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos.unsigned_abs())
}
