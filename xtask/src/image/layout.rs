//! An OCI layout: an index of one image for several platforms, as files (image-spec, image-layout.md).

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use oci_spec::image::{
    ANNOTATION_REF_NAME, Arch as OciArch, ConfigBuilder, Descriptor, DescriptorBuilder, Digest,
    ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder, MediaType,
    OciLayoutBuilder, Os, PlatformBuilder, RootFsBuilder, SCHEMA_VERSION, Sha256Digest,
};

use super::layer::Layer;
use super::recipe::Recipe;
use super::{json, sha256};
use crate::vm::Arch;

/// What one platform's image is.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) arch: Arch,
    /// SHA-256 of the manifest, in hexadecimal digits.
    pub(super) manifest: String,
    /// What a node pulls, in bytes: the manifest, the configuration, and the layer as it is packed.
    pub(super) pulled: u64,
    /// What that takes on the node's disk, in bytes.
    pub(super) unpacked: u64,
}

/// What an image is.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// SHA-256 of the index, in hexadecimal digits.
    pub(super) index: String,
    pub(super) parts: Vec<Part>,
}

/// Writes the layout of an image into `dir`, which is there and empty.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn write(
    dir: &Path,
    recipe: &Recipe,
    labels: &HashMap<String, String>,
    layers: &[(Arch, Layer)],
) -> Result<Image> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("create {}", blobs.display()))?;
    // As others may read it, whatever the umask is.
    for dir in [dir, &dir.join("blobs"), &blobs] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    }
    let mut parts = Vec::new();
    let mut manifests = Vec::new();
    for (arch, layer) in layers {
        let (part, manifest) = part(&blobs, recipe, labels, *arch, layer)?;
        parts.push(part);
        manifests.push(manifest);
    }
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests)
        .annotations(labels.clone())
        .build()?;
    let index = blob(&blobs, MediaType::ImageIndex, &json::bytes(&index)?)?;
    let digest = index.digest().digest().to_owned();
    let mut named = index;
    named.set_annotations(Some(HashMap::from([(
        ANNOTATION_REF_NAME.to_owned(),
        env!("CARGO_PKG_VERSION").to_owned(),
    )])));
    let top = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(vec![named])
        .build()?;
    file(&dir.join("index.json"), &json::bytes(&top)?)?;
    let layout = OciLayoutBuilder::default()
        .image_layout_version("1.0.0")
        .build()?;
    file(&dir.join("oci-layout"), &json::bytes(&layout)?)?;
    Ok(Image {
        index: digest,
        parts,
    })
}

fn part(
    blobs: &Path,
    recipe: &Recipe,
    labels: &HashMap<String, String>,
    arch: Arch,
    layer: &Layer,
) -> Result<(Part, Descriptor)> {
    let oci_arch = match arch {
        Arch::Amd64 => OciArch::Amd64,
        Arch::Arm64 => OciArch::ARM64,
    };
    let user = recipe.user;
    let run = ConfigBuilder::default()
        .user(format!("{user}:{user}"))
        .entrypoint([format!("/{}", recipe.program())])
        .env(["PATH=/usr/bin".to_owned()])
        .working_dir(recipe.working_dir)
        .labels(labels.clone())
        .build()?;
    let root = RootFsBuilder::default()
        .diff_ids([format!("sha256:{}", layer.diff_id)])
        .build()?;
    let created = labels.get(oci_spec::image::ANNOTATION_CREATED);
    let config = ImageConfigurationBuilder::default()
        .created(created.cloned().unwrap_or_default())
        .architecture(oci_arch.clone())
        .os(Os::Linux)
        .config(run)
        .rootfs(root)
        .build()?;
    let config = blob(blobs, MediaType::ImageConfig, &json::bytes(&config)?)?;
    let packed = blob(blobs, MediaType::ImageLayerGzip, &layer.packed)?;
    let contents = config.size() + packed.size();
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(vec![packed])
        .annotations(labels.clone())
        .build()?;
    let mut manifest = blob(blobs, MediaType::ImageManifest, &json::bytes(&manifest)?)?;
    let platform = PlatformBuilder::default()
        .architecture(oci_arch)
        .os(Os::Linux)
        .build()?;
    manifest.set_platform(Some(platform));
    let part = Part {
        arch,
        manifest: manifest.digest().digest().to_owned(),
        pulled: contents + manifest.size(),
        unpacked: layer.unpacked,
    };
    Ok((part, manifest))
}

/// Writes a blob, and returns what names it.
fn blob(blobs: &Path, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
    let digest = sha256(bytes);
    file(&blobs.join(&digest), bytes)?;
    let digest: Sha256Digest = digest.parse().context("a digest")?;
    Ok(DescriptorBuilder::default()
        .media_type(media_type)
        .size(bytes.len() as u64)
        .digest(Digest::from(digest))
        .build()?)
}

/// Writes a file that others may read, whatever the umask is.
pub(super) fn file(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        fs::write(path, bytes)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))
    };
    write().with_context(|| format!("write {}", path.display()))
}
