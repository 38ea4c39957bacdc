use super::*;
use proptest::prelude::*;

const ROOM: Room = Room {
    foreign: 100,
    bytes: 64 * 1024,
};
const LIBRARY: u16 = ET_DYN;
/// `ET_REL`: an object file.
const OBJECT: u16 = 1;
const ARM64: u16 = 183;
const AMD64: u16 = 62;
const I386: u16 = 3;
const ARM: u16 = 40;
const BPF: u16 = 247;

/// The start of an ELF file.
fn start(kind: u16, machine: u16) -> Vec<u8> {
    let class = if [I386, ARM].contains(&machine) { 1 } else { 2 };
    let mut bytes = [b"\x7fELF".as_slice(), &[class, 1, 1], &[0; 9]].concat();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(machine.to_le_bytes());
    bytes
}

fn elf(kind: u16, machine: u16) -> Elf {
    Elf::of(&start(kind, machine)).expect("an ELF file")
}

/// Sees files in two parts, which are merged, in both orders.
fn audit(expected: Arch, see: &[&dyn Fn(&mut Inventory)], around: &Surroundings) -> Audit {
    let part = |even: bool| {
        let mut inventory = Inventory::new(expected, ROOM);
        for (i, see) in see.iter().enumerate() {
            if (i % 2 == 0) == even {
                see(&mut inventory);
            }
        }
        inventory
    };
    let mut merged = part(true);
    merged.merge(part(false));
    let mut other = part(false);
    other.merge(part(true));
    let audit = merged.finish(around);
    assert_eq!(audit, other.finish(around));
    audit
}

/// Files with their kind, machine and whether they may be executed, and the findings among them.
fn check(files: &[(&str, u16, u16, bool)], expected: &[(&str, Role)]) {
    let files: Vec<_> = files
        .iter()
        .map(|(path, kind, machine, executable)| {
            move |inventory: &mut Inventory| {
                inventory.file(64);
                inventory.elf(path.as_bytes(), elf(*kind, *machine), || *executable);
            }
        })
        .collect();
    let see: Vec<&dyn Fn(&mut Inventory)> = files.iter().map(|file| file as _).collect();
    let audit = audit(Arch::Arm64, &see, &Surroundings::default());
    assert_eq!(audit.files, files.len() as u64);
    assert_eq!(found(&audit), expected);
}

fn found(audit: &Audit) -> Vec<(&str, Role)> {
    let foreign = audit.foreign.iter();
    foreign
        .map(|file| (file.path.as_str(), file.role))
        .collect()
}

#[test]
fn foreign_files_are_found_and_native_ones_are_not() {
    check(
        &[
            ("/usr/lib/libnative.so", LIBRARY, ARM64, false),
            ("/usr/lib/libcompat.so", LIBRARY, ARM, false),
            ("/usr/lib/libforeign.so", LIBRARY, AMD64, false),
            ("/usr/lib/libforeign32.so", LIBRARY, I386, false),
            ("/usr/bin/native", ET_EXEC, ARM64, true),
            ("/usr/bin/foreign", ET_EXEC, AMD64, true),
            ("/app/foreign", LIBRARY, AMD64, true),
        ],
        &[
            ("/usr/bin/foreign", Role::Program),
            ("/usr/lib/libforeign.so", Role::Library),
            ("/usr/lib/libforeign32.so", Role::Library),
            ("/app/foreign", Role::Other),
        ],
    );
}

#[test]
fn what_nobody_runs_is_no_finding() {
    check(
        &[
            ("/lib/modules/x.ko", OBJECT, AMD64, true),
            ("/usr/lib/x.so", OBJECT, AMD64, false),
            ("/usr/lib/bpf/x.so", LIBRARY, BPF, true),
            ("/usr/share/qemu/firmware.img", ET_EXEC, AMD64, false),
            ("/usr/lib/debug/.build-id/a.debug", LIBRARY, AMD64, true),
            ("/usr/x86_64-linux-gnu/lib/libc.so.6", LIBRARY, AMD64, true),
        ],
        &[],
    );
}

