use archtrace_facts::audit::Skip;
use proptest::prelude::*;

use archtrace_facts::arch::Arch;

use super::read::entries;
use super::*;
use crate::error::ScanError;
use crate::progress::Progress;

/// An entry with its content.
fn entry(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    sized(name, kind, content.len(), content)
}

/// The same, where the header lies about the size.
fn sized(name: &str, kind: u8, size: usize, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000755");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[148..156].fill(b' ');
    block[156] = kind;
    block[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn read_with(tar: &[u8], limit: u64) -> Result<Layer, ScanError> {
    let limits = archtrace_audit::Options::scan(Arch::Arm64, 1)
        .limits
        .archive;
    let options = Options {
        expected: Arch::Arm64,
        archives: &limits,
        room: &LayerRoom::default(),
    };
    entries(tar, limit, "layer", &options, &Progress::default())
}

/// Paths with a word for what is there, and what was skipped.
fn check(parts: &[Vec<u8>], expected: &[&str], skipped: &[(Skip, u64)]) {
    let layer = read_with(&parts.concat(), u64::MAX).expect("a layer");
    let word = |node: &Node| match node {
        Node::Plain => "plain",
        Node::Directory => "directory",
        Node::Elf { .. } => "elf",
        Node::Script(_) => "script",
        Node::Archive(_) => "archive",
        Node::LoaderConfig(_) => "loader",
        Node::Symlink(_) => "link",
        Node::HardLink(_) => "hard",
        Node::Removed => "removed",
        Node::Opaque => "opaque",
    };
    let told: Vec<_> = layer
        .iter()
        .map(|(path, node)| format!("{} {}", String::from_utf8_lossy(path), word(node)))
        .collect();
    assert_eq!(told, expected);
    assert_eq!(layer.skipped, skipped);
}

#[test]
fn entries_are_told_by_name_and_content() {
    let elf = archtrace_guests::build(
        archtrace_guests::Isa::Amd64,
        archtrace_guests::Program::Exit(0),
    );
    check(
        &[
            entry("./", b'5', b""),
            entry("usr/", b'5', b""),
            entry("./usr//app", b'0', &elf),
            entry("/usr/text", b'0', b"\x7fELF and no more"),
            entry("usr/run", b'0', b"#!/bin/sh\n"),
            entry("etc/ld.so.conf", b'0', b"/opt/lib\n"),
            entry("a.jar", b'0', b"PK and no more"),
            entry("b.jar", b'0', b""),
            entry("x/.wh.y", b'0', b""),
            entry("x/.wh..wh..opq", b'0', b""),
            entry(".wh..wh.plnk", b'5', b""),
            entry("dev/null", b'3', b""),
            entry("sparse", b'S', &elf),
        ],
        &[
            "/usr directory",
            "/usr/app elf",
            "/usr/text plain",
            "/usr/run script",
            "/etc/ld.so.conf loader",
            "/a.jar archive",
            "/b.jar plain",
            "/x/y removed",
            "/x opaque",
            "/dev/null plain",
            "/sparse elf",
        ],
        &[],
    );
}

#[test]
fn long_names_and_records_change_the_next_entry_only() {
    let pax = b"23 path=long/name/of/x\n10 size=7\n";
    let long = "n/".repeat(200);
    let expected = format!("/{} plain", long.trim_end_matches('/'));
    check(
        &[
            entry("pax", b'x', pax),
            entry("short", b'0', b"content"),
            entry("././@LongLink", b'L', format!("{long}\0").as_bytes()),
            entry("short", b'0', b""),
            entry("last", b'0', b""),
        ],
        &["/long/name/of/x plain", &expected, "/last plain"],
        &[],
    );
}

#[test]
fn names_that_lead_out_or_on_for_ever_are_counted() {
    let long = "n/".repeat(3000);
    check(
        &[
            entry("../x", b'0', b""),
            entry("a/../../x", b'0', b""),
            entry("././@LongLink", b'L', long.as_bytes()),
            entry("short", b'0', b""),
            entry("last", b'0', b""),
        ],
        &["/last plain"],
        &[(Skip::BadArchive, 2), (Skip::Depth, 1)],
    );
}

#[test]
fn a_file_behind_a_list_of_its_parts_is_counted() {
    let pax = b"22 GNU.sparse.major=1\n";
    check(
        &[
            entry("pax", b'x', pax),
            entry("a", b'0', b"1\n0\n4\n"),
            entry("b", b'0', b""),
        ],
        &["/a plain", "/b plain"],
        &[(Skip::Unreadable, 1)],
    );
}

#[test]
fn what_grows_too_much_ends_there_and_is_counted() {
    let tar = [
        entry("a", b'0', b"x"),
        entry("b", b'0', &[0; 100_000]),
        entry("c", b'0', b""),
    ];
    let layer = read_with(&tar.concat(), 50_000).expect("what there was");
    assert_eq!(layer.skipped, [(Skip::Bytes, 1)]);
    assert!(layer.entries.len() <= 2);
}

#[test]
fn absurd_sizes_are_one_error() {
    for (tar, words) in [
        (sized("a", b'0', 1 << 32, b"x"), "ends too early"),
        (sized("a", b'x', 1 << 32, b"x"), "no image needs"),
        (sized("a", b'L', 1 << 30, b"x"), "no image needs"),
        (
            sized("a", b'0', 100, b"x")[..512].to_vec(),
            "ends too early",
        ),
        (vec![b'x'; 512], "no whole tar archive"),
        (vec![b'x'; 100], "ends too early"),
    ] {
        let error = read_with(&tar, u64::MAX).expect_err("no layer").to_string();
        assert!(
            error.starts_with("layer ") && error.contains(words),
            "{error}"
        );
    }
}

#[test]
fn a_million_entries_take_no_more_than_there_is_room_for() {
    let mut layer = Layer::default();
    let room = LayerRoom::default();
    let name = vec![b'n'; 4000];
    let mut pushed = 0;
    while layer.push(&name, Node::Plain, &room) {
        pushed += 1;
    }
    assert!(pushed * name.len() <= ROOM);
    assert_eq!(layer.skipped, [(Skip::Entries, 1)]);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(
        names in prop::collection::vec(("[a./]{0,9}", prop::sample::select(b"0125xgLKS7".to_vec()), prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        cut in 0usize..4096,
    ) {
        let tar: Vec<u8> = names.iter().flat_map(|(name, kind, content)| entry(name, *kind, content)).collect();
        let _ = read_with(&tar[..cut.min(tar.len())], u64::MAX);
        let _ = read_with(&tar, u64::MAX);
    }
}
