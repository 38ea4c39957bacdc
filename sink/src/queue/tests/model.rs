//! Whatever happens to agent and disk: what was given a sequence is delivered, or named by one loss.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Push(u32),
    Lose,
    /// One batch of so many; whether the answer arrives.
    Send(usize, bool),
    /// The end of the agent at this moment, and the start of the next.
    Restart,
    /// The same, and the newest segment lost so many bytes of its end.
    Tear(u16),
    /// The same, and one byte of some segment was flipped.
    Flip(u8, u16),
    Maintain,
}

/// An agent with its disk, and a collector.
struct World<'a> {
    dir: &'a Path,
    max_bytes: u64,
    queue: Queue,
    pid: u32,
    /// Behind the last sequence of each stream that was safe: on disk, or delivered.
    safe: BTreeMap<u64, u64>,
    /// Up to where the sequences of each stream were noted.
    noted: BTreeMap<u64, u64>,
    /// What has which sequence.
    given: BTreeMap<(u64, u64), Record>,
    stored: BTreeMap<(u64, u64), Record>,
    known: BTreeMap<u64, u64>,
    damaged: bool,
    torn: bool,
}

impl<'a> World<'a> {
    fn new(dir: &'a Path, max_bytes: u64) -> Self {
        let mut world = Self {
            dir,
            max_bytes,
            queue: Queue::with_spool(1, config(dir, max_bytes)),
            pid: 0,
            safe: BTreeMap::new(),
            noted: BTreeMap::new(),
            given: BTreeMap::new(),
            stored: BTreeMap::new(),
            known: BTreeMap::new(),
            damaged: false,
            torn: false,
        };
        world.connect();
        world
    }

    fn run(mut self, steps: Vec<Step>) {
        for step in steps {
            self.step(&step);
        }
        while !self.queue.is_empty() || self.queue.has_unannounced() {
            if self.queue.has_unannounced() {
                self.connect();
            }
            self.send(50, true);
        }
        self.check();
    }

    fn step(&mut self, step: &Step) {
        self.torn |= matches!(step, Step::Tear(_));
        match *step {
            Step::Push(count) => {
                for _ in 0..count {
                    self.pid += 1;
                    self.queue.push_event(event(self.pid));
                    self.note();
                }
            }
            Step::Lose => self.queue.push_loss(loss(Stage::RingBuffer)),
            Step::Send(items, answered) => self.send(items, answered),
            Step::Restart => self.restart(|_| {}),
            Step::Tear(bytes) => self.restart(|dir| {
                if let Some(newest) = segments(dir).last() {
                    let length = fs::metadata(newest).expect("there").len();
                    let file = OpenOptions::new().write(true).open(newest);
                    // An empty segment is one that was done with.
                    let rest = (length - u64::from(bytes) % length.max(1)).max(1);
                    file.expect("there").set_len(rest).expect("cut");
                }
            }),
            Step::Flip(which, at) => self.restart(|dir| {
                let paths = segments(dir);
                let Some(path) = paths.get(usize::from(which) % paths.len().max(1)) else {
                    return;
                };
                let mut bytes = fs::read(path).expect("there");
                if !bytes.is_empty() {
                    let at = usize::from(at) % bytes.len();
                    bytes[at] ^= 0x10;
                    let file = OpenOptions::new().write(true).open(path);
                    let written = file.expect("there").write_all_at(&bytes, 0);
                    written.expect("written");
                }
            }),
            Step::Maintain => {
                if let Some(spool) = &mut self.queue.spool {
                    spool.retry_now();
                }
                self.queue.maintain();
            }
        }
        self.note();
    }

    fn note(&mut self) {
        let id = self.queue.stream_id();
        let safe = self
            .queue
            .written
            .max(self.known.get(&id).copied().unwrap_or(1));
        self.safe.insert(id, safe);
        let noted = self.noted.entry(id).or_insert(1);
        let from = (*noted).max(self.queue.recent_first);
        *noted = self.queue.next();
        let skipped = usize::try_from(from - self.queue.recent_first).expect("small");
        let news = self.queue.recent.iter().skip(skipped).cloned();
        self.given
            .extend((from..).map(|sequence| (id, sequence)).zip(news));
    }

    fn restart(&mut self, damage: impl Fn(&Path)) {
        self.note();
        let id = self.queue.stream_id() + 1;
        // The old one lets go of its lock first.
        self.queue = Queue::new(id);
        damage(self.dir);
        self.queue = Queue::with_spool(id, config(self.dir, self.max_bytes));
        self.note();
        self.connect();
    }

    fn connect(&mut self) {
        let earlier = self.queue.announce();
        for stream in earlier {
            let next = self.known.get(&stream.stream_id).copied();
            let next = next.unwrap_or(stream.oldest_sequence);
            self.known.insert(stream.stream_id, next);
            let taken = self
                .queue
                .welcome(stream.stream_id, next.min(stream.next_sequence));
            taken.expect("makes sense");
        }
        let own = self.queue.stream_id();
        let next = *self.known.entry(own).or_insert(self.queue.oldest());
        self.queue.welcome(own, next).expect("makes sense");
        self.note();
    }

