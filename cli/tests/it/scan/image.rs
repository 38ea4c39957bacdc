//! Writes small images: tars, layouts, archives of Java.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use archtrace_guests::{Isa, Program, build};
use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What an entry of a tar is.
#[derive(Clone)]
pub(crate) enum Item {
    File(Vec<u8>),
    Link(&'static str),
    Hard(&'static str),
}

/// Files of an image or an archive: name and content.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// One image for one platform.
pub(crate) struct Image {
    /// What its index says; nothing if it says nothing.
    pub(crate) index: &'static str,
    /// What its configuration says.
    pub(crate) config: &'static str,
    pub(crate) entrypoint: &'static [&'static str],
    /// Tars, packed or not.
    pub(crate) layers: Vec<Vec<u8>>,
}

impl Image {
    /// One layer, and index and configuration agree.
    pub(crate) fn of(arch: &'static str, layer: Vec<u8>) -> Self {
        Self {
            index: arch,
            config: arch,
            entrypoint: &["/app"],
            layers: vec![layer],
        }
    }
}

/// A program for this architecture.
pub(crate) fn elf(isa: Isa) -> Item {
    Item::File(build(isa, Program::Exit(0)))
}

/// A tar of these entries.
pub(crate) fn tar(entries: &[(&str, Item)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, item) in entries {
        let (kind, link, content) = match item {
            Item::File(content) => (b'0', "", &content[..]),
            Item::Link(target) => (b'2', *target, &[][..]),
            Item::Hard(target) => (b'1', *target, &[][..]),
        };
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..107].copy_from_slice(b"0000755");
        block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        block[148..156].fill(b' ');
        block[156] = kind;
        block[157..157 + link.len()].copy_from_slice(link.as_bytes());
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        bytes.extend_from_slice(&block);
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A layer whose program is for `isa`, and what else it has.
pub(crate) fn layer(isa: Isa, more: &[(&str, Item)]) -> Vec<u8> {
    tar(&[&[("app", elf(isa))], more].concat())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("to memory");
    encoder.finish().expect("to memory")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// An OCI layout of one image in an index of its own, with an attestation as BuildKit writes one.
pub(crate) fn layout(images: &[Image]) -> Files {
    let mut files = Files::new();
    let mut manifests: Vec<_> = images
        .iter()
        .map(|image| manifest(&mut files, image))
        .collect();
    let mut attestation = blob(&mut files, MANIFEST, b"{}");
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    manifests.push(attestation);
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    let mut index = blob(&mut files, INDEX, index.to_string().as_bytes());
    index["annotations"] = json!({"io.containerd.image.name": "example.org/app:1"});
    described(files, &[index])
}

/// An OCI layout without an index in `index.json`: what `docker save` writes of one platform.
pub(crate) fn flat(images: &[Image]) -> Files {
    let mut files = Files::new();
    let manifests: Vec<_> = images
        .iter()
        .map(|image| manifest(&mut files, image))
        .collect();
    described(files, &manifests)
}

/// What `docker save` wrote before it knew of OCI layouts.
pub(crate) fn saved(image: &Image) -> Files {
    let config = config(image).to_string().into_bytes();
    let name = format!("{}.json", sha256(&config));
    let layers: Vec<_> = (0..image.layers.len())
        .map(|at| format!("{at}/layer.tar"))
        .collect();
    let manifest = json!([{"Config": name, "RepoTags": ["app:1"], "Layers": layers}]);
    let mut files = vec![(name, config)];
    files.extend(layers.into_iter().zip(image.layers.clone()));
    files.push((
        "manifest.json".to_owned(),
        manifest.to_string().into_bytes(),
    ));
    files
}

/// The files as a tar.
pub(crate) fn archive(files: &Files) -> Vec<u8> {
    let entries: Vec<_> = files
        .iter()
        .map(|(name, content)| (&**name, Item::File(content.clone())))
        .collect();
    tar(&entries)
}

/// The files in a directory.
pub(crate) fn directory(files: &Files, dir: &Path) {
    for (name, content) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("below the directory")).expect("creates");
        fs::write(path, content).expect("writes");
    }
}

/// An archive of Java or Python with these entries, none of them compressed.
pub(crate) fn zip(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let at = u32::try_from(bytes.len()).expect("small");
        let size = u32::try_from(content.len()).expect("small").to_le_bytes();
        let len = u16::try_from(name.len()).expect("short").to_le_bytes();
        // Version, flags, method and time of both headers, and a sum that nobody asks for.
        let common = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &size,
            &size,
            &len,
            &[0, 0],
        ];
        bytes.extend(
            [
                &b"PK\x03\x04"[..],
                &common.concat(),
                name.as_bytes(),
                content,
            ]
            .concat(),
        );
        let rest = [&[0; 10][..], &at.to_le_bytes(), name.as_bytes()].concat();
        central.extend([&b"PK\x01\x02\x14\0"[..], &common.concat(), &rest].concat());
    }
    let count = u16::try_from(entries.len()).expect("few").to_le_bytes();
    let number = |len: usize| u32::try_from(len).expect("small").to_le_bytes();
    let (size, at) = (number(central.len()), number(bytes.len()));
    let end = [
        &b"PK\x05\x06\0\0\0\0"[..],
        &count,
        &count,
        &size,
        &at,
        &[0, 0],
    ];
    [bytes, central, end.concat()].concat()
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn described(mut files: Files, manifests: &[Value]) -> Files {
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    let version = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
    files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    files.push(("oci-layout".to_owned(), version));
    files
}

fn manifest(files: &mut Files, image: &Image) -> Value {
    let config = config(image).to_string();
    let config = blob(
        files,
        "application/vnd.oci.image.config.v1+json",
        config.as_bytes(),
    );
    let layers: Vec<_> = image
        .layers
        .iter()
        .map(|layer| blob(files, "application/vnd.oci.image.layer.v1.tar", layer))
        .collect();
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
    let mut descriptor = blob(files, MANIFEST, manifest.to_string().as_bytes());
    if !image.index.is_empty() {
        descriptor["platform"] = json!({"os": "linux", "architecture": image.index});
    }
    descriptor
}

fn config(image: &Image) -> Value {
    let diff_ids = image.layers.iter();
    let diff_ids: Vec<_> = diff_ids
        .map(|layer| format!("sha256:{}", sha256(layer)))
        .collect();
    json!({
        "architecture": image.config,
        "os": "linux",
        "config": {"Entrypoint": image.entrypoint, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

/// Stores a blob, and describes it.
fn blob(files: &mut Files, media_type: &str, content: &[u8]) -> Value {
    let hex = sha256(content);
    let name = format!("blobs/sha256/{hex}");
    if files.iter().all(|(known, _)| *known != name) {
        files.push((name, content.to_vec()));
    }
    json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": content.len()})
}

fn sha256(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
