//! `docker save` before it wrote OCI layouts too, and `podman save`: `manifest.json`.

use std::io::Read as _;

use archtrace_facts::text::escape;

use super::{At, Candidate, Group, LayerName};
use crate::digest::Digest;
use crate::error::ScanError;
use crate::manifest::{Saved, parse};
use crate::pack::is_packed;
use crate::progress::Progress;
use crate::store::Store;

/// The images that `manifest.json` names. Each is for one platform, which its configuration tells.
pub(super) fn groups(store: &Store, progress: &Progress) -> Result<Vec<Group>, ScanError> {
    let path = store.path("manifest.json");
    let json = store.read("manifest.json", None, progress)?;
    let images: Vec<Saved> = parse(&json.unwrap_or_default(), &path)?;
    let group = |image: Saved| {
        let Saved {
            config,
            repo_tags,
            layers,
        } = image;
        let name = repo_tags
            .first()
            .map_or(String::new(), |name| escape(name.as_bytes()));
        let candidate = Candidate {
            index: None,
            at: At::Saved { config, layers },
        };
        Group {
            name,
            candidates: vec![candidate],
        }
    };
    Ok(images.into_iter().map(group).collect())
}

/// A layer whose name is no digest has one in the image's configuration: that of its content, which
/// is the file's where that is not compressed.
pub(super) fn take_diff_ids(
    store: &Store,
    layers: &mut [LayerName],
    diff_ids: &[String],
    progress: &Progress,
) -> Result<(), ScanError> {
    for (layer, diff_id) in layers.iter_mut().zip(diff_ids) {
        if layer.digest.is_some() {
            continue;
        }
        let Some(mut blob) = store.open(&layer.name, None, progress)? else {
            continue;
        };
        let mut start = Vec::new();
        let read = (&mut blob.content).take(4).read_to_end(&mut start);
        read.map_err(|error| progress.fault(&blob.path, error))?;
        if !is_packed(&start) {
            layer.digest = Digest::parse(diff_id);
        }
    }
    Ok(())
}
