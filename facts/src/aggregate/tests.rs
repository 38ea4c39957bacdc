use super::*;
use crate::arch::Arch;
use crate::fact::Via;
use proptest::prelude::*;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn key(binary: &str) -> FactKey {
    FactKey {
        cgroup: "/".to_owned(),
        binary: binary.to_owned(),
        path_resolved: true,
        arch: Arch::Arm64,
        mode: Mode::Emulated,
        emulator: Some("/qemu".to_owned()),
        via: Some(Via::BinfmtMisc),
        cause: None,
    }
}

fn reading(count: u64, cpu_ns: u64, processes: u64, last: u64) -> Reading {
    Reading {
        count,
        cpu_ns,
        processes,
        last: at(last),
    }
}

#[test]
fn counts_wait_for_their_name() {
    let mut table = Table::new(10);
    table.read(1, reading(3, 50, 1, 5));
    assert!(!table.has_changes());
    table.name(1, key("/a"), at(2)).expect("room");
    let fact = &table.take_changes(10_000, usize::MAX).upserts[0];
    assert_eq!((fact.count, fact.cpu_ns, fact.processes), (3, 50, 1));
    assert_eq!((fact.first_seen, fact.last_seen), (at(2), at(5)));
    assert!(!table.has_changes());
}

#[test]
fn counters_of_one_name_add_up_and_outlive_each_other() {
    let mut table = Table::new(10);
    for counter in [1, 2] {
        table.name(counter, key("/a"), at(1)).expect("room");
        table.read(counter, reading(5, 10, 1, 2));
    }
    table.forget(1);
    let fact = &table.take_changes(10_000, usize::MAX).upserts[0];
    assert_eq!((fact.count, fact.cpu_ns, fact.processes), (10, 20, 1));
    table.forget(2);
    // Its last numbers go with it, and a snapshot in between does not lose them; nor does one
    // that follows because nobody confirmed them.
    for _ in 0..2 {
        assert_eq!(table.take_snapshot()[0].count, 10);
        let changes = table.take_changes(10_000, usize::MAX);
        assert_eq!(changes.upserts[0].count, 10);
        assert_eq!(changes.removed, [key("/a").id()]);
    }
    table.confirm();
    assert!(table.take_snapshot().is_empty());
    assert!(!table.has_changes());
}

#[test]
fn a_fact_that_comes_back_before_its_removal_was_told_goes_on() {
    let mut table = Table::new(10);
    table.name(1, key("/a"), at(1)).expect("room");
    table.read(1, reading(5, 10, 0, 2));
    table.forget(1);
    table.name(2, key("/a"), at(3)).expect("room");
    table.read(2, reading(1, 1, 0, 3));
    let changes = table.take_changes(10_000, usize::MAX);
    assert_eq!((changes.upserts[0].count, changes.removed.len()), (6, 0));
}

#[test]
fn time_that_seems_to_step_back_is_not_counted_twice() {
    let mut table = Table::new(10);
    table.name(1, key("/a"), at(1)).expect("room");
    for cpu_ns in [100, 95, 105] {
        table.read(1, reading(1, cpu_ns, 1, 2));
    }
    assert_eq!(
        table.take_changes(10_000, usize::MAX).upserts[0].cpu_ns,
        105
    );
}

#[test]
fn looking_again_changes_nothing_unless_it_runs() {
    let mut table = Table::new(10);
    for (counter, processes) in [(1, 0), (2, 1)] {
        table
            .name(counter, key(&format!("/{counter}")), at(1))
            .expect("room");
        table.read(counter, reading(1, 9, processes, 2));
    }
    table.take_changes(10_000, usize::MAX);
    for (later, told) in [(3, 0), (6, 0), (7, 1), (8, 0), (12, 1)] {
        table.read(1, reading(1, 9, 0, later));
        table.read(2, reading(1, 9, 1, later));
        assert_eq!(
            table.take_changes(10_000, usize::MAX).upserts.len(),
            told,
            "{later}"
        );
    }
    let last_seen = |binary: &str| {
        let facts = table.facts.values().map(|entry| &entry.fact);
        facts
            .filter(|fact| fact.key.binary == binary)
            .map(|fact| fact.last_seen)
            .max()
    };
    assert_eq!(
        (last_seen("/1"), last_seen("/2")),
        (Some(at(2)), Some(at(12)))
    );
}

