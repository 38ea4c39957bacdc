//! Where an audit ends, and that it says so.

use std::time::Duration;

use archtrace_audit::{AuditError, Limits, Options, Pace, Progress, tree_at};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::Skip;

use crate::support::{Root, amd64, scan_with};

/// A thousand files in a hundred directories.
fn many() -> Root {
    let root = Root::new();
    for i in 0..1000 {
        root.file(&format!("d{}/{i}.so", i / 10), &amd64());
    }
    root
}

#[test]
fn every_limit_ends_it_and_is_told() {
    let root = many();
    type Change = fn(&mut Limits);
    let cases: [(Change, Skip, bool); 6] = [
        (|limits| limits.entries = 300, Skip::Entries, true),
        (|limits| limits.bytes = 20_000, Skip::Bytes, true),
        (
            |limits| limits.time = Some(Duration::ZERO),
            Skip::Time,
            true,
        ),
        (|limits| limits.pending = 1000, Skip::Entries, false),
        (|limits| limits.depth = 0, Skip::Depth, false),
        (|limits| limits.room.foreign = 7, Skip::Depth, false),
    ];
    for (change, why, once) in cases {
        for threads in [1, 2] {
            let mut options = Options::scan(Arch::Arm64, threads);
            change(&mut options.limits);
            let audit = scan_with(&root, &options);
            let limits = &options.limits;
            if limits.room.foreign == 7 {
                assert_eq!((audit.foreign.len(), audit.more_foreign), (7, 993));
                continue;
            }
            let [(skip, count)] = audit.skipped[..] else {
                panic!("{:?} for {limits:?}", audit.skipped);
            };
            assert_eq!((skip, count == 1), (why, once), "{limits:?}");
            assert!(audit.files < 1000, "{limits:?}");
        }
    }
}

#[test]
fn a_walk_can_be_watched_slowed_and_cancelled() {
    let root = many();
    let mut options = Options::scan(Arch::Arm64, 2);
    options.pace = Some(Pace { files: 1, bytes: 1 });
    let progress = Progress::default();
    std::thread::scope(|scope| {
        let walk = scope.spawn(|| tree_at(root.path(), &options, &progress));
        std::thread::sleep(Duration::from_millis(100));
        progress.cancel();
        let result = walk.join().expect("no panic");
        assert!(matches!(result, Err(AuditError::Cancelled)));
    });
    assert!(progress.files() < 10);
    options.pace = None;
    let progress = Progress::default();
    tree_at(root.path(), &options, &progress).expect("an audit");
    assert_eq!(progress.files(), 1000);
}