#[test]
fn what_has_a_sibling_is_no_finding() {
    check(
        &[
            ("/usr/lib/x86_64-linux-gnu/libc.so.6", LIBRARY, AMD64, true),
            ("/usr/lib/x86_64-linux-gnu/libz.so.1", LIBRARY, AMD64, false),
            ("/usr/lib/aarch64-linux-gnu/libc.so.6", LIBRARY, ARM64, true),
            ("/app/a/prebuilds/linux-x64/a.node", LIBRARY, AMD64, false),
            ("/app/a/prebuilds/linux-arm64/a.node", LIBRARY, ARM64, false),
            ("/app/b/prebuilds/linux-x64/b.node", LIBRARY, AMD64, false),
            // The sibling must be of the expected architecture, not only be called so.
            ("/app/c/prebuilds/linux-x64/c.node", LIBRARY, AMD64, false),
            ("/app/c/prebuilds/linux-arm64/c.node", LIBRARY, AMD64, false),
            ("/lib/ld-musl-x86_64.so.1", LIBRARY, AMD64, true),
            ("/lib/ld-musl-aarch64.so.1", LIBRARY, ARM64, true),
        ],
        &[
            ("/app/b/prebuilds/linux-x64/b.node", Role::NodeAddon),
            ("/app/c/prebuilds/linux-arm64/c.node", Role::NodeAddon),
            ("/app/c/prebuilds/linux-x64/c.node", Role::NodeAddon),
        ],
    );
}

#[test]
fn an_archive_with_both_is_fine_and_one_with_the_other_is_found() {
    let entry = |name: &str, machine| (name.as_bytes().to_vec(), elf(LIBRARY, machine));
    let archives = [
        (
            "/app/both.jar",
            vec![
                entry("linux64/liba.so", AMD64),
                entry("aarch64/liba.so", ARM64),
            ],
        ),
        (
            "/app/other.jar",
            vec![
                entry("linux/liba.so", AMD64),
                entry("linux32/liba.so", I386),
            ],
        ),
        ("/app/none.jar", Vec::new()),
        (
            "/app/x.war!/WEB-INF/lib/n.jar",
            vec![entry("liba.so", AMD64)],
        ),
        (
            "/app/t-linux-x86_64.jar",
            vec![entry("META-INF/liba.so", AMD64)],
        ),
        (
            "/app/t-linux-aarch_64.jar",
            vec![entry("META-INF/liba.so", ARM64)],
        ),
    ];
    let wheel = (
        "/srv/a-cp311-manylinux_x86_64.whl",
        vec![entry("a/b.so", AMD64)],
    );
    let seen: Vec<_> = archives
        .into_iter()
        .chain([wheel])
        .map(|(path, entries)| {
            move |inventory: &mut Inventory| inventory.archive(path.as_bytes(), &entries)
        })
        .collect();
    let see: Vec<&dyn Fn(&mut Inventory)> = seen.iter().map(|archive| archive as _).collect();
    let audit = audit(Arch::Arm64, &see, &Surroundings::default());
    assert_eq!(
        found(&audit),
        [
            ("/app/other.jar!/linux/liba.so", Role::JarEntry),
            ("/app/other.jar!/linux32/liba.so", Role::JarEntry),
            ("/app/x.war!/WEB-INF/lib/n.jar!/liba.so", Role::JarEntry),
            (
                "/srv/a-cp311-manylinux_x86_64.whl!/a/b.so",
                Role::WheelEntry
            ),
        ]
    );
    assert_eq!(
        audit.elf,
        [(Arch::I386, 1), (Arch::Amd64, 5), (Arch::Arm64, 2)]
    );
}