#[test]
fn what_somebody_should_act_on_is_told_first() {
    let mut table = Table::new(10);
    for counter in 0..5 {
        let mut native = key(&format!("/{counter}"));
        native.mode = Mode::Native;
        table.name(counter, native, at(1)).expect("room");
    }
    table.name(9, key("/emulated"), at(1)).expect("room");
    assert_eq!(
        table.take_changes(1, usize::MAX).upserts[0].key.binary,
        "/emulated"
    );
}

#[test]
fn whoever_looks_sees_whether_something_changed() {
    let mut table = Table::new(10);
    let steps: [fn(&mut Table<i32>); 4] = [
        |table| table.name(1, key("/a"), at(1)).expect("room"),
        |table| table.read(1, reading(5, 10, 1, 2)),
        |table| table.read(1, reading(6, 10, 1, 3)),
        |table| table.forget(1),
    ];
    for step in steps {
        let before = table.version();
        step(&mut table);
        assert_ne!(table.version(), before);
        let facts: Vec<_> = table.ids().filter_map(|id| table.fact(id)).collect();
        assert_eq!(facts.len(), table.len());
    }
    table.name(1, key("/a"), at(1)).expect("room");
    table.read(1, reading(9, 10, 0, 2));
    let before = table.version();
    table.read(1, reading(9, 10, 0, 2));
    table.take_snapshot();
    assert_eq!(table.version(), before, "looking changes nothing");
}

#[test]
fn a_full_table_says_so_and_keeps_what_it_has() {
    let mut table = Table::new(1);
    assert_eq!(table.name(1, key("/a"), at(1)), Ok(()));
    assert_eq!(table.name(2, key("/b"), at(1)), Err(Full));
    assert_eq!(table.name(3, key("/a"), at(1)), Ok(()));
    assert_eq!(table.take_snapshot().len(), 1);
}

