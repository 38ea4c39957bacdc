//! What a scan found.

use archtrace_facts::audit::Audit;

use archtrace_facts::platform::Platform;

/// What something is that was scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory, read as a root file system.
    Directory,
    /// A tar archive of a root file system, as `docker export` writes it.
    RootArchive,
    /// An OCI layout, be it a directory or an archive.
    Layout,
    /// What `docker save` writes.
    Saved,
    /// An ELF file, or an archive of Java or Python.
    File,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it is.
    pub kind: Kind,
    /// What was audited: one thing, or each image for each platform.
    pub parts: Vec<Part>,
    /// Images that have no variant for a platform that was asked for.
    pub missing: Vec<Missing>,
    /// Platforms that nobody asked for, and that were not looked at.
    pub left_out: Vec<String>,
}

/// Something with files of its own.
#[derive(Clone, Debug)]
pub struct Part {
    /// An image's name; may be empty.
    pub name: String,
    /// What an image says of itself.
    pub claim: Option<Claim>,
    /// What its files are.
    pub audit: Audit,
}

/// What an image says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The platform by which its index offers it.
    pub index: Option<Platform>,
    /// That of its own configuration.
    pub config: Platform,
}

/// A platform that an image should have, and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The image's name; may be empty.
    pub name: String,
    /// What was asked for.
    pub platform: Platform,
    /// What there is.
    pub has: Vec<String>,
    /// Whether the index names it, but its files were not saved.
    pub listed: bool,
}

impl Claim {
    /// What a node gets that asks for this platform: the index decides, where there is one.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        self.index.as_ref().unwrap_or(&self.config)
    }
}
