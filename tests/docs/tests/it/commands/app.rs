//! `app.tar`: an image for two platforms, of which one has libraries of the other.

use std::fs;
use std::path::Path;

use archtrace_guests::{Isa, Program, build};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Files by their name in an archive.
type Files = Vec<(String, Vec<u8>)>;

pub(crate) fn save(path: &Path) {
    let program = |isa| build(isa, Program::Exit(0));
    let amd64 = files(&[
        ("app/main", program(Isa::Amd64)),
        ("usr/lib/libhsm.so", program(Isa::Amd64)),
    ]);
    let addon = "app/node_modules/bcrypt/build/Release/bcrypt.node";
    let arm64 = files(&[
        ("app/main", program(Isa::Arm64)),
        ("usr/lib/libhsm.so", program(Isa::Amd64)),
        (addon, program(Isa::Amd64)),
    ]);
    let mut blobs = Files::new();
    let manifests = [("amd64", amd64), ("arm64", arm64)]
        .map(|(arch, files)| manifest(&mut blobs, arch, &files));
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    let mut index = blob(
        &mut blobs,
        "application/vnd.oci.image.index.v1+json",
        index.to_string().into(),
    );
    index["annotations"] = json!({"io.containerd.image.name": "example.org/app:1"});
    let top = json!({"schemaVersion": 2, "manifests": [index]});
    blobs.push(("index.json".to_owned(), top.to_string().into()));
    blobs.push((
        "oci-layout".to_owned(),
        json!({"imageLayoutVersion": "1.0.0"}).to_string().into(),
    ));
    fs::write(path, tar(&blobs)).expect("writes");
}

fn files(entries: &[(&str, Vec<u8>)]) -> Files {
    entries
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), bytes.clone()))
        .collect()
}

fn manifest(blobs: &mut Files, arch: &str, files: &Files) -> Value {
    let config = json!({"architecture": arch, "os": "linux", "config": {"Entrypoint": ["/app/main"]},
        "rootfs": {"type": "layers", "diff_ids": []}});
    let config = blob(
        blobs,
        "application/vnd.oci.image.config.v1+json",
        config.to_string().into(),
    );
    let layer = blob(blobs, "application/vnd.oci.image.layer.v1.tar", tar(files));
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let mut manifest = blob(
        blobs,
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string().into(),
    );
    manifest["platform"] = json!({"os": "linux", "architecture": arch});
    manifest
}

fn blob(blobs: &mut Files, kind: &str, bytes: Vec<u8>) -> Value {
    let digest = Sha256::digest(&bytes);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let about =
        json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()});
    blobs.push((format!("blobs/sha256/{digest}"), bytes));
    about
}

fn tar(files: &Files) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(u64::try_from(bytes.len()).expect("small"));
        archive
            .append_data(&mut header, name, &bytes[..])
            .expect("to memory");
    }
    archive.into_inner().expect("to memory")
}