proptest! {
    /// Whatever the order of names, readings and deltas: what was told adds up.
    #[test]
    fn deltas_add_up_to_the_counters(steps in prop::collection::vec((0_u8..6, 0_u8..3, 0_u64..9), 1..60)) {
        let mut table = Table::new(100);
        let mut counters = HashMap::<u8, Reading>::new();
        let mut told = HashMap::new();
        for (counter, action, by) in steps {
            match action {
                0 => {
                    let now = counters.entry(counter).or_insert(reading(0, 0, 0, 0));
                    now.count += by;
                    table.read(counter, *now);
                }
                1 => table.name(counter, key(&format!("/{}", counter / 2)), at(0)).expect("room"),
                _ => told.extend(table.take_changes(300, usize::MAX).upserts.into_iter().map(|fact| (fact.key.clone(), fact.count))),
            }
        }
        for counter in 0..6 {
            table.name(counter, key(&format!("/{}", counter / 2)), at(0)).expect("room");
        }
        told.extend(table.take_changes(100_000, usize::MAX).upserts.into_iter().map(|fact| (fact.key.clone(), fact.count)));
        let counted: u64 = counters.values().map(|reading| reading.count).sum();
        prop_assert_eq!(told.values().sum::<u64>(), counted);
    }

    /// Whatever the order: the digest is that of what a receiver of all updates holds.
    #[test]
    fn the_digest_is_that_of_what_was_told(steps in prop::collection::vec((0_u8..8, 0_u8..7, 0_u64..9), 1..80)) {
        let mut table = Table::new(6);
        let mut held = HashMap::<FactId, Fact>::new();
        let mut counts = HashMap::<u8, u64>::new();
        for (counter, action, by) in steps {
            let changes = match action {
                0 => {
                    let count = counts.entry(counter).or_default();
                    *count += by;
                    table.read(counter, reading(*count, *count * 3, by, 0));
                    continue;
                }
                1 | 2 => {
                    // A full table is one of the cases.
                    let _ = table.name(counter, key(&format!("/{}", counter / 2)), at(0));
                    continue;
                }
                3 => {
                    counts.remove(&counter);
                    table.forget(counter);
                    continue;
                }
                4 => {
                    table.confirm();
                    continue;
                }
                5 => {
                    held.clear();
                    Changes { upserts: table.take_snapshot(), removed: Vec::new() }
                }
                _ => {
                    let items = usize::try_from(by).expect("small");
                    let changes = table.take_changes(400 * items, items);
                    let told = changes.upserts.len() + changes.removed.len();
                    prop_assert!(told <= items.max(2));
                    changes
                }
            };
            held.extend(changes.upserts.into_iter().map(|fact| (fact.key.id(), fact)));
            for id in changes.removed {
                prop_assert!(held.remove(&id).is_some());
            }
            let recomputed: Digest = held.values().map(Digest::of_fact).sum();
            prop_assert_eq!(table.digest(), recomputed);
        }
    }

    /// Whatever the order, and whichever updates are lost on their way: somebody who keeps a total
    /// for each fact, and starts to count anew when it is taken back, has counted everything in the end.
    #[test]
    fn nothing_is_counted_twice_or_never(steps in prop::collection::vec((0_u8..4, 0_u8..7, 1_u64..9), 1..80)) {
        let mut table = Table::new(100);
        let mut receiver = Receiver::default();
        let mut counts = HashMap::<u8, u64>::new();
        let mut counted = 0;
        let mut next_is_snapshot = true;
        let quiet = [(0, 4, 1), (0, 6, 1)];
        for (counter, action, by) in steps.into_iter().chain(quiet) {
            match action {
                0 | 1 => {
                    table.name(counter, key(&format!("/{}", counter / 2)), at(0)).expect("room");
                    let count = counts.entry(counter).or_default();
                    *count += by;
                    counted += by;
                    table.read(counter, reading(*count, 0, 0, 0));
                }
                2 | 3 => {
                    counts.remove(&counter);
                    table.forget(counter);
                }
                // An update that is lost: a snapshot comes next.
                5 if next_is_snapshot => { table.take_snapshot(); }
                5 => {
                    table.take_changes(100_000, usize::MAX);
                    next_is_snapshot = true;
                }
                // One that arrives.
                _ if std::mem::take(&mut next_is_snapshot) => {
                    receiver.take_snapshot(table.take_snapshot());
                    table.confirm();
                }
                _ => {
                    receiver.take(table.take_changes(100_000, usize::MAX));
                    table.confirm();
                }
            }
        }
        prop_assert_eq!(receiver.total, counted);
    }
}

/// Keeps totals, as a collector does.
#[derive(Default)]
struct Receiver {
    /// What the other side's counters stand at.
    held: HashMap<FactId, u64>,
    total: u64,
}

impl Receiver {
    fn take_snapshot(&mut self, facts: Vec<Fact>) {
        let ids: HashSet<_> = facts.iter().map(|fact| fact.key.id()).collect();
        self.held.retain(|id, _| ids.contains(id));
        self.take(Changes {
            upserts: facts,
            removed: Vec::new(),
        });
    }

    fn take(&mut self, changes: Changes) {
        for fact in changes.upserts {
            let held = self.held.entry(fact.key.id()).or_default();
            self.total += fact.count - *held;
            *held = fact.count;
        }
        for id in changes.removed {
            self.held.remove(&id);
        }
    }
}
