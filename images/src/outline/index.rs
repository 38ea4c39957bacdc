//! OCI layouts: `index.json`, indexes in it, and manifests (image-layout.md, image-index.md).

use archtrace_facts::oci::is_index;

use super::{At, Candidate, Group, LayerName};
use crate::digest::Digest;
use crate::error::ScanError;
use crate::manifest::{Descriptor, Document, PlatformText, parse};
use crate::progress::Progress;
use crate::store::Store;

/// Indexes in indexes: `docker save` writes one, with another around it for several names.
const MAX_DEPTH: usize = 4;
/// Manifests of all indexes together: some hundred images for each platform that Go knows.
const MAX_MANIFESTS: usize = 10_000;

/// What is at a digest.
pub(super) enum Manifest {
    Image {
        config: Digest,
        layers: Vec<LayerName>,
    },
    Other,
    Nothing,
}

/// The images that `index.json` names: each index in it is one, for several platforms; manifests of
/// the same name are one too.
pub(super) fn groups(store: &Store, progress: &Progress) -> Result<Vec<Group>, ScanError> {
    let path = store.path("index.json");
    let json = store.read("index.json", None, progress)?;
    let document: Document = parse(&json.unwrap_or_default(), &path)?;
    let mut groups: Vec<Group> = Vec::new();
    let mut count = 0;
    for descriptor in document.manifests.unwrap_or_default() {
        let name = descriptor.name();
        let mut candidates = Vec::new();
        let nested = flatten(store, &descriptor, 1, &mut candidates, progress)?;
        count += candidates.len();
        if count > MAX_MANIFESTS {
            return Err(ScanError::Absurd {
                path,
                what: "more than 10,000 manifests",
            });
        }
        match groups
            .iter_mut()
            .find(|group| !nested && group.name == name)
        {
            Some(group) => group.candidates.append(&mut candidates),
            None => groups.push(Group { name, candidates }),
        }
    }
    Ok(groups)
}

/// Adds the manifests that a descriptor leads to; returns whether it names an index.
fn flatten(
    store: &Store,
    descriptor: &Descriptor,
    depth: usize,
    candidates: &mut Vec<Candidate>,
    progress: &Progress,
) -> Result<bool, ScanError> {
    if descriptor.is_attestation() {
        return Ok(false);
    }
    let digest = digest(store, descriptor)?;
    if !is_index(&descriptor.media_type) {
        candidates.push(Candidate {
            index: descriptor
                .platform
                .as_ref()
                .and_then(PlatformText::platform),
            at: At::Manifest(digest),
        });
        return Ok(false);
    }
    let path = store.path(&digest.name());
    let too_many = candidates.len() > MAX_MANIFESTS;
    if depth > MAX_DEPTH || too_many {
        return Err(ScanError::Absurd {
            path,
            what: "indexes in indexes in indexes",
        });
    }
    let json = store.read(&digest.name(), Some(digest), progress)?;
    let json = json.ok_or_else(|| ScanError::NoBlob {
        path: path.clone(),
        by: "index.json".to_owned(),
    })?;
    let document: Document = parse(&json, &path)?;
    for descriptor in document.manifests.unwrap_or_default() {
        flatten(store, &descriptor, depth + 1, candidates, progress)?;
    }
    Ok(true)
}

/// Reads the manifest of one image.
pub(super) fn manifest(
    store: &Store,
    digest: &Digest,
    progress: &Progress,
) -> Result<Manifest, ScanError> {
    let path = store.path(&digest.name());
    let Some(json) = store.read(&digest.name(), Some(digest.clone()), progress)? else {
        return Ok(Manifest::Nothing);
    };
    let Document { config, layers, .. } = parse(&json, &path)?;
    let Some(config) = config.filter(Descriptor::is_image_config) else {
        return Ok(Manifest::Other);
    };
    let layers = layers.unwrap_or_default();
    let layers = layers.iter().map(|layer| {
        self::digest(store, layer).map(|digest| LayerName {
            name: digest.name(),
            digest: Some(digest),
        })
    });
    Ok(Manifest::Image {
        config: self::digest(store, &config)?,
        layers: layers.collect::<Result<_, ScanError>>()?,
    })
}

fn digest(store: &Store, descriptor: &Descriptor) -> Result<Digest, ScanError> {
    let text = &descriptor.digest;
    Digest::parse(text).ok_or_else(|| ScanError::Description {
        path: store.path("index.json"),
        reason: format!(
            "'{}' is no digest by sha256 or sha512",
            archtrace_facts::text::escape(text.as_bytes())
        ),
    })
}
