//! Images that are broken, or made to break who reads them: one error, or something counted.

use std::fs;
use std::path::Path;

use archtrace_guests::Isa;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::image::{Files, Image, Item, archive, directory, elf, gzip, layer, layout, saved, tar};
use super::{check, check_error, lines};

fn image(layer: Vec<u8>) -> Files {
    layout(&[Image::of("arm64", layer)])
}

fn with<T>(content: &[u8], see: impl FnOnce(&Path) -> T) -> T {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.tar");
    fs::write(&path, content).expect("writes");
    see(&path)
}

const ARM64: &[&str] = &["--arch", "arm64"];

#[test]
fn what_was_cut_off_is_told() {
    let tar = archive(&image(gzip(&layer(Isa::Arm64, &[]))));
    with(&tar[..tar.len() / 2], |path| {
        check_error(path, ARM64, &["app.tar", "ends too early"]);
    });
    with(&gzip(&tar)[..300], |path| {
        check_error(path, ARM64, &["app.tar", "ends too early"]);
    });
    let cut = gzip(&layer(Isa::Arm64, &[]));
    let cut = archive(&image(cut[..cut.len() / 2].to_vec()));
    with(&cut, |path| {
        check_error(path, ARM64, &["app.tar: blobs/sha256/", "ends too early"]);
    });
    let cut = layer(Isa::Arm64, &[]);
    let cut = archive(&image(cut[..700].to_vec()));
    with(&cut, |path| {
        check_error(path, ARM64, &["blobs/sha256/", "ends too early"]);
    });
}

#[test]
fn a_blob_must_be_what_its_digest_says() {
    let files = image(layer(Isa::Arm64, &[]));
    for at in 0..files.len() {
        let mut changed = files.clone();
        let (name, content) = &mut changed[at];
        let is_used = content.len() > 2;
        let Some(last) = content
            .last_mut()
            .filter(|_| is_used && name.starts_with("blobs/"))
        else {
            continue;
        };
        *last ^= 1;
        let name = name.clone();
        with(&archive(&changed), |path| {
            check_error(path, ARM64, &["app.tar", &name, "does not have the digest"]);
        });
    }
    // The old way names layers by numbers; their digests are in the configuration.
    let mut changed = saved(&Image::of("arm64", layer(Isa::Arm64, &[])));
    changed[1].1.extend([0; 512]);
    with(&archive(&changed), |path| {
        check_error(path, ARM64, &["0/layer.tar", "does not have the digest"]);
    });
    for at in 0..files.len() {
        let (name, content) = &files[at];
        // Without its manifest, it is a platform that was not saved.
        if !name.starts_with("blobs/")
            || content.len() <= 2
            || content.starts_with(b"{\"config\":{\"dig")
        {
            continue;
        }
        let mut fewer = files.clone();
        let (name, _) = fewer.remove(at);
        with(&archive(&fewer), |path| {
            check_error(path, ARM64, &[&name, "is not there"]);
        });
    }
}

#[test]
fn what_makes_no_sense_is_one_error() {
    let files = |index: &str| {
        vec![
            ("index.json".to_owned(), index.as_bytes().to_vec()),
            ("oci-layout".to_owned(), b"{}".to_vec()),
        ]
    };
    for (index, words) in [
        ("[", "index.json is no description"),
        ("{}", "names no image"),
        (
            r#"{"manifests":[{"digest":"sha256:../../etc/passwd"}]}"#,
            "is no digest",
        ),
        (r#"{"manifests":[{"digest":7}]}"#, "invalid type"),
    ] {
        with(&archive(&files(index)), |path| {
            check_error(path, &[], &["app.tar", words]);
        });
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    with(&archive(&files(&deep)), |path| {
        check_error(path, &[], &["no description"]);
    });
    with(&archive(&image(b"this is no tar".repeat(99))), |path| {
        check_error(path, ARM64, &["blobs/sha256/", "is no whole tar archive"]);
    });
}

#[test]
fn paths_that_lead_out_are_counted_and_nothing_is_written() {
    let evil = [
        ("../evil.so", elf(Isa::Amd64)),
        ("/usr/lib/liba.so", elf(Isa::Arm64)),
        ("etc", Item::Link("../../../../etc")),
        ("loop", Item::Link("loop")),
        ("loop/x.so", elf(Isa::Arm64)),
        ("a/.wh.", Item::File(Vec::new())),
        ("self", Item::Hard("self")),
    ];
    with(&archive(&image(layer(Isa::Arm64, &evil))), |path| {
        check(path, ARM64, &[]);
        let lines = lines(path, ARM64, 0);
        assert_eq!(lines[0]["skipped"], serde_json::json!({"bad_archive": 1}));
        check_error(path, &["--arch", "arm64", "--strict"], &["--strict"]);
    });
}

#[test]
fn a_sparse_file_takes_no_time() {
    // 10 GiB in the header of a tar that is as long, of which nothing is on the disk.
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("root.tar");
    let mut header = tar(&[("huge", Item::File(Vec::new()))])[..512].to_vec();
    header[124..135].copy_from_slice(b"120000000000"[..11].as_ref());
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    fs::write(&path, header).expect("writes");
    check_error(&path, &[], &["ends too early"]);
}

#[test]
fn a_layout_of_fifos_does_not_wait() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = image(layer(Isa::Arm64, &[]));
    directory(&files, dir.path());
    for (name, _) in files.iter().filter(|(name, _)| name.starts_with("blobs/")) {
        let path = dir.path().join(name);
        fs::remove_file(&path).expect("removes");
        mkfifo(&path, Mode::S_IRWXU).expect("creates");
    }
    check_error(dir.path(), ARM64, &["blobs/sha256/", "no regular file"]);
}
