//! Numbers by workload, in no more series than there may be.
//!
//! Whoever may create pods chooses their names, and Prometheus keeps every name it ever saw in memory. So
//! there is a most; what comes beyond is summed up as `other`, and counted. Half of the places are kept for
//! what is not native: nobody is to hide an emulated workload behind a thousand native ones.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Mode;

use crate::sheet::Labels;

/// Namespace and workload of what has no series of its own. No workload is called so, for all begin with
/// their kind and a slash.
pub const OTHER: &str = "other";

/// Namespace and workload where nobody is named: a process of the host, or names are yet to come. Not empty,
/// for then Prometheus may put the namespace of whoever it scraped there.
pub const NOBODY: &str = "(none)";

/// How long the series of a workload stay that is gone: longer than anybody waits between two looks, so
/// that its last numbers are seen.
const KEEP: Duration = Duration::from_secs(3600);

/// What the series of a workload differ by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Names {
    /// The pods' namespace, or [`NOBODY`].
    pub namespace: String,
    /// What the pods belong to, as kind and name, or [`NOBODY`].
    pub workload: String,
    /// How it runs.
    pub mode: Mode,
    /// The instruction set, in a word of [`Arch::word`].
    pub arch: &'static str,
}

impl Names {
    /// Of what is known, empty texts included.
    #[must_use]
    pub fn new(namespace: &str, workload: &str, mode: Mode, arch: Arch) -> Self {
        let named = |text: &str| if text.is_empty() { NOBODY } else { text }.to_owned();
        Self {
            namespace: named(namespace),
            workload: named(workload),
            mode,
            arch: arch.word(),
        }
    }

    /// As labels.
    #[must_use]
    pub fn labels(&self) -> Labels {
        vec![
            ("namespace", Cow::Owned(self.namespace.clone())),
            ("workload", Cow::Owned(self.workload.clone())),
            ("mode", Cow::Borrowed(self.mode.as_str())),
            ("arch", Cow::Borrowed(self.arch)),
        ]
    }

    /// What is left of them without a series of their own.
    fn others(&self) -> Self {
        Self {
            namespace: OTHER.to_owned(),
            workload: OTHER.to_owned(),
            mode: self.mode,
            arch: self.arch,
        }
    }

    fn is_others(&self) -> bool {
        self.workload == OTHER
    }
}

/// What is known of one workload in one mode and architecture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Facts there are now.
    pub facts: u64,
    /// Pods that have one of these.
    pub pods: u64,
    /// Processes alive, of emulated ones.
    pub processes: u64,
    /// Execs so far; never less than before.
    pub execs: u64,
    /// Nanoseconds of emulated CPU time so far; never less than before.
    pub cpu_ns: u64,
    /// Since when nothing is there and nothing comes.
    idle: Option<Instant>,
}

/// Rows, as many as there may be.
#[derive(Debug)]
pub struct Workloads {
    most: usize,
    rows: BTreeMap<Names, Row>,
    /// How many rows are of a workload of their own, and of these of native ones.
    own: usize,
    native: usize,
    overflow: u64,
}

