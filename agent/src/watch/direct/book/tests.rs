use std::collections::{HashMap, HashSet, VecDeque};

use archtrace_ebpf::abi::mode;
use archtrace_facts::elf::{Class, Data, Ident};
use proptest::prelude::*;

use super::*;

const PID: u32 = 7;

fn emulator() -> CellKey {
    CellKey {
        cgroup: 1,
        inode: 2,
        dev: 3,
        machine: 62,
        mode: mode::DIRECT,
        ident: 0,
    }
}

fn exec(ns: u64) -> Look {
    Look {
        pid: PID,
        exec_ns: Some(ns),
        from: Some(emulator()),
        cgroup: 1,
        emulator: PathBuf::from("/emulator"),
        comm: String::new(),
        time: SystemTime::UNIX_EPOCH,
    }
}

/// An exec that counted as a native one.
fn native(ns: u64) -> Look {
    Look {
        from: None,
        ..exec(ns)
    }
}

/// One that nobody has watched for.
fn old() -> Look {
    Look {
        exec_ns: None,
        ..native(0)
    }
}

/// A guest that is told from others by its inode.
fn guest(inode: u64) -> Mapped {
    Mapped::Guest(MappedGuest {
        path: PathBuf::from("/guest"),
        inode,
        dev: 3,
        ident: Ident {
            machine: 183,
            class: Class::Elf64,
            data: Data::Little,
        },
        emulator: PathBuf::from("/emulator"),
    })
}

impl Book {
    /// Begins what is to be looked into.
    fn opened(&mut self, look: Look) -> Id {
        let begun = self.begin(look);
        assert!(matches!(begun, Begun::Open), "{begun:?}");
        (PID, self.number)
    }
}

/// When the exec was that has a guest, and that guest's inode; no inode if it was gone.
fn told(settled: Option<Settled>) -> Option<(u64, Option<u64>)> {
    settled.map(|settled| {
        let guest = settled.guest.map(|guest| guest.inode);
        (settled.look.since(), guest)
    })
}

/// The same of an exec that need not be looked into.
fn seen(begun: Begun) -> Option<(u64, Option<u64>)> {
    match begun {
        Begun::Seen(settled) => told(settled),
        Begun::Open | Begun::TooMany(_) => panic!("{begun:?}"),
    }
}

#[test]
fn an_emulator_that_starts_itself_anew_has_one_guest() {
    // The second exec's record is taken in time.
    let mut book = Book::default();
    let first = book.opened(exec(10));
    let second = book.opened(exec(20));
    assert_eq!(
        told(book.answer(first, guest(5), 30)),
        Some((20, Some(5))),
        "what was seen is the second's"
    );
    assert_eq!(told(book.answer(second, guest(5), 40)), None);
    assert_eq!(book.elsewhere(&emulator()), 2);

    // It is taken when the guest was seen already.
    let mut book = Book::default();
    let first = book.opened(exec(10));
    assert_eq!(told(book.answer(first, guest(5), 30)), Some((10, Some(5))));
    assert_eq!(seen(book.begin(exec(20))), None);
    assert!(!book.looks_into(PID));
    assert_eq!(book.elsewhere(&emulator()), 2);

    // And so where the process was gone by then: one of both stays with the emulator.
    let mut book = Book::default();
    let first = book.opened(exec(10));
    assert_eq!(told(book.answer(first, Mapped::Gone, 30)), Some((10, None)));
    assert_eq!(seen(book.begin(exec(20))), None);
    assert_eq!(book.elsewhere(&emulator()), 1);
}

#[test]
fn a_guest_that_executes_the_next_is_not_lost() {
    let mut book = Book::default();
    let first = book.opened(exec(10));
    let second = book.opened(exec(20));
    assert_eq!(told(book.answer(first, guest(5), 15)), Some((10, Some(5))));
    assert_eq!(told(book.answer(second, guest(6), 30)), Some((20, Some(6))));
    book.opened(exec(40));
}

#[test]
fn a_scan_that_ends_late_counts_nothing_twice() {
    // The file became known between two execs of one process.
    let mut book = Book::default();
    let scanned = book.opened(native(10));
    let known = book.opened(exec(20));
    assert_eq!(
        told(book.answer(scanned, guest(5), 30)),
        Some((20, Some(5)))
    );
    assert_eq!(told(book.answer(known, guest(5), 31)), None);
    assert_eq!(seen(book.begin(native(11))), None);
    assert!(!book.looks_into(PID));
}

#[test]
fn what_an_old_process_has_counts_once_its_exec_is_told() {
    let mut book = Book::default();
    let asked = book.opened(old());
    let settled = book.answer(asked, guest(5), 30).expect("seen");
    assert_eq!(settled.look.exec_ns, None, "nobody knows of an exec");
    assert_eq!(seen(book.begin(exec(20))), Some((20, Some(5))));
    assert_eq!(seen(book.begin(native(15))), None);
}

#[test]
fn more_than_can_be_looked_into_stay_with_the_emulator() {
    let mut book = Book::default();
    let of = |number: usize| Look {
        pid: u32::try_from(number).expect("few"),
        ..exec(10)
    };
    for number in 0..MAX_LOOKS {
        assert!(matches!(book.begin(of(number)), Begun::Open));
    }
    assert!(matches!(book.begin(of(MAX_LOOKS)), Begun::TooMany(_)));
    assert_eq!(book.elsewhere(&emulator()), MAX_LOOKS as u64);
    for id in book.open.keys().copied().collect::<Vec<_>>() {
        assert_eq!(told(book.abandon(id)), Some((10, None)));
    }
    assert_eq!(book.elsewhere(&emulator()), 0);
}

