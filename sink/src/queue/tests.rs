use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{EventKind, FactKey, Mode, Via};
mod model;

use super::*;
use crate::spool::{self, Owner};

fn event(pid: u32) -> Event {
    Event {
        time: SystemTime::UNIX_EPOCH,
        kind: EventKind::EmulatedExec,
        pid,
        comm: String::new(),
        key: FactKey {
            cgroup: String::new(),
            binary: "/".repeat(1 + pid as usize % 300),
            path_resolved: true,
            arch: Arch::Arm64,
            mode: Mode::Emulated,
            emulator: Some(String::new()),
            via: Some(Via::BinfmtMisc),
            cause: None,
        },
        errno: 0,
        count: 1,
        instruction: None,
    }
}

fn loss(stage: Stage) -> Loss {
    let time = SystemTime::UNIX_EPOCH;
    Loss {
        stage,
        count: 1,
        since: time,
        until: time,
    }
}

fn losses(queue: &Queue) -> u64 {
    let lost = |record: &Record| match record {
        Record::Loss(loss) => loss.count,
        Record::Event(_) | Record::Handler(_) => 0,
    };
    let waiting: u64 = queue.losses.pending().iter().map(|loss| loss.count).sum();
    queue.recent.iter().map(lost).sum::<u64>() + waiting
}

/// Sequence of the first and number of all.
fn front(queue: &mut Queue, bytes: usize) -> (u64, usize) {
    let batch = queue.front(bytes, usize::MAX).expect("some");
    (batch.first_sequence, batch.records.len())
}

#[test]
fn sequences_follow_without_a_gap() {
    let mut queue = Queue::new(7);
    for _ in 0..5 {
        queue.push_event(event(0));
    }
    assert_eq!((queue.oldest(), queue.next()), (1, 6));
    assert_eq!(front(&mut queue, 1), (1, 1));
    assert_eq!(queue.acknowledge(7, 3), Err(2), "only one was sent");
    assert_eq!(front(&mut queue, 10_000), (1, 5));
    assert_eq!(queue.acknowledge(7, 3), Ok(true));
    assert_eq!((front(&mut queue, 10_000), queue.next()), ((3, 3), 6));
    assert_eq!(queue.acknowledge(7, 1), Ok(false));
    assert_eq!(queue.acknowledge(8, 1000), Ok(false));
    assert_eq!(queue.acknowledge(7, 100), Err(6));
    assert_eq!(queue.acknowledge(7, 6), Ok(true));
    assert_eq!(
        (queue.oldest(), queue.next(), queue.is_empty()),
        (6, 6, true)
    );
    assert_eq!(queue.front(1, 1), None);
}

#[test]
fn what_does_not_fit_is_told_as_lost() {
    let mut queue = Queue::new(7);
    let sent = CAPACITY + 100;
    for _ in 0..sent {
        queue.push_event(event(0));
    }
    let held = (CAPACITY - RESERVE) as u64;
    assert_eq!(losses(&queue), sent as u64 - held);
    // One of them is told at once, the rest when that has arrived.
    assert_eq!(queue.next(), 1 + held + 1);
    queue.front(usize::MAX, usize::MAX);
    assert_eq!(queue.acknowledge(7, queue.next()), Ok(true));
    assert_eq!((queue.oldest(), queue.next()), (held + 2, held + 3));
    queue.front(usize::MAX, usize::MAX);
    assert_eq!(queue.acknowledge(7, queue.next()), Ok(true));
    assert!(queue.is_empty() && queue.losses.pending().is_empty());
}

#[test]
fn a_flood_of_losses_takes_one_place_a_stage() {
    let mut queue = Queue::new(7);
    for _ in 0..2 * CAPACITY {
        queue.push_loss(loss(Stage::RingBuffer));
        queue.push_loss(loss(Stage::TaskMap));
    }
    assert_eq!(queue.recent.len(), 2);
    assert_eq!(losses(&queue), 4 * CAPACITY as u64);
}

