//! A tree by somebody who wants a look at it to hang, to leave, or to never end.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use archtrace_audit::{Launch, Options, Tree};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::Skip;
use archtrace_guests::zip::{Member, zip};
use nix::fcntl::{OFlag, open, openat};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mkdirat, mknod};

use crate::support::{Root, amd64, arm64, found, scan_with};

/// How long a look may take; it takes a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(20);

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Looks at a tree in every way there is.
fn check(root: &Root, expected: &[&str], skipped: &[Skip]) {
    for (threads, tree) in [(1, Tree::Still), (2, Tree::Still), (1, Tree::Live)] {
        let mut options = Options::scan(Arch::Arm64, threads);
        options.tree = tree;
        options.launch = Launch {
            argv: vec![b"/out/run".to_vec()],
            library_path: Some(b"/out:/loop/a".to_vec()),
            ..Launch::default()
        };
        let start = Instant::now();
        let audit = scan_with(root, &options);
        assert!(start.elapsed() < PATIENCE, "it took {:?}", start.elapsed());
        let paths: Vec<_> = found(&audit).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, expected, "{threads} threads, {tree:?}");
        let reasons: Vec<_> = audit.skipped.iter().map(|(why, _)| *why).collect();
        assert_eq!(reasons, skipped, "{threads} threads, {tree:?}");
        assert_eq!(audit.main, None);
    }
}

#[test]
fn links_do_not_lead_out() {
    let (outside, root) = (Root::new(), Root::new());
    outside.file("run", &amd64());
    outside.file("lib.so", &amd64());
    root.link("out", outside.path());
    root.link("lib.so", outside.path().join("lib.so"));
    let up = format!("{}{}", "../".repeat(20), outside.path().display());
    root.link("a/up", &up);
    root.link("a/up.so", format!("{up}/lib.so"));
    root.link("loop/a", "b");
    root.link("loop/b", "a");
    root.link("loop/self", ".");
    root.link("proc.so", "/proc/self/exe");
    root.file("in.so", &amd64());
    check(&root, &["/in.so"], &[]);
}

#[test]
fn only_regular_files_are_opened() {
    let root = Root::new();
    root.file("in.so", &amd64());
    for name in ["fifo.so", "fifo.jar"] {
        nix::unistd::mkfifo(&root.at(name), Mode::S_IRWXU).expect("made");
    }
    let _listener = UnixListener::bind(root.at("socket.so")).expect("bound");
    if is_root() {
        for (name, kind, device) in [
            ("zero.so", SFlag::S_IFCHR, makedev(1, 5)),
            ("watchdog", SFlag::S_IFCHR, makedev(10, 130)),
            ("disk.jar", SFlag::S_IFBLK, makedev(7, 0)),
        ] {
            mknod(&root.at(name), kind, Mode::S_IRWXU, device).expect("made");
        }
    }
    check(&root, &["/in.so"], &[]);
}

#[test]
fn sizes_do_not_matter() {
    let root = Root::new();
    let sparse = |name: &str, start: &[u8]| {
        let mut file = File::create(root.at(name)).expect("made");
        file.write_all(start).expect("written");
        file.set_len(10 << 30).expect("made longer");
    };
    sparse("sparse.bin", b"x");
    sparse("sparse.so", &amd64());
    // Its end is nothing but zeros.
    sparse("sparse.jar", b"PK\x03\x04");
    let zeros = vec![0; 16 << 20];
    let bomb = zip(&[Member::deflated("a.so", &zeros)]);
    let bombs = (0..50)
        .map(|_| Member::stored("b.jar", &bomb))
        .collect::<Vec<_>>();
    root.file("bomb.jar", &zip(&bombs));
    root.file(
        "lie.jar",
        &zip(&[Member::deflated("a.jar", &zeros).claiming(1000)]),
    );
    check(&root, &["/sparse.so"], &[Skip::BadArchive]);
}

#[test]
fn depth_and_names_do_not_matter() {
    let root = Root::new();
    let deep = "d/".repeat(200);
    root.file(&format!("{deep}in.so"), &amd64());
    // Deeper than is looked at, and longer than a path may be: made step by step.
    let name = "n".repeat(250);
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut at = open(root.path(), flags, Mode::empty()).expect("opened");
    for _ in 0..20 {
        mkdirat(&at, name.as_str(), Mode::S_IRWXU).expect("made");
        at = openat(&at, name.as_str(), flags, Mode::empty()).expect("opened");
    }
    let wild = root.path().join(OsStr::from_bytes(b"\xff\xfe\n\x1b[2J.so"));
    fs::write(wild, amd64()).expect("written");
    let deeper = "d/".repeat(300);
    root.file(&format!("{deeper}in.so"), &amd64());
    let shown = format!("/{deep}in.so");
    let wild = r"/\xff\xfe\x0a\x1b[2J.so";
    check(&root, &[&shown, wild], &[Skip::Depth]);
}

#[test]
fn other_file_systems_are_not_entered() {
    if !is_root() {
        eprintln!("only root may mount: not tried");
        return;
    }
    // A thread with a mount namespace of its own, which ends with it.
    let work = || {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private");
        let (outside, root) = (Root::new(), Root::new());
        outside.file("run.so", &amd64());
        root.file("in.so", &amd64());
        root.file("out/run", b"");
        root.file("bound.so", &arm64());
        let bind = |from: &std::path::Path, to: &str| {
            mount(Some(from), &root.at(to), none, MsFlags::MS_BIND, none).expect("bound");
        };
        bind(outside.path(), "out");
        bind(&outside.at("run.so"), "bound.so");
        check(&root, &["/in.so"], &[Skip::OtherFileSystem]);
        for name in ["out", "bound.so"] {
            nix::mount::umount(&root.at(name)).expect("unmounted");
        }
    };
    std::thread::spawn(work).join().expect("no panic");
}