/// What may happen next, to one process and in the agent.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An emulator is executed: a known one, or one that nobody knows yet.
    Exec { known: bool },
    /// It maps its guest.
    Map,
    /// The process ends. What is executed then is another of the same number.
    Exit,
    /// A record is taken: the first that waits, or the end of a scan.
    Record { scan: bool },
    /// The process is found in a list of all.
    Old,
    /// The reader looks at the process.
    Look,
    /// What it saw is taken.
    Answer,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::bool::weighted(0.8).prop_map(|known| Step::Exec { known }),
        3 => Just(Step::Map),
        1 => Just(Step::Exit),
        3 => prop::bool::weighted(0.3).prop_map(|scan| Step::Record { scan }),
        1 => Just(Step::Old),
        4 => Just(Step::Look),
        4 => Just(Step::Answer),
    ]
}

/// The process as it is, and what the agent heard of it.
#[derive(Default)]
struct Story {
    book: Book,
    now: u64,
    /// When the current program was executed, and whether it has mapped its guest, which is called by
    /// that time.
    running: Option<(u64, bool)>,
    known: HashSet<u64>,
    records: VecDeque<u64>,
    scans: VecDeque<u64>,
    /// The reader does one thing at a time.
    looking: Option<(Id, Mapped, u64)>,
    /// Guests that a look has shown.
    shown: HashSet<u64>,
    /// Execs that were looked at until they seemed to have none.
    decided: HashSet<u64>,
    /// How often each guest was counted.
    counted: HashMap<u64, u32>,
    unknown: u64,
}

impl Story {
    fn take(&mut self, settled: Option<Settled>) {
        let Some(Settled { look, guest, .. }) = settled else {
            return;
        };
        match guest {
            Some(guest) => {
                *self.counted.entry(guest.inode).or_default() += u32::from(look.exec_ns.is_some());
            }
            None => self.unknown += u64::from(look.from.is_some()),
        }
    }

    fn begin(&mut self, look: Look) {
        if let Begun::Seen(settled) = self.book.begin(look) {
            self.take(settled);
        }
    }

    fn step(&mut self, step: Step) {
        self.now += 1;
        match step {
            Step::Exec { known } => {
                self.running = Some((self.now, false));
                if known {
                    self.known.insert(self.now);
                    self.records.push_back(self.now);
                } else {
                    self.scans.push_back(self.now);
                }
            }
            Step::Map => self.running = self.running.map(|(ns, _)| (ns, true)),
            Step::Exit => self.running = None,
            Step::Record { scan: true } => {
                if let Some(ns) = self.scans.pop_front() {
                    self.begin(native(ns));
                }
            }
            Step::Record { scan: false } => {
                if let Some(ns) = self.records.pop_front() {
                    self.begin(exec(ns));
                }
            }
            Step::Old => {
                if !self.book.looks_into(PID) {
                    self.begin(old());
                }
            }
            Step::Look => {
                if self.looking.is_none()
                    && let Some(id) = self.book.open.keys().next()
                {
                    let mapped = match self.running {
                        None => Mapped::Gone,
                        Some((_, false)) => Mapped::NoGuest,
                        Some((ns, true)) => {
                            self.shown.insert(ns);
                            guest(ns)
                        }
                    };
                    self.looking = Some((*id, mapped, self.now));
                }
            }
            Step::Answer => {
                if let Some((id, mapped, at)) = self.looking.take() {
                    let look = self.book.open.get(&id).map(|open| open.look.clone());
                    let seen = matches!(mapped, Mapped::Guest(_));
                    let settled = self.book.answer(id, mapped, at);
                    if let Some(look) = look
                        && !seen
                        && !self.book.looks_into(PID)
                    {
                        self.decided.insert(look.since());
                    }
                    self.take(settled);
                }
            }
        }
    }

    /// All that waits is taken, and everything looked into to its end.
    fn end(&mut self) {
        while !(self.records.is_empty()
            && self.scans.is_empty()
            && self.looking.is_none()
            && self.book.open.is_empty())
        {
            for step in [
                Step::Answer,
                Step::Record { scan: false },
                Step::Record { scan: true },
                Step::Look,
            ] {
                self.step(step);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes when: a guest that somebody saw is counted once, and what nobody saw never.
    #[test]
    fn never_twice_and_never_lost(steps in prop::collection::vec(step(), 0..60)) {
        let mut story = Story::default();
        for step in steps {
            story.step(step);
        }
        story.end();
        for (guest, times) in &story.counted {
            prop_assert!(*times <= 1, "{guest} was counted {times} times");
            prop_assert!(*times == 0 || story.shown.contains(guest));
        }
        for guest in &story.shown {
            let must = story.known.contains(guest) && !story.decided.contains(guest);
            let counted = story.counted.get(guest) == Some(&1);
            prop_assert!(!must || counted, "{guest} was seen and not counted");
        }
        // Each exec that the kernel counted for the emulator is there, or elsewhere.
        let known = story.known.len() as u64;
        prop_assert_eq!(story.book.elsewhere(&emulator()) + story.unknown, known);
    }
}
