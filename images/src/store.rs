//! Where an image's blobs are: a directory, or a tar archive that is read at any place.

mod archive;

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archtrace_facts::text::escape;
use nix::fcntl::OFlag;

use self::archive::Entries;
use crate::digest::{Checked, Digest};
use crate::error::ScanError;
use crate::progress::{Counted, Progress};

/// Descriptions of images: what registries and containerd take (`MaxManifestSize`, 4 MiB).
const MAX_DESCRIPTION: u64 = 4 << 20;

/// What holds blobs.
pub(crate) struct Store {
    place: Place,
    /// What errors begin with.
    path: String,
}

enum Place {
    Directory(PathBuf),
    Archive { file: Arc<File>, entries: Entries },
}

/// A blob that can be read.
pub(crate) struct Blob<'a> {
    /// For errors: the store and the blob in it.
    pub(crate) path: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its content, which is compared with its digest.
    pub(crate) content: Checked<Counted<'a, Box<dyn Read + Send>>>,
}

impl Store {
    /// The directory at `path`.
    pub(crate) fn directory(path: &Path) -> Self {
        Self {
            place: Place::Directory(path.to_owned()),
            path: printable(path),
        }
    }

    /// The uncompressed archive `file`, of which errors speak as `path`.
    pub(crate) fn archive(
        file: Arc<File>,
        path: &str,
        progress: &Progress,
    ) -> Result<Self, ScanError> {
        let entries = archive::index(&file, path, progress)?;
        Ok(Self {
            place: Place::Archive { file, entries },
            path: path.to_owned(),
        })
    }

    /// Whether there is such a file.
    pub(crate) fn has(&self, name: &str) -> bool {
        match &self.place {
            Place::Directory(dir) => dir.join(name).is_file(),
            Place::Archive { entries, .. } => entries.contains_key(name.as_bytes()),
        }
    }

    /// What errors about the file `name` speak of.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}: {}", self.path, escape(name.as_bytes()))
    }

    /// Opens the file `name`; `None` if there is none. With a digest, its content is compared.
    pub(crate) fn open<'a>(
        &self,
        name: &str,
        digest: Option<Digest>,
        progress: &'a Progress,
    ) -> Result<Option<Blob<'a>>, ScanError> {
        let path = self.path(name);
        let found = match &self.place {
            Place::Directory(dir) => open_regular(&dir.join(name)),
            Place::Archive { file, entries } => Ok(archive::open(file, entries, name)),
        };
        let found = found.map_err(|error| ScanError::io(&path, error))?;
        Ok(found.map(|(reader, size)| Blob {
            path,
            size,
            content: Checked::new(Counted::new(reader, progress), digest),
        }))
    }

    /// The whole of a description; `None` if there is none.
    pub(crate) fn read(
        &self,
        name: &str,
        digest: Option<Digest>,
        progress: &Progress,
    ) -> Result<Option<Vec<u8>>, ScanError> {
        let Some(mut blob) = self.open(name, digest, progress)? else {
            return Ok(None);
        };
        if blob.size > MAX_DESCRIPTION {
            return Err(ScanError::Absurd {
                path: blob.path,
                what: "more than 4 MiB of description",
            });
        }
        let mut bytes = Vec::new();
        // A file may grow while it is read.
        let read = (&mut blob.content)
            .take(MAX_DESCRIPTION)
            .read_to_end(&mut bytes);
        read.map_err(|error| progress.fault(&blob.path, error))?;
        blob.finish(progress)?;
        Ok(Some(bytes))
    }
}

impl<'a> Blob<'a> {
    /// A file that belongs to no store and has no digest.
    pub(crate) fn whole(
        path: String,
        size: u64,
        content: Box<dyn Read + Send>,
        progress: &'a Progress,
    ) -> Self {
        Self {
            path,
            size,
            content: Checked::new(Counted::new(content, progress), None),
        }
    }

    /// Reads what is left, and compares.
    pub(crate) fn finish(self, progress: &Progress) -> Result<(), ScanError> {
        let Self { path, content, .. } = self;
        match content.finish() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(found)) => Err(ScanError::Digest { path, found }),
            Err(error) => Err(progress.fault(&path, error)),
        }
    }
}

/// A path as people may be shown it.
pub(crate) fn printable(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    escape(path.as_os_str().as_bytes())
}

/// Opens a regular file without waiting for whoever writes to a FIFO. Links are followed: build
/// systems make layouts of them, and whoever names the directory may read what they lead to.
fn open_regular(path: &Path) -> io::Result<Option<(Box<dyn Read + Send>, u64)>> {
    let size = |metadata: &Metadata| {
        let no_file = || io::Error::other("it is no regular file");
        let size = metadata.is_file().then_some(metadata.len());
        size.ok_or_else(no_file)
    };
    let open = || -> io::Result<(Box<dyn Read + Send>, u64)> {
        // Opening a device may do something.
        size(&path.metadata()?)?;
        let mut options = File::options();
        options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let file = options.open(path)?;
        let size = size(&file.metadata()?)?;
        Ok((Box::new(file), size))
    };
    match open() {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
