//! One node's facts.

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Cause, FactId, Via};
use archtrace_facts::identity::Identity;

use super::super::texts::{Texts, index};
use super::{Gone, cgroup};
use crate::read::{Head, NodeId, Version};

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) cluster: u32,
    pub(crate) name: Box<str>,
    pub(crate) arch: Arch,
    /// Changes up to here are in `rows`.
    pub(crate) version: Version,
    /// Whether its agent reports now.
    pub(crate) current: bool,
    /// Place in the order of clusters and names.
    pub(crate) rank: u32,
    /// By id.
    pub(crate) rows: Vec<Row>,
    pub(super) places: Vec<Place>,
    /// Sums over the rows, by kind.
    pub(crate) cells: Vec<Cell>,
    /// The sum over these, of no kind.
    pub(crate) total: Cell,
    /// What it has facts of, and how many pods.
    pub(crate) shape: Shape,
}

/// Which kinds a node has facts of, and which of them its pods have: what has to be looked at to count
/// nodes and pods, in as few lines of memory as it takes.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// First those outside of pods, each once; then those of one pod after the other, each once, where the
    /// first of each pod is marked by [`FIRST_OF_POD`].
    kinds: Box<[u32]>,
    outside: u32,
    pub(crate) pods: u32,
}

/// There are fewer kinds than two thousand millions.
const FIRST_OF_POD: u32 = 1 << 31;

impl Shape {
    fn new(mut outside: Vec<u32>, mut of_pods: Vec<(Pod, u32)>) -> Self {
        outside.sort_unstable();
        outside.dedup();
        of_pods.sort_unstable();
        of_pods.dedup();
        let (mut kinds, mut pods, mut last) = (outside, 0, None);
        let outside = u32::try_from(kinds.len()).unwrap_or(u32::MAX);
        for (pod, kind) in of_pods {
            let first = last != Some(pod);
            kinds.push(if first { kind | FIRST_OF_POD } else { kind });
            (last, pods) = (Some(pod), pods + u32::from(first));
        }
        Self {
            kinds: kinds.into(),
            outside,
            pods,
        }
    }

    /// Kinds of facts that are in no pod.
    pub(crate) fn outside(&self) -> &[u32] {
        self.kinds.get(..index(self.outside)).unwrap_or_default()
    }

    /// Kinds of facts that are in pods, and whether each is the first of another pod.
    pub(crate) fn of_pods(&self) -> impl Iterator<Item = (u32, bool)> {
        let of_pods = self.kinds.get(index(self.outside)..).unwrap_or_default();
        let of_pods = of_pods.iter();
        of_pods.map(|kind| (kind & !FIRST_OF_POD, kind & FIRST_OF_POD != 0))
    }
}

/// A pod of a node, by its namespace and its name.
pub(crate) type Pod = (u32, u32);

/// Sums over a node's facts of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) kind: u32,
    pub(crate) facts: u32,
    /// As last told, whether the node reports now or not.
    pub(crate) processes: u64,
    pub(crate) count: u64,
    pub(crate) cpu_ns: u64,
}

/// One fact.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: FactId,
    pub(super) place: u32,
    pub(crate) kind: u32,
    pub(crate) binary: u32,
    pub(super) emulator: u32,
    pub(crate) via: Option<Via>,
    pub(crate) cause: Option<Cause>,
    pub(crate) count: u64,
    pub(crate) processes: u64,
    pub(crate) cpu_ns: u64,
    pub(super) first_seen: i64,
    pub(super) last_seen: i64,
}

/// One cgroup.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// What its path is like, and the digits of it.
    pattern: u32,
    digits: Box<[u8]>,
    /// Facts in it: the place is free if there are none.
    facts: u32,
    pub(super) namespace: u32,
    pub(super) pod: u32,
    pub(super) container: u32,
    pub(super) workload: u32,
    pub(super) image: u32,
    pub(super) image_id: u32,
    pub(super) unit: u32,
}

impl Node {
    /// One of which no facts are known yet.
    pub(super) fn new(head: &Head, cluster: u32, current: bool) -> Self {
        Self {
            id: head.node,
            cluster,
            name: head.name.as_str().into(),
            arch: head.arch,
            version: Version::default(),
            current,
            rank: 0,
            rows: Vec::new(),
            places: Vec::new(),
            cells: Vec::new(),
            total: Cell::default(),
            shape: Shape::default(),
        }
    }

