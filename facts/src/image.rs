//! What an image says of itself, and what its files say.

use crate::arch::Arch;
use crate::audit::Audit;

/// An image, by the digest of its configuration: what is told of it holds on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Digest of its configuration, `sha256:` and 64 hex digits.
    pub id: String,
    /// What it goes by: references with tags or digests, printable.
    pub names: Vec<String>,
    /// The architecture that it claims to be for.
    pub arch: Option<Arch>,
    /// The operating system that it claims to be for, such as `linux`.
    pub os: String,
    /// The variant of the architecture, such as `v8`; usually empty.
    pub variant: String,
    /// What its files are, once they were looked at.
    pub audit: Option<Audit>,
}

/// Names of one image that are kept.
const MAX_NAMES: usize = 64;

impl Image {
    /// What is known of the image once `other` tells of it too: names add up, what is new is taken
    /// over, and of two audits the one that looked at more files.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        for name in &other.names {
            if self.names.len() < MAX_NAMES && !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        self.arch = other.arch.or(self.arch);
        if !other.os.is_empty() {
            self.os.clone_from(&other.os);
        }
        if !other.variant.is_empty() {
            self.variant.clone_from(&other.variant);
        }
        let files = |image: &Self| image.audit.as_ref().map(|audit| audit.files);
        if files(other) >= files(&self) {
            self.audit.clone_from(&other.audit);
        }
        self
    }

    /// About how many bytes it takes in a message.
    #[must_use]
    pub fn weight(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len() + 4).sum();
        let audit = self.audit.as_ref().map_or(0, Audit::weight);
        // Tags, lengths and the architecture take some 40.
        40 + self.id.len() + names + self.os.len() + self.variant.len() + audit
    }
}