#[test]
fn what_the_image_runs_comes_first() {
    let program = |path: &str, machine| Program {
        path: path.as_bytes().to_vec(),
        elf: elf(ET_EXEC, machine),
    };
    let around = Surroundings {
        programs: vec![
            program("/app/x86_64/server", AMD64),
            program("/sbin/tini", ARM64),
        ],
        library_dirs: vec![b"/opt/lib".to_vec()],
    };
    let audit = audit(
        Arch::Arm64,
        &[
            &|inventory| inventory.elf(b"/app/x86_64/server", elf(ET_EXEC, AMD64), || true),
            // Beside a sibling it would be none.
            &|inventory| inventory.elf(b"/app/aarch64/server", elf(ET_EXEC, ARM64), || true),
            &|inventory| inventory.elf(b"/opt/lib/a.so", elf(LIBRARY, AMD64), || false),
            &|inventory| inventory.skipped(Skip::Depth),
            &|inventory| inventory.skipped(Skip::Depth),
        ],
        &around,
    );
    assert_eq!(
        audit.main,
        Some(("/app/x86_64/server".to_owned(), Arch::Amd64))
    );
    assert_eq!(
        found(&audit),
        [
            ("/app/x86_64/server", Role::Main),
            ("/opt/lib/a.so", Role::Library)
        ]
    );
    assert_eq!(audit.skipped, [(Skip::Depth, 2)]);
}

#[test]
fn what_is_too_much_is_counted() {
    for (room, dir, kept) in [
        (ROOM, "/app", 100),
        (ROOM, "/usr/lib/x86_64-linux-gnu", MAX_IN_PLACE),
        (
            Room {
                foreign: 5,
                bytes: 1 << 20,
            },
            "/app",
            5,
        ),
        (
            Room {
                foreign: 100,
                bytes: 60,
            },
            "/app",
            5,
        ),
    ] {
        let mut inventory = Inventory::new(Arch::Arm64, room);
        for i in (0..300).rev() {
            let path = format!("{dir}/{i:03}.so");
            inventory.elf(path.as_bytes(), elf(LIBRARY, AMD64), || false);
        }
        let audit = inventory.finish(&Surroundings::default());
        assert_eq!(audit.foreign.len(), kept, "{room:?} {dir}");
        assert_eq!(audit.more_foreign, 300 - kept as u64, "{room:?} {dir}");
        assert_eq!(audit.elf, [(Arch::Amd64, 300)]);
    }
}

/// Paths that share names, so that some have siblings.
fn paths() -> impl Strategy<Value = String> {
    "(/(usr|lib|linux-x64|linux-arm64|a|b)){1,4}/[ab](-amd64|-arm64)?(\\.so|\\.node|)"
}

proptest! {
    #[test]
    fn who_saw_which_file_does_not_matter(
        files in prop::collection::vec((paths(), any::<bool>(), any::<bool>()), 0..60),
        foreign in 1usize..80,
    ) {
        let room = Room { foreign, bytes: 1 << 20 };
        let see = |parts: usize| {
            let mut all = vec![Inventory::new(Arch::Arm64, room); parts];
            // A tree has each path once.
            let files: BTreeMap<_, _> = files.iter().map(|(path, a, b)| (path, (a, b))).collect();
            for (i, (path, (native, executable))) in files.into_iter().enumerate() {
                let machine = if *native { ARM64 } else { AMD64 };
                all[i % parts].elf(path.as_bytes(), elf(LIBRARY, machine), || *executable);
            }
            let mut merged = Inventory::new(Arch::Arm64, room);
            for part in all {
                merged.merge(part);
            }
            merged.finish(&Surroundings::default())
        };
        let one = see(1);
        prop_assert!(one.foreign.len() <= foreign);
        prop_assert_eq!(&one, &see(2));
        prop_assert_eq!(&one, &see(3));
    }

    #[test]
    fn no_file_makes_it_panic(path: Vec<u8>, bytes: Vec<u8>, name: Vec<u8>) {
        let mut inventory = Inventory::new(Arch::Amd64, ROOM);
        let bytes = [b"\x7fELF".as_slice(), &bytes].concat();
        if let Some(elf) = Elf::of(&bytes) {
            inventory.elf(&path, elf, || true);
            inventory.archive(&path, &[(name, elf)]);
        }
        let _ = inventory.finish(&Surroundings::default());
    }
}
