//! Jars and wheels.

use archtrace_audit::{Options, archive};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Audit, Inventory, Role, Skip, Surroundings};
use archtrace_guests::zip::{Member, zip};
use proptest::prelude::*;

use crate::support::{Root, amd64, arm64, found, scan};

fn look(bytes: &[u8], options: &Options) -> (Audit, u64) {
    let limits = &options.limits;
    let mut inventory = Inventory::new(options.expected, limits.room);
    let read = archive(&mut inventory, b"/app/a.jar", &bytes, &limits.archive);
    (inventory.finish(&Surroundings::default()), read)
}

#[test]
fn libraries_in_archives_are_found() {
    let root = Root::new();
    let inner = zip(&[Member::deflated("linux/libin.so", &amd64())]);
    let archives = [
        (
            "app/both.jar",
            vec![
                Member::deflated("a.so", &amd64()),
                Member::stored("b.so.1", &arm64()),
            ],
        ),
        (
            "app/one.jar",
            vec![
                Member::deflated("linux/a.so", &amd64()),
                Member::stored("b.node", &amd64()),
            ],
        ),
        (
            "app/fine.jar",
            vec![
                Member::stored("a.so", &arm64()),
                Member::stored("A.class", &[1]),
            ],
        ),
        ("app/stored.war", vec![Member::stored("lib/in.jar", &inner)]),
        (
            "app/packed.war",
            vec![Member::deflated("lib/in.jar", &inner)],
        ),
        ("srv/a.whl", vec![Member::deflated("a/x.so", &amd64())]),
    ];
    for (path, files) in archives {
        root.file(path, &zip(&files));
    }
    let script = [b"#!/bin/sh\n".as_slice(), &inner].concat();
    root.file("app/script.jar", &script);
    root.file("app/text.jar", b"no archive");
    root.file("app/named.otherwise", &inner);
    let audit = scan(&root);
    assert_eq!(
        found(&audit),
        [
            ("/app/one.jar!/b.node", Role::JarEntry),
            ("/app/one.jar!/linux/a.so", Role::JarEntry),
            (
                "/app/packed.war!/lib/in.jar!/linux/libin.so",
                Role::JarEntry
            ),
            ("/app/script.jar!/linux/libin.so", Role::JarEntry),
            (
                "/app/stored.war!/lib/in.jar!/linux/libin.so",
                Role::JarEntry
            ),
            ("/srv/a.whl!/a/x.so", Role::WheelEntry),
        ]
    );
    assert_eq!(audit.skipped, []);
}

#[test]
fn what_an_archive_hides_is_told() {
    let bomb = || vec![0; 8 << 20];
    let third = zip(&[Member::stored("a.so", &amd64())]);
    let second = zip(&[Member::stored("third.jar", &third)]);
    let options = Options::guest(Arch::Arm64);
    for (what, bytes, skip, findings) in [
        (
            "cut off",
            zip(&[Member::stored("a.so", &amd64())])[..100].to_vec(),
            Skip::BadArchive,
            0,
        ),
        (
            "nested too deep",
            zip(&[Member::stored("second.jar", &second)]),
            Skip::Depth,
            0,
        ),
        (
            "a large jar",
            zip(&[Member::deflated("a.jar", &bomb())]),
            Skip::Bytes,
            0,
        ),
        (
            "a bomb",
            zip(&[Member::deflated("a.jar", &bomb()).claiming(1000)]),
            Skip::BadArchive,
            0,
        ),
        (
            "one that makes no sense beside another",
            zip(&[
                Member::stored("a.so", &amd64()),
                Member::stored("b.jar", &[7; 90]),
            ]),
            Skip::BadArchive,
            1,
        ),
    ] {
        let (audit, read) = look(&bytes, &options);
        assert_eq!(audit.skipped, [(skip, 1)], "{what}");
        assert_eq!(audit.foreign.len(), findings, "{what}");
        assert!(read < 100_000, "{what}: {read} bytes");
    }
}

#[test]
fn many_libraries_are_too_many() {
    let mut options = Options::scan(Arch::Arm64, 1);
    options.limits.archive.libraries = 10;
    let files: Vec<_> = (0..20).map(|_| Member::stored("a.so", &amd64())).collect();
    let (audit, _) = look(&zip(&files), &options);
    assert_eq!(audit.skipped, [(Skip::Entries, 1)]);
    assert_eq!(audit.elf, [(Arch::Amd64, 10)]);
    options.limits.archive.directory = 10;
    let (audit, _) = look(&zip(&files), &options);
    assert_eq!(audit.skipped, [(Skip::Bytes, 1)]);
}

#[test]
fn many_archives_within_are_too_much() {
    let mut options = Options::scan(Arch::Arm64, 1);
    options.limits.archive.inflated = 2500;
    let filler = Member::stored("filler", &[0; 900]);
    let inner = zip(&[filler, Member::stored("a.so", &[1])]);
    assert!((1000..1250).contains(&inner.len()), "{}", inner.len());
    let files: Vec<_> = (0..5).map(|_| Member::deflated("a.jar", &inner)).collect();
    let (audit, read) = look(&zip(&files), &options);
    assert_eq!(audit.skipped, [(Skip::Bytes, 3)]);
    assert!(read > 2000, "{read}");
}

#[test]
fn a_large_archive_within_goes_to_a_file() {
    let mut options = Options::scan(Arch::Arm64, 1);
    options.limits.archive.memory = 1000;
    // Bytes that do not compress, so that the file is as long as it claims.
    let noise: Vec<u8> = (0u32..50_000)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let inner = zip(&[
        Member::stored("noise", &noise),
        Member::deflated("a.so", &amd64()),
    ]);
    let (audit, _) = look(&zip(&[Member::deflated("in.jar", &inner)]), &options);
    assert_eq!(
        found(&audit),
        [("/app/a.jar!/in.jar!/a.so", Role::JarEntry)]
    );
}

proptest! {
    #[test]
    fn no_archive_makes_it_panic(
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut: prop::sample::Index,
    ) {
        let inner = zip(&[Member::deflated("a.so", &amd64()), Member::stored("b.so", &arm64())]);
        let mut bytes = zip(&[Member::stored("a.jar", &inner), Member::deflated("b.jar", &inner)]);
        for (at, value) in at {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(bytes.len() - cut.index(bytes.len()) % 64);
        let (_, read) = look(&bytes, &Options::guest(Arch::Arm64));
        prop_assert!(read < 1 << 20);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let bytes = [b"PK\x03\x04".as_slice(), &bytes].concat();
        let _ = look(&bytes, &Options::guest(Arch::Arm64));
    }
}
