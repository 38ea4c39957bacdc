//! What shows a finding, and what it is about.

use std::borrow::Cow;
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{FactKey, Mode};
use archtrace_facts::finding::{self, Id};
use archtrace_facts::fleet::{FleetImage, NodeEvent, NodeStatus, SubjectKind};
use archtrace_facts::report::Record;
use archtrace_facts::select::{NumberField, Selection, Subject, TextField, TimeField};

use crate::live::table::View;

/// A fact, an event, an image or a node that shows a finding.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) id: Id,
    pub(crate) cluster: String,
    pub(crate) namespace: String,
    pub(crate) kind: SubjectKind,
    pub(crate) subject: String,
    pub(crate) binary: String,
    pub(crate) arch: Option<Arch>,
    pub(crate) emulator: String,
    /// Cluster and name.
    pub(crate) node: Option<(String, String)>,
    /// How many nodes besides, whose names are not known.
    pub(crate) more_nodes: u64,
    pub(crate) count: u64,
    pub(crate) processes: u64,
    pub(crate) first_seen: Option<SystemTime>,
    pub(crate) last_seen: Option<SystemTime>,
}

/// The finding that a fact is. Most are none.
pub(crate) fn id_of_fact(fact: &View<'_>) -> Option<Id> {
    if matches!(fact.kind.mode, Mode::Native | Mode::Compat) {
        return None;
    }
    // What decides is not how things are called.
    finding::of_fact(&FactKey {
        cgroup: String::new(),
        binary: String::new(),
        path_resolved: true,
        arch: fact.kind.arch,
        mode: fact.kind.mode,
        emulator: None,
        via: fact.row.via,
        cause: fact.row.cause,
    })
}

/// What a fact shows.
pub(crate) fn of_fact(fact: &View<'_>, selection: &Selection) -> Option<Evidence> {
    let id = id_of_fact(fact)?;
    if !selection.matches(fact) {
        return None;
    }
    let (namespace, kind, subject) = subject(fact);
    Some(Evidence {
        id,
        cluster: owned(fact, TextField::Cluster),
        namespace,
        kind,
        subject,
        binary: owned(fact, TextField::Binary),
        arch: Some(fact.kind.arch),
        emulator: owned(fact, TextField::Emulator),
        node: Some((
            owned(fact, TextField::Cluster),
            owned(fact, TextField::Node),
        )),
        more_nodes: 0,
        count: 1,
        processes: fact.processes(),
        first_seen: Some(fact.first_seen()),
        last_seen: Some(fact.last_seen()),
    })
}

/// What an event shows that no fact does.
pub(crate) fn id_of_event(event: &NodeEvent) -> Option<Id> {
    match &event.record {
        Record::Event(event) if finding::of_fact(&event.key).is_none() => finding::of_event(event),
        // A death of SIGILL is none of its binary's facts, however that ran.
        Record::Event(event) if event.instruction.is_some() => finding::of_event(event),
        Record::Event(_) | Record::Loss(_) | Record::Handler(_) => None,
    }
}

/// The same, with what it is about.
pub(crate) fn of_event(event: &NodeEvent) -> Option<Evidence> {
    let id = id_of_event(event)?;
    let (namespace, kind, subject) = subject(event);
    Some(Evidence {
        id,
        cluster: event.cluster.clone(),
        namespace,
        kind,
        subject,
        binary: owned(event, TextField::Binary),
        arch: Subject::arch(event),
        emulator: owned(event, TextField::Emulator),
        node: Some((event.cluster.clone(), event.node.clone())),
        more_nodes: 0,
        count: 1,
        processes: 0,
        first_seen: Some(event.record.time()),
        last_seen: Some(event.record.time()),
    })
}

/// What something is about: the first that is known.
fn subject(of: &impl Subject) -> (String, SubjectKind, String) {
    let namespace = owned(of, TextField::Namespace);
    for (field, kind) in [
        (TextField::Workload, SubjectKind::Workload),
        (TextField::Pod, SubjectKind::Pod),
    ] {
        let name = owned(of, field);
        if !name.is_empty() {
            return (namespace, kind, name);
        }
    }
    for (field, kind) in [
        (TextField::Image, SubjectKind::Image),
        (TextField::Unit, SubjectKind::Unit),
    ] {
        let name = owned(of, field);
        if !name.is_empty() {
            return (String::new(), kind, name);
        }
    }
    (String::new(), SubjectKind::Node, owned(of, TextField::Node))
}

