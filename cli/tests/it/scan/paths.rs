//! Every kind of path, and what is found there.

use std::fs;
use std::path::PathBuf;

use archtrace_guests::Isa;
use tempfile::TempDir;

use super::super::support::archtrace;
use super::image::{
    Image, Item, archive, directory, elf, flat, gzip, layer, layout, saved, tar, zip, zstd,
};
use super::{check, check_error};

/// A file of this content in a directory of its own.
fn file(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    fs::write(&path, content).expect("writes");
    (dir, path)
}

fn check_file(name: &str, content: &[u8], args: &[&str], expected: &[&str]) {
    let (_dir, path) = file(name, content);
    check(&path, args, expected);
}

fn both(foreign: &[(&str, Item)]) -> Vec<Image> {
    vec![
        Image::of("amd64", layer(Isa::Amd64, &[])),
        Image::of("arm64", layer(Isa::Arm64, foreign)),
    ]
}

fn content(item: Item) -> Vec<u8> {
    match item {
        Item::File(content) => content,
        _ => Vec::new(),
    }
}

const LIBRARY: &str = "foreign-library linux/arm64 /usr/lib/libhsm.so";

#[test]
fn an_image_is_read_in_every_form() {
    let clean = layout(&both(&[]));
    let foreign = layout(&both(&[("usr/lib/libhsm.so", elf(Isa::Amd64))]));
    for (files, expected) in [(&clean, &[][..]), (&foreign, &[LIBRARY])] {
        let dir = tempfile::tempdir().expect("a directory");
        directory(files, dir.path());
        check(dir.path(), &[], expected);
        check(dir.path(), &["--threads", "1"], expected);
        let tar = archive(files);
        check_file("app.tar", &tar, &[], expected);
        check_file("app.tar.gz", &gzip(&tar), &[], expected);
        check_file("app", &zstd(&tar), &[], expected);
        let code = if expected.is_empty() { 0 } else { 2 };
        let stdin = archtrace(&["scan", "-", "-o", "json"])
            .write_stdin(gzip(&tar))
            .assert();
        let stdin = stdin.code(code);
        let text = String::from_utf8_lossy(&stdin.get_output().stdout).into_owned();
        assert!(text.contains("example.org/app:1"), "{text}");
    }
}

#[test]
fn a_saved_image_is_for_one_platform() {
    let foreign = [("usr/lib/libhsm.so", elf(Isa::Amd64))];
    let image = || Image::of("arm64", layer(Isa::Arm64, &foreign));
    for files in [saved(&image()), flat(&[image()])] {
        let tar = archive(&files);
        check_file("app.tar", &tar, &["--arch", "arm64"], &[LIBRARY]);
        let missing = "missing-platform linux/amd64";
        check_file("app.tar", &tar, &[], &[missing, LIBRARY]);
        check_file("app.tar", &tar, &["--platforms", "linux/arm64"], &[LIBRARY]);
    }
}

#[test]
fn an_index_must_have_the_platforms_that_are_wanted() {
    let amd64 = || Image::of("amd64", layer(Isa::Amd64, &[]));
    let arm64 = || Image::of("arm64", layer(Isa::Arm64, &[]));
    let one = archive(&layout(&[amd64()]));
    check_file("app.tar", &one, &[], &["missing-platform linux/arm64"]);
    check_file("app.tar", &one, &["--arch", "amd64"], &[]);
    check_file(
        "app.tar",
        &one,
        &["--arch", "arm64"],
        &["missing-platform linux/arm64"],
    );
    let flat = archive(&flat(&[amd64(), arm64()]));
    check_file("app.tar", &flat, &[], &[]);
    let wanted = "linux/amd64,linux/arm64/v8,linux/s390x";
    check_file(
        "app.tar",
        &flat,
        &["--platforms", wanted],
        &["missing-platform linux/s390x"],
    );
    // Named, and not saved: as an export of one platform has it.
    let mut files = layout(&[amd64(), arm64()]);
    let before = files.len();
    files.retain(|(_, content)| {
        !(content.starts_with(b"{\"config\"") && contains(content, "layer"))
            || contains(content, "nothing")
    });
    assert_eq!(before - files.len(), 2, "both manifests");
    let missing = [
        "missing-platform linux/amd64",
        "missing-platform linux/arm64",
    ];
    check_file("app.tar", &archive(&files), &[], &missing);
}

fn contains(content: &[u8], word: &str) -> bool {
    String::from_utf8_lossy(content).contains(word)
}

#[test]
fn a_claim_is_compared_with_the_files() {
    let image = |index, config, isa| Image {
        index,
        config,
        ..Image::of("", layer(isa, &[]))
    };
    let mislabelled = "mislabelled-image linux/arm64";
    let main = "foreign-program linux/arm64 /app";
    for (image, expected) in [
        (image("arm64", "arm64", Isa::Arm64), &[][..]),
        (image("", "arm64", Isa::Arm64), &[]),
        (image("arm64", "arm64", Isa::Amd64), &[mislabelled, main]),
        // The index says another platform than the configuration, which is right.
        (
            image("arm64", "amd64", Isa::Amd64),
            &[mislabelled, mislabelled, main],
        ),
        (image("arm64", "amd64", Isa::Arm64), &[mislabelled]),
        // The 32-bit mode of the same CPU is no other platform.
        (image("arm64", "arm64", Isa::Arm), &[]),
    ] {
        let tar = archive(&layout(&[image]));
        check_file("app.tar", &tar, &["--arch", "arm64"], expected);
    }
}

