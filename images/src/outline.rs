//! Which images there are, for which platforms, and of which layers.

mod index;
mod saved;

use archtrace_facts::text::escape;

use crate::digest::Digest;
use crate::error::ScanError;
use crate::manifest::{Config, Run, parse};
use crate::progress::Progress;
use crate::report::{Claim, Missing};
use crate::store::Store;
use archtrace_facts::platform::Platform;

/// What a store holds of what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) images: Vec<Image>,
    pub(crate) missing: Vec<Missing>,
    /// Platforms that nobody asked for.
    pub(crate) left_out: Vec<String>,
}

/// One image for one platform.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) claim: Claim,
    pub(crate) run: Run,
    /// From the lowest one up.
    pub(crate) layers: Vec<LayerName>,
}

/// A layer's file in the store.
#[derive(Clone, Debug)]
pub(crate) struct LayerName {
    pub(crate) name: String,
    /// Of the file as it is stored, if that is known.
    pub(crate) digest: Option<Digest>,
}

/// Images of one name, for several platforms perhaps.
struct Group {
    name: String,
    candidates: Vec<Candidate>,
}

/// An image that was not looked at yet.
struct Candidate {
    /// What an index says of it.
    index: Option<Platform>,
    at: At,
}

impl Candidate {
    /// Whether it is named twice.
    fn is_same(&self, other: &Self) -> bool {
        let (At::Manifest(a), At::Manifest(b)) = (&self.at, &other.at) else {
            return false;
        };
        a == b && self.index == other.index
    }
}

enum At {
    /// By its manifest.
    Manifest(Digest),
    /// By the files that `docker save` names.
    Saved { config: String, layers: Vec<String> },
}

/// What was found where a candidate should be.
enum Found {
    Image(Box<Image>),
    /// Something else, such as a signature.
    Other,
    /// Nothing: the index names more than was saved.
    Nothing,
}

/// Reads what `store` says of its images; those for `wanted` are looked at.
pub(crate) fn read(
    store: &Store,
    wanted: &[Platform],
    progress: &Progress,
) -> Result<Outline, ScanError> {
    let is_layout = store.has("index.json");
    let groups = if is_layout {
        index::groups(store, progress)?
    } else {
        saved::groups(store, progress)?
    };
    let mut outline = Outline::default();
    for group in groups {
        choose(store, group, wanted, progress, &mut outline)?;
    }
    if outline.images.is_empty() && outline.missing.is_empty() {
        return Err(ScanError::Description {
            path: store.path(if is_layout {
                "index.json"
            } else {
                "manifest.json"
            }),
            reason: "it names no image".to_owned(),
        });
    }
    Ok(outline)
}

/// Of one name, the images for the platforms that are wanted. A single image is looked at in any
/// case: it may be mislabelled.
fn choose(
    store: &Store,
    group: Group,
    wanted: &[Platform],
    progress: &Progress,
    outline: &mut Outline,
) -> Result<(), ScanError> {
    let Group {
        name,
        mut candidates,
    } = group;
    candidates.dedup_by(|a, b| a.is_same(b));
    let single = candidates.len() == 1;
    let is_wanted = |platform: &Platform| wanted.iter().any(|one| platform.serves(one));
    let (mut has, mut not_stored) = (Vec::new(), Vec::new());
    let mut any = false;
    for Candidate { index, at } in candidates {
        if let Some(platform) = index.as_ref().filter(|one| !single && !is_wanted(one)) {
            outline.left_out.push(platform.to_string());
            has.push(platform.clone());
            any = true;
            continue;
        }
        let image = match find(store, &name, index.clone(), &at, progress)? {
            Found::Image(image) => image,
            Found::Other => continue,
            Found::Nothing => {
                any = true;
                not_stored.extend(index);
                continue;
            }
        };
        any = true;
        let platform = image.claim.platform().clone();
        if single || is_wanted(&platform) {
            outline.images.push(*image);
        } else {
            outline.left_out.push(platform.to_string());
        }
        has.push(platform);
    }
    // Signatures and charts need no platforms.
    for platform in wanted.iter().filter(|_| any) {
        if !has.iter().any(|one| one.serves(platform)) {
            outline.missing.push(Missing {
                name: name.clone(),
                platform: platform.clone(),
                has: has.iter().map(Platform::to_string).collect(),
                listed: not_stored.iter().any(|one| one.serves(platform)),
            });
        }
    }
    Ok(())
}

fn find(
    store: &Store,
    name: &str,
    index: Option<Platform>,
    at: &At,
    progress: &Progress,
) -> Result<Found, ScanError> {
    let (config, digest, layers) = match at {
        At::Manifest(digest) => match index::manifest(store, digest, progress)? {
            index::Manifest::Image { config, layers } => (config.name(), Some(config), layers),
            index::Manifest::Other => return Ok(Found::Other),
            index::Manifest::Nothing => return Ok(Found::Nothing),
        },
        At::Saved { config, layers } => {
            let layers = layers.iter().map(|name| LayerName {
                name: name.clone(),
                digest: Digest::of_name(name),
            });
            (config.clone(), Digest::of_name(config), layers.collect())
        }
    };
    let path = store.path(&config);
    let json = store
        .read(&config, digest, progress)?
        .ok_or_else(|| ScanError::NoBlob {
            path: path.clone(),
            by: format!(
                "the manifest of {}",
                if name.is_empty() { "the image" } else { name }
            ),
        })?;
    let Config {
        platform,
        config: run,
        rootfs,
    } = parse(&json, &path)?;
    let config = platform.platform().ok_or_else(|| ScanError::Description {
        path,
        reason: "it names no architecture".to_owned(),
    })?;
    let mut layers: Vec<LayerName> = layers;
    if matches!(at, At::Saved { .. }) {
        saved::take_diff_ids(store, &mut layers, &rootfs.diff_ids, progress)?;
    }
    Ok(Found::Image(Box::new(Image {
        name: escape(name.as_bytes()),
        claim: Claim { index, config },
        run,
        layers,
    })))
}