    /// Drops its facts.
    pub(super) fn empty(&mut self, texts: &Texts) -> Gone {
        self.places.clear();
        self.cells.clear();
        (self.total, self.shape) = (Cell::default(), Shape::default());
        Gone {
            id: self.id,
            cluster: texts.text(self.cluster).to_owned(),
            name: self.name.to_string(),
            facts: self.rows.drain(..).map(|row| row.id).collect(),
        }
    }

    pub(super) fn sum_up(&mut self) {
        self.cells.clear();
        self.total = Cell::default();
        let (mut outside, mut of_pods) = (Vec::new(), Vec::new());
        for row in &self.rows {
            let known = self.cells.iter_mut().find(|cell| cell.kind == row.kind);
            let mut new = Cell {
                kind: row.kind,
                ..Cell::default()
            };
            let is_new = known.is_none();
            for cell in [known.unwrap_or(&mut new), &mut self.total] {
                cell.facts += 1;
                cell.processes = cell.processes.saturating_add(row.processes);
                cell.count = cell.count.saturating_add(row.count);
                cell.cpu_ns = cell.cpu_ns.saturating_add(row.cpu_ns);
            }
            if is_new {
                self.cells.push(new);
            }
            let place = self.places.get(index(row.place));
            match place.filter(|place| place.has_pod()) {
                Some(place) => of_pods.push(((place.namespace, place.pod), row.kind)),
                None => outside.push(row.kind),
            }
        }
        self.shape = Shape::new(outside, of_pods);
        self.rows.shrink_to(self.rows.len() + self.rows.len() / 8);
        self.places
            .shrink_to(self.places.len() + self.places.len() / 8);
        self.cells
            .shrink_to(self.cells.len() + self.cells.len() / 8);
    }

    /// Takes a fact into its cgroup's place, which has another place's number if it is the first.
    pub(super) fn enter(&mut self, pattern: u32, digits: Box<[u8]>) -> u32 {
        let is_it = |place: &Place| place.pattern == pattern && place.digits == digits;
        let known = self
            .places
            .iter()
            .position(|place| place.facts > 0 && is_it(place));
        let free = || self.places.iter().position(|place| place.facts == 0);
        let i = known.or_else(free).unwrap_or(self.places.len());
        if i == self.places.len() {
            self.places.push(Place::default());
        }
        if let Some(place) = self.places.get_mut(i) {
            if known.is_none() {
                (place.pattern, place.digits) = (pattern, digits);
            }
            place.facts += 1;
        }
        u32::try_from(i).unwrap_or(u32::MAX)
    }

    pub(super) fn leave(&mut self, place: u32) {
        if let Some(place) = self.places.get_mut(index(place)) {
            place.facts -= 1;
            if place.facts == 0 {
                *place = Place::default();
            }
        }
    }

    /// The pod of a fact, if it is one's: what tells it from others of the node.
    pub(crate) fn pod(&self, row: &Row) -> Option<Pod> {
        let place = self.places.get(index(row.place))?;
        place.has_pod().then_some((place.namespace, place.pod))
    }
}

/// The number of the empty text in places that nobody named.
pub(super) const NO_TEXT: u32 = u32::MAX;

impl Place {
    pub(super) fn name(&mut self, texts: &mut Texts, identity: &Identity) {
        let mut number = |text: &str| match text {
            "" => NO_TEXT,
            text => texts.number(text),
        };
        self.namespace = number(&identity.namespace);
        self.pod = number(&identity.pod);
        self.container = number(&identity.container);
        self.workload = number(&identity.workload);
        self.image = number(&identity.image);
        self.image_id = number(&identity.image_id);
        self.unit = number(&identity.unit);
    }

    fn has_pod(&self) -> bool {
        self.pod != NO_TEXT
    }

    /// The path of the cgroup.
    pub(super) fn cgroup(&self, texts: &Texts) -> String {
        cgroup::unpack(texts.text(self.pattern), &self.digits)
    }

    pub(super) fn texts(&self) -> [u32; 8] {
        let Self {
            pattern,
            digits: _,
            facts: _,
            namespace,
            pod,
            container,
            workload,
            image,
            image_id,
            unit,
        } = *self;
        [
            pattern, namespace, pod, container, workload, image, image_id, unit,
        ]
    }
}
