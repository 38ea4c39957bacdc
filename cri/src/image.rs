//! What is asked about an image.

mod config;

pub use config::ImageConfig;

use crate::v1;

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Digest of its configuration, `sha256:` and 64 hex digits.
    pub id: String,
    /// Names with a tag.
    pub tags: Vec<String>,
    /// Names with the digest of a manifest.
    pub digests: Vec<String>,
    /// What its configuration says; only from [`crate::Client::image_status`], and if the runtime
    /// tells it in a way that is known.
    pub config: Option<ImageConfig>,
}

impl From<v1::Image> for Image {
    fn from(told: v1::Image) -> Self {
        Self {
            id: digest(&told.id).unwrap_or(told.id),
            tags: told.repo_tags,
            digests: told.repo_digests,
            config: None,
        }
    }
}

impl Image {
    pub(crate) fn with_info(told: v1::Image, info: impl IntoIterator<Item = String>) -> Self {
        Self {
            config: info
                .into_iter()
                .find_map(|json| ImageConfig::parse(json.as_bytes())),
            ..Self::from(told)
        }
    }
}

/// Length of a SHA-256 in hex.
const DIGITS: usize = 64;

/// An image's id in the one form that is used here; CRI-O leaves `sha256:` out.
pub(crate) fn digest(id: &str) -> Option<String> {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    let is_digest = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| format!("sha256:{digits}"))
}