impl Workloads {
    /// No rows yet, and never more than `most` beside those of `other`, of which there is one for each mode
    /// and architecture.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            rows: BTreeMap::new(),
            own: 0,
            native: 0,
            overflow: 0,
        }
    }

    /// Takes in that there were more execs, and more CPU time.
    pub fn count(&mut self, names: Names, execs: u64, cpu_ns: u64) {
        let (row, _) = self.row(names);
        row.execs = row.execs.saturating_add(execs);
        row.cpu_ns = row.cpu_ns.saturating_add(cpu_ns);
        row.idle = None;
    }

    /// Takes in what there is now: facts, pods and processes of each; of what is not named there is nothing.
    pub fn take(&mut self, now: Instant, present: impl IntoIterator<Item = (Names, [u64; 3])>) {
        for row in self.rows.values_mut() {
            (row.facts, row.pods, row.processes) = (0, 0, 0);
        }
        let mut beyond = 0;
        for (names, [facts, pods, processes]) in present {
            let (row, is_own) = self.row(names);
            row.facts = row.facts.saturating_add(facts);
            row.pods = row.pods.saturating_add(pods);
            row.processes = row.processes.saturating_add(processes);
            row.idle = None;
            beyond += u64::from(!is_own);
        }
        self.overflow = self.overflow.saturating_add(beyond);
        self.forget(now);
    }

    /// All of them, by name.
    pub fn rows(&self) -> impl Iterator<Item = (&Names, &Row)> {
        self.rows.iter()
    }

    /// How many have series of their own.
    #[must_use]
    pub fn own(&self) -> usize {
        self.own
    }

    /// How often one was summed up as `other` when it was taken in.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// The row for these names, and whether it is theirs alone.
    fn row(&mut self, names: Names) -> (&mut Row, bool) {
        let is_native = names.mode == Mode::Native;
        let is_known = self.rows.contains_key(&names);
        let has_room = self.own < self.most && (!is_native || self.native < self.most / 2);
        // Somebody's own workload of this name would count as the others' too.
        let is_own = !names.is_others() && (is_known || has_room);
        if is_own && !is_known {
            self.own += 1;
            self.native += usize::from(is_native);
        }
        let names = if is_own { names } else { names.others() };
        (self.rows.entry(names).or_default(), is_own)
    }

    fn forget(&mut self, now: Instant) {
        let Self {
            rows, own, native, ..
        } = self;
        rows.retain(|names, row| {
            if row.facts > 0 || names.is_others() {
                return true;
            }
            let since = *row.idle.get_or_insert(now);
            if now.saturating_duration_since(since) < KEEP {
                return true;
            }
            *own -= 1;
            *native -= usize::from(names.mode == Mode::Native);
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(i: usize, mode: Mode) -> Names {
        Names::new("shop", &format!("Deployment/{i}"), mode, Arch::Amd64)
    }

    fn sums(workloads: &Workloads) -> (u64, u64, u64) {
        let rows = workloads.rows();
        rows.fold((0, 0, 0), |(facts, execs, cpu), (_, row)| {
            (facts + row.facts, execs + row.execs, cpu + row.cpu_ns)
        })
    }

    #[test]
    fn beyond_the_most_nothing_is_lost_but_names() {
        let mut workloads = Workloads::new(10);
        let now = Instant::now();
        for round in 1..=3 {
            let native = (0..100).map(|i| (names(i, Mode::Native), [1, 1, 0]));
            let emulated = (0..20).map(|i| (names(i, Mode::Emulated), [2, 1, 3]));
            workloads.take(now, native.chain(emulated));
            for i in 0..100 {
                workloads.count(names(i, Mode::Native), 5, 0);
                workloads.count(names(i % 20, Mode::Emulated), 1, 7);
            }
            assert_eq!(sums(&workloads), (140, 600 * round, 700 * round));
            assert_eq!((workloads.own(), workloads.overflow()), (10, 110 * round));
        }
        let own = |mode| {
            let rows = workloads.rows();
            rows.filter(|(names, _)| names.mode == mode && !names.is_others())
                .count()
        };
        assert_eq!((own(Mode::Native), own(Mode::Emulated)), (5, 5));
        assert_eq!(workloads.rows().count(), 12);
    }

    #[test]
    fn native_ones_leave_room() {
        let mut workloads = Workloads::new(10);
        let native = (0..100).map(|i| (names(i, Mode::Native), [1, 1, 0]));
        workloads.take(Instant::now(), native);
        assert_eq!(workloads.own(), 5);
        workloads.count(names(0, Mode::Emulated), 1, 1);
        assert_eq!(workloads.own(), 6);
    }

    #[test]
    fn what_is_gone_stays_for_a_while_and_never_counts_back() {
        let mut workloads = Workloads::new(10);
        let start = Instant::now();
        workloads.count(names(1, Mode::Emulated), 7, 9);
        let present = || [(names(1, Mode::Emulated), [1, 1, 1])];
        workloads.take(start, present());
        let shown = |workloads: &Workloads| {
            let row = workloads.rows().next();
            row.map(|(_, row)| (row.facts, row.execs))
        };
        for (seconds, is_there, expected) in [
            (10, false, Some((0, 7))),
            (3609, false, Some((0, 7))),
            (3609, true, Some((1, 7))),
            (3611, false, Some((0, 7))),
            (7210, false, Some((0, 7))),
            (7211, false, None),
        ] {
            let now = start + Duration::from_secs(seconds);
            workloads.take(now, present().into_iter().filter(|_| is_there));
            assert_eq!(shown(&workloads), expected, "{seconds}");
        }
        assert_eq!(workloads.own(), 0);
    }

    #[test]
    fn who_has_no_name_has_a_word() {
        let nobody = Names::new("", "", Mode::Native, Arch::Amd64);
        let labels = nobody.labels();
        let words: Vec<_> = labels.iter().map(|(_, word)| word.as_ref()).collect();
        assert_eq!(words, [NOBODY, NOBODY, "native", "amd64"]);
    }

    #[test]
    fn who_calls_a_workload_other_is_among_them() {
        let mut workloads = Workloads::new(10);
        let impostor = Names::new("shop", OTHER, Mode::Native, Arch::Other(4711));
        workloads.take(Instant::now(), [(impostor, [1, 1, 0])]);
        let row = workloads.rows().next().expect("one");
        assert_eq!((row.0.namespace.as_str(), row.0.arch), (OTHER, "other"));
        assert_eq!(workloads.own(), 0);
    }
}
