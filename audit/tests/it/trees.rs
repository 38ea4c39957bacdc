//! What is found where, in trees like those of images.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use archtrace_audit::{AuditError, Launch, Options, Progress, Tree, file, tree_at};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::Role;
use archtrace_guests::Isa;

use crate::support::{Root, amd64, arm64, elf, found, scan, scan_with};

/// A native image with what was brought along for another machine.
fn image() -> Root {
    let root = Root::new();
    for (path, isa) in [
        ("usr/bin/dash", Isa::Arm64),
        ("usr/bin/old", Isa::Amd64),
        ("usr/lib/aarch64-linux-gnu/libc.so.6", Isa::Arm64),
        ("usr/lib/aarch64-linux-gnu/libx.so.1", Isa::Amd64),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", Isa::Amd64),
        ("usr/lib/libarm.so", Isa::Arm),
        ("opt/hsm-1.2/lib/libhsm.so", Isa::Amd64),
        ("opt/more/libmore.so", Isa::Amd64),
        ("app/node_modules/a/a.node", Isa::Amd64),
        ("app/node_modules/b/prebuilds/linux-x64/b.node", Isa::Amd64),
        (
            "app/node_modules/b/prebuilds/linux-arm64/b.node",
            Isa::Arm64,
        ),
        ("venv/site-packages/c/c.so", Isa::Amd64),
        ("app/server", Isa::Amd64),
        ("app/data", Isa::Amd64),
    ] {
        root.file(path, &elf(isa));
    }
    for path in ["usr/bin/old", "app/server"] {
        fs::set_permissions(root.at(path), fs::Permissions::from_mode(0o755)).expect("allowed");
    }
    root.link("bin", "usr/bin");
    root.link("usr/bin/sh", "/usr/bin/dash");
    root.link("opt/hsm", "hsm-1.2");
    root.file("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n");
    root.file("etc/ld.so.conf.d/hsm.conf", b"# HSM\n/opt/hsm/lib\n");
    root.file("app/start", b"#!/bin/sh\nexec /app/server\n");
    root
}

#[test]
fn everything_that_would_crash_is_found() {
    let root = image();
    let mut options = Options::scan(Arch::Arm64, 2);
    options.launch = Launch {
        argv: vec![b"start".to_vec(), b"/app/server".to_vec()],
        path: Some(b"/usr/bin:/app".to_vec()),
        library_path: Some(b"/opt/more:relative".to_vec()),
        dir: None,
    };
    let audit = scan_with(&root, &options);
    assert_eq!(
        found(&audit),
        [
            ("/app/server", Role::Main),
            ("/usr/bin/old", Role::Program),
            ("/opt/hsm-1.2/lib/libhsm.so", Role::Library),
            ("/opt/more/libmore.so", Role::Library),
            ("/usr/lib/aarch64-linux-gnu/libx.so.1", Role::Library),
            ("/app/node_modules/a/a.node", Role::NodeAddon),
            ("/venv/site-packages/c/c.so", Role::PythonExtension),
        ]
    );
    assert_eq!(audit.main, Some(("/app/server".to_owned(), Arch::Amd64)));
    assert_eq!(audit.files, 17);
    assert_eq!(
        audit.elf,
        [(Arch::Amd64, 10), (Arch::Arm, 1), (Arch::Arm64, 3)]
    );
    assert_eq!((audit.skipped.as_slice(), audit.more_foreign), (&[][..], 0));
    options.launch.argv = vec![b"/bin/sh".to_vec(), b"-c".to_vec(), b"true".to_vec()];
    let main = scan_with(&root, &options).main;
    assert_eq!(main, Some(("/usr/bin/dash".to_owned(), Arch::Arm64)));
}

#[test]
fn however_many_look_and_whoever_lives_there_it_is_the_same() {
    let root = image();
    let one = scan_with(&root, &Options::scan(Arch::Arm64, 1));
    for threads in [0, 2, 3, 8] {
        assert_eq!(scan_with(&root, &Options::scan(Arch::Arm64, threads)), one);
    }
    let mut guest = Options::guest(Arch::Arm64);
    assert_eq!(guest.tree, Tree::Live);
    assert_eq!(scan_with(&root, &guest), one);
    guest.pace = None;
    assert_eq!(scan_with(&root, &guest), one);
    assert_eq!(scan_with(&image(), &Options::scan(Arch::Arm64, 1)), one);
}

#[test]
fn times_of_files_stay() {
    let root = image();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000);
    let file = fs::File::options().write(true).open(root.at("app/server"));
    let times = fs::FileTimes::new().set_accessed(old);
    file.and_then(|file| file.set_times(times)).expect("set");
    scan(&root);
    let after = fs::metadata(root.at("app/server")).and_then(|meta| meta.accessed());
    assert_eq!(after.expect("a time"), old);
}

#[test]
fn a_single_file_is_looked_at_too() {
    let root = Root::new();
    root.file("native", &arm64());
    root.file("foreign.so", &amd64());
    root.file("text", b"hello");
    root.link("link.so", "foreign.so");
    let options = Options::scan(Arch::Arm64, 1);
    for (name, files, findings) in [
        ("native", 1, 0),
        ("foreign.so", 1, 1),
        ("link.so", 1, 1),
        ("text", 1, 0),
    ] {
        let audit = file(&root.at(name), &options, &Progress::default()).expect(name);
        assert_eq!(
            (audit.files, audit.foreign.len()),
            (files, findings),
            "{name}"
        );
    }
}

#[test]
fn what_cannot_be_looked_at_is_an_error_with_its_path() {
    let root = Root::new();
    root.file("file", b"x");
    nix::unistd::mkfifo(&root.at("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("made");
    let options = Options::scan(Arch::Arm64, 1);
    let progress = Progress::default();
    let check = |result: Result<_, AuditError>, path: &Path| {
        let text = result.expect_err("nothing to look at").to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
    };
    for name in ["file", "fifo", "none"] {
        let path = root.at(name);
        check(tree_at(&path, &options, &progress), &path);
    }
    for name in ["fifo", "none"] {
        let path = root.at(name);
        check(file(&path, &options, &progress), &path);
    }
    check(file(root.path(), &options, &progress), root.path());
}