#[test]
fn layers_hide_what_is_below_them() {
    let base = || {
        layer(
            Isa::Arm64,
            &[
                ("usr/lib/libhsm.so", elf(Isa::Amd64)),
                ("lib", Item::Link("usr/lib")),
            ],
        )
    };
    let whiteout = tar(&[("usr/lib/.wh.libhsm.so", Item::File(Vec::new()))]);
    let opaque = tar(&[("usr/.wh..wh..opq", Item::File(Vec::new()))]);
    let replaced = tar(&[("lib/libhsm.so", elf(Isa::Arm64))]);
    let linked = tar(&[("usr/lib/liba.so", Item::Hard("usr/lib/libhsm.so"))]);
    let second = "foreign-library linux/arm64 /usr/lib/liba.so";
    for (upper, expected) in [
        (vec![], &[LIBRARY][..]),
        (vec![whiteout.clone()], &[]),
        (vec![opaque], &[]),
        (vec![replaced], &[]),
        (vec![linked, whiteout], &[second]),
    ] {
        let plain = [vec![base()], upper].concat();
        let gzipped: Vec<_> = plain.iter().map(|layer| gzip(layer)).collect();
        let packed = plain.iter().map(|layer| zstd(layer)).collect();
        for layers in [plain, gzipped, packed] {
            let image = Image {
                layers,
                ..Image::of("arm64", Vec::new())
            };
            let tar = archive(&layout(&[image]));
            check_file("app.tar", &tar, &["--arch", "arm64"], expected);
        }
    }
}

#[test]
fn archives_are_fine_with_both_and_found_with_one() {
    let library = |isa| content(elf(isa));
    let (amd64, arm64) = ("linux/x86_64/libx.so", "linux/aarch64/libx.so");
    let one = zip(&[(amd64, library(Isa::Amd64))]);
    let two = zip(&[(amd64, library(Isa::Amd64)), (arm64, library(Isa::Arm64))]);
    let found = format!("foreign-library linux/arm64 /app.jar!/{amd64}");
    for (jar, expected) in [(&one, &[&*found][..]), (&two, &[])] {
        for packed in [Vec::clone as fn(&Vec<u8>) -> _, |tar| gzip(tar)] {
            let layer = layer(Isa::Arm64, &[("app.jar", Item::File(jar.clone()))]);
            let image = Image::of("arm64", packed(&layer));
            let tar = archive(&layout(&[image]));
            check_file("app.tar", &tar, &["--arch", "arm64"], expected);
        }
    }
    let (_dir, jar) = file("app.jar", &one);
    let found = format!("foreign-library  {}!/{amd64}", jar.display());
    check(&jar, &[], &[&found]);
    check(&jar, &["--arch", "amd64"], &[]);
    check_file("app.jar", &two, &[], &[]);
}

#[test]
fn trees_and_files_are_checked_for_arm64_unless_told_otherwise() {
    let root = [
        ("usr/bin/tool", elf(Isa::Amd64)),
        ("usr/bin/a", elf(Isa::Arm64)),
        ("usr/bin/b", elf(Isa::Arm64)),
    ];
    let found = "foreign-program  /usr/bin/tool";
    check_file("root.tar", &tar(&root), &[], &[found]);
    let dir = tempfile::tempdir().expect("a directory");
    for (name, item) in root.clone() {
        directory(&vec![(name.to_owned(), content(item))], dir.path());
    }
    // Files of a directory need the bit to be programs.
    let tool = dir.path().join("usr/bin/tool");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&tool, mode).expect("changes");
    check(dir.path(), &[], &[found]);
    let wrong = "wrong-platform-image";
    check_file("root.tar", &tar(&root[..1]), &[], &[wrong, found]);
    check_file("root.tar", &tar(&root[..1]), &["--arch", "amd64"], &[]);
    let (_dir, tool) = file("tool", &content(elf(Isa::Amd64)));
    check(
        &tool,
        &[],
        &[&format!("foreign-program  {}", tool.display())],
    );
    check(&tool, &["--arch", "amd64"], &[]);
}

#[test]
fn what_is_nothing_to_scan_is_an_error() {
    let (_dir, text) = file("x.txt", b"some text");
    check_error(&text, &[], &["x.txt", "no ELF file"]);
    let (_dir, empty) = file("empty", b"");
    check_error(&empty, &[], &["empty", "no ELF file"]);
    check_error(
        &text.with_file_name("nothing"),
        &[],
        &["nothing", "No such file"],
    );
    let none = flat(&[]);
    let (_dir, none) = file("none.tar", &archive(&none));
    check_error(&none, &[], &["none.tar", "names no image"]);
}