fn owned(of: &impl Subject, field: TextField) -> String {
    of.text(field).into_owned()
}

/// What an image shows on the nodes that it is on.
pub(crate) fn of_image(of: &FleetImage) -> Vec<Evidence> {
    let image = &of.image;
    let evidence = |id| {
        let files = || {
            let foreign = image.audit.iter().flat_map(|audit| &audit.foreign);
            foreign.filter(move |file| finding::of_foreign(file.role) == id)
        };
        let really = image.audit.as_ref().and_then(finding::really);
        let (binary, arch) = match files().next() {
            Some(file) => (file.path.clone(), Some(file.arch)),
            None => (String::new(), really.or(image.arch)),
        };
        let count = u64::try_from(files().count()).unwrap_or(u64::MAX);
        Evidence {
            id,
            cluster: String::new(),
            namespace: String::new(),
            kind: SubjectKind::Image,
            subject: image.names.first().unwrap_or(&image.id).clone(),
            binary,
            arch,
            emulator: String::new(),
            node: None,
            more_nodes: of.nodes.iter().map(|(_, count)| count).sum(),
            count: count.max(1),
            processes: 0,
            first_seen: None,
            last_seen: Some(of.last_seen),
        }
    };
    of.findings().into_iter().map(evidence).collect()
}

/// What a node itself shows.
pub(crate) fn of_node(node: &NodeStatus) -> Vec<Evidence> {
    let NodeStatus {
        cluster,
        info,
        preflight,
        last_heard,
        ..
    } = node;
    let evidence = |id| {
        let handler = || {
            let mut handlers = preflight.handlers.iter();
            handlers.find(|handler| finding::of_handler(info.arch, handler) == Some(id))
        };
        let uncovered = if id == Id::PodNotCovered {
            preflight.uncovered.len()
        } else {
            1
        };
        Evidence {
            id,
            cluster: cluster.clone(),
            namespace: String::new(),
            kind: SubjectKind::Node,
            subject: info.name.clone(),
            binary: String::new(),
            arch: handler().and_then(|handler| handler.arch),
            emulator: handler()
                .map(|handler| handler.interpreter.clone())
                .unwrap_or_default(),
            node: Some((cluster.clone(), info.name.clone())),
            more_nodes: 0,
            count: u64::try_from(uncovered).unwrap_or(u64::MAX),
            processes: 0,
            first_seen: None,
            last_seen: *last_heard,
        }
    };
    let ids = finding::of_node(info, preflight).into_iter();
    ids.map(evidence).collect()
}

/// An image or a node, for a selection: neither has a pod, a binary or a mode.
pub(crate) struct About<'a> {
    pub(crate) evidence: &'a Evidence,
    /// Of a node its own; of an image, that of one of its nodes.
    pub(crate) node_arch: Arch,
}

impl Subject for About<'_> {
    fn text(&self, field: TextField) -> Cow<'_, str> {
        let Evidence {
            cluster,
            kind,
            subject,
            node,
            ..
        } = self.evidence;
        match field {
            TextField::Cluster => cluster.as_str().into(),
            TextField::Node => node.as_ref().map_or("", |(_, name)| name).into(),
            TextField::NodeArch => self.node_arch.to_string().into(),
            TextField::Image if *kind == SubjectKind::Image => subject.as_str().into(),
            TextField::Arch => match self.arch() {
                Some(arch) => arch.to_string().into(),
                None => "".into(),
            },
            _ => "".into(),
        }
    }

    fn number(&self, _: NumberField) -> Option<i128> {
        None
    }

    fn time(&self, field: TimeField) -> Option<SystemTime> {
        let is_it = field == TimeField::LastSeen;
        is_it.then_some(self.evidence.last_seen).flatten()
    }

    fn node_arch(&self) -> Arch {
        self.node_arch
    }

    fn arch(&self) -> Option<Arch> {
        self.evidence.arch
    }

    fn mode(&self) -> Option<Mode> {
        None
    }

    fn seen(&self) -> SystemTime {
        self.evidence.last_seen.unwrap_or(SystemTime::UNIX_EPOCH)
    }
}
