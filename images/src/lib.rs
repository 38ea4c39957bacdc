//! Reads images where they lie: OCI layouts and saved images, as directories and as archives.
//!
//! A crate of its own, so that the agent, which walks root file systems too, carries no decompressor
//! and no reader of descriptions: building all programs at once would unite the features of one
//! crate. What files mean is decided by [`archtrace_facts::audit`]. This crate must not write
//! anything but temporary files without a name, and must not believe what it reads: blobs are
//! compared with their digests, and everything has a bound.
//!
//! | module | what it does |
//! |---|---|
//! | `scan` | what a path is, and what to do with it |
//! | `store` | files in a directory or in an archive |
//! | `outline` | which images there are, for which platforms |
//! | `image`, `layer`, `tree` | layers, what they hold, and what a container sees of them |
//! | `tar`, `pack`, `archive`, `digest` | the formats of layers |
//! | `manifest` | the descriptions of images |
#![forbid(unsafe_code)]

mod archive;
mod digest;
mod error;
mod image;
mod layer;
mod manifest;
mod outline;
mod pack;
mod progress;
mod report;
mod scan;
mod store;
mod tar;
mod tree;

pub use archtrace_facts::platform::{ParsePlatformError, Platform};
pub use error::ScanError;
pub use progress::Progress;
pub use report::{Claim, Kind, Missing, Part, Report};
pub use scan::{Options, scan};