    fn send(&mut self, items: usize, answered: bool) {
        let Some(batch) = self.queue.front(20_000, items) else {
            if self.queue.has_unannounced() {
                self.connect();
            }
            return;
        };
        self.note();
        let id = batch.stream_id;
        let mut sequence = batch.first_sequence;
        for record in batch.records {
            let stored = self.stored.entry((id, sequence));
            assert_eq!(*stored.or_insert_with(|| record.clone()), record);
            sequence += 1;
        }
        let known = self.known.get_mut(&id).expect("was announced");
        *known = sequence.max(*known);
        if answered {
            self.queue.acknowledge(id, *known).expect("makes sense");
        }
        self.note();
    }

    /// Every sequence is stored or named once.
    fn check(self) {
        let mut named = BTreeMap::new();
        let mut unknown = false;
        for record in self.stored.values() {
            let Record::Loss(loss) = record else { continue };
            unknown |= loss.stage == "spool" && loss.count == 0;
            let Some(range) = loss.range else { continue };
            assert_eq!(loss.count, range.last - range.first + 1, "{loss:?}");
            for sequence in range.first..=range.last {
                let twice = named.insert((range.stream_id, sequence), ());
                assert!(
                    twice.is_none(),
                    "{sequence} of {} is named twice",
                    range.stream_id
                );
            }
        }
        for (place, record) in &self.stored {
            assert!(!named.contains_key(place), "{place:?} was stored and named");
            if let Some(given) = self.given.get(place) {
                assert_eq!(given, record, "{place:?} is another record");
            }
        }
        let last = |id: u64| {
            let of = |(stream, _): &&(u64, u64)| *stream == id;
            let stored = self.stored.keys().chain(named.keys()).filter(of);
            stored.map(|(_, sequence)| *sequence).max().unwrap_or(0)
        };
        for (&id, &safe) in &self.safe {
            let last = last(id);
            for sequence in 1..safe {
                let place = (id, sequence);
                let told = self.stored.contains_key(&place) || named.contains_key(&place);
                // How much of an end was torn off nobody can know; nor that it was, between frames.
                let torn = self.damaged && (unknown || self.torn) && sequence > last;
                assert!(told || torn, "{place:?} is neither stored nor named");
            }
        }
    }
}

fn steps(damage: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1_u32..60).prop_map(Step::Push),
        1 => Just(Step::Push(700)),
        2 => Just(Step::Lose),
        4 => (1_usize..80, any::<bool>()).prop_map(|(items, answered)| Step::Send(items, answered)),
        2 => Just(Step::Restart),
        1 => Just(Step::Maintain),
    ];
    let steps = prop::collection::vec(step, 1..30);
    let harm = prop_oneof![
        (0_u16..2000).prop_map(Step::Tear),
        (any::<u8>(), any::<u16>()).prop_map(|(which, at)| Step::Flip(which, at)),
    ];
    (steps, harm, any::<prop::sample::Index>()).prop_map(move |(mut steps, harm, index)| {
        if damage {
            let index = index.index(steps.len());
            steps.insert(index, harm);
        }
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn everything_is_delivered_or_named_once(steps in steps(false), small: bool) {
        let dir = tempfile::tempdir().expect("a directory");
        let max_bytes = if small { 40_000 } else { 1 << 24 };
        World::new(dir.path(), max_bytes).run(steps);
    }

    #[test]
    fn damage_costs_what_it_hit_and_is_told(steps in steps(true)) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut world = World::new(dir.path(), 1 << 24);
        world.damaged = true;
        world.run(steps);
    }
}

/// Where it was noted that a record was handed out is evicted, and the record is not, because it was.
#[test]
fn what_was_handed_out_is_known_after_evictions() {
    use Step::{Lose, Push, Restart, Send};

    let dir = tempfile::tempdir().expect("a directory");
    let steps = [
        &[Push(30), Restart, Send(1, false), Push(55), Push(700)][..],
        &[Push(54), Lose, Push(700), Push(9), Restart, Send(43, true)],
    ];
    World::new(dir.path(), 40_000).run(steps.concat());
}

/// On a file system of some pages, in a mount namespace of this thread's own.
#[test]
fn a_full_disk_means_memory_only_until_there_is_room() {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    use proptest::test_runner::TestRunner;

    let done = std::thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNS) {
            eprintln!("not run: no mount namespace ({error})");
            return;
        }
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private");
        let runner = TestRunner::new(ProptestConfig::with_cases(16));
        { runner }
            .run(&steps(false), |steps| {
                let dir = tempfile::tempdir().expect("a directory");
                let size = Some("size=80k");
                mount(
                    Some("tmpfs"),
                    dir.path(),
                    Some("tmpfs"),
                    MsFlags::empty(),
                    size,
                )
                .expect("mounted");
                World::new(dir.path(), 1 << 20).run(steps);
                nix::mount::umount2(dir.path(), nix::mount::MntFlags::MNT_DETACH)
                    .expect("unmounted");
                Ok(())
            })
            .expect("holds");
    });
    done.join().expect("holds");
}