#[test]
fn memory_stays_small_while_the_disk_takes_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut queue = Queue::with_spool(7, config(dir.path(), 64 << 20));
    for pid in 0..20_000 {
        queue.push_event(event(pid));
        assert!(queue.recent.len() <= SPILL);
    }
    let mut next = 1;
    while let Some(batch) = queue.front(100_000, 400) {
        assert_eq!(batch.first_sequence, next);
        next += batch.records.len() as u64;
        assert_eq!(queue.acknowledge(7, next), Ok(true));
    }
    assert_eq!(next, 20_001);
    assert_eq!(queue.spooled_bytes(), 0);
}

#[test]
fn a_second_agent_and_another_collector_share_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut queue = Queue::with_spool(7, config(dir.path(), 64 << 20));
    queue.push_event(event(1));
    let second = Queue::with_spool(8, config(dir.path(), 64 << 20));
    assert!(second.kept().contains("another agent"), "{}", second.kept());
    assert!(second.missing().is_some());
    drop((queue, second));
    let mut other = config(dir.path(), 64 << 20);
    other.owner.collector = "http://elsewhere".to_owned();
    let mut queue = Queue::with_spool(9, other);
    assert_eq!((queue.kept().as_str(), queue.streams.len()), ("disk", 1));
    let batch = queue.front(1000, 10).expect("a loss");
    let Record::Loss(loss) = &batch.records[0] else {
        panic!("{batch:?}");
    };
    assert_eq!(
        (loss.stage.as_str(), loss.count, loss.range),
        ("spool", 1, None)
    );
}

#[test]
fn what_is_too_old_is_told_as_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut old = config(dir.path(), 64 << 20);
    old.max_age = Duration::ZERO;
    let mut queue = Queue::with_spool(7, old);
    for pid in 0..3 {
        queue.push_event(event(pid));
    }
    let batch = queue.front(100_000, 400).expect("a loss at least");
    let is_range = |record: &Record| matches!(record, Record::Loss(loss) if loss.range.is_some());
    assert!(batch.records.iter().any(is_range), "{batch:?}");
}

#[test]
fn links_are_not_followed_and_nobody_else_may_look() {
    use std::os::unix::fs::{MetadataExt as _, symlink};
    let dir = tempfile::tempdir().expect("a directory");
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    symlink(&elsewhere, dir.path().join("spool")).expect("a link");
    let mut queue = Queue::with_spool(7, config(dir.path(), 1 << 20));
    queue.push_event(event(1));
    assert!(queue.kept().starts_with("memory: "), "{}", queue.kept());
    assert_eq!(fs::read_dir(&elsewhere).expect("readable").count(), 0);

    fs::remove_file(dir.path().join("spool")).expect("removed");
    let mut queue = Queue::with_spool(7, config(dir.path(), 1 << 20));
    queue.push_event(event(1));
    assert_eq!(queue.kept(), "disk");
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!(mode(&dir.path().join("spool")), 0o700);
    for file in segments(dir.path()) {
        assert_eq!(mode(&file), 0o600);
    }
}

#[test]
fn whether_there_is_a_disk_can_be_asked_without_making_anything() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state/of/agent");
    assert_eq!(spool::check(&state), Ok(()));
    assert!(!dir.path().join("state").exists());
    let queue = Queue::with_spool(7, config(&state, 1 << 20));
    assert_eq!(queue.kept(), "disk");
    assert_eq!(spool::check(&state), Ok(()), "in use");
    let said = spool::check(Path::new("/dev/null/state")).expect_err("no directory");
    assert!(said.contains("/dev/null/state"), "{said}");
}

fn config(state_dir: &Path, max_bytes: u64) -> Config {
    Config {
        state_dir: state_dir.to_owned(),
        max_bytes,
        max_age: Duration::from_secs(3600),
        owner: Owner {
            cluster: "c".to_owned(),
            node: "n".to_owned(),
            collector: "http://127.0.0.1:1".to_owned(),
        },
    }
}

fn segments(state_dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state_dir.join("spool")).expect("readable");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.retain(|path| path.extension().is_some());
    paths.sort();
    paths
}
