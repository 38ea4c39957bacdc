//! What a path is, and what to do with it.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use archtrace_audit as audit;
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::is_archive_name;
use archtrace_facts::elf::MAGIC;
use nix::fcntl::OFlag;

use crate::error::ScanError;
use crate::image;
use crate::layer::growth;
use crate::outline;
use crate::pack::{is_packed, unpack};
use crate::progress::{Counted, Progress};
use crate::report::{Kind, Part, Report};
use crate::store::{Store, printable};
use archtrace_facts::platform::Platform;

/// What every OCI layout has (image-layout.md).
const LAYOUT: &str = "oci-layout";
/// What can only be read once goes through a temporary file, up to this length: larger than any image,
/// smaller than most disks.
const MAX_SPOOL: u64 = 64 << 30;

/// What is asked of a scan.
#[derive(Clone, Debug)]
pub struct Options {
    /// What files should be for that belong to no image.
    pub arch: Arch,
    /// The platforms that each image should have.
    pub platforms: Vec<Platform>,
    /// How many threads look, at least one.
    pub threads: usize,
}

/// Scans the directory, image, archive or file at `path`; `-` is the standard input.
///
/// # Errors
/// If it cannot be read, makes no sense, or is nothing that can be scanned.
pub fn scan(path: &Path, options: &Options, progress: &Progress) -> Result<Report, ScanError> {
    let name = printable(path);
    if path.as_os_str() == "-" {
        let file = spool(io::stdin().lock(), MAX_SPOOL, &name, progress)?;
        return archive(file, &name, options, progress);
    }
    let io = |error| ScanError::io(&name, error);
    // Before it is opened: opening a device may do something, and a FIFO waits.
    let metadata = path.metadata().map_err(io)?;
    if metadata.is_dir() {
        if path.join(LAYOUT).is_file() {
            let store = Store::directory(path);
            return images(&store, Kind::Layout, options, progress);
        }
        return directory(path, options, progress);
    }
    let mut file = File::options()
        .read(true)
        .custom_flags(OFlag::O_CLOEXEC.bits())
        .open(path)
        .map_err(io)?;
    if !metadata.is_file() {
        // A pipe, as a shell's <(docker save ...) is one.
        let file = spool(&mut file, MAX_SPOOL, &name, progress)?;
        return archive(file, &name, options, progress);
    }
    let mut start = [0; 4];
    let len = file.read_at(&mut start, 0).map_err(io)?;
    let start = start.get(..len).unwrap_or_default();
    if start.starts_with(MAGIC) || is_archive_name(name.as_bytes()) && audit::begins_archive(start)
    {
        return single(path, options, progress);
    }
    if is_packed(start) {
        let limit = growth(metadata.len()).min(MAX_SPOOL);
        let file = spool(&mut file, limit, &name, progress)?;
        return archive(file, &name, options, progress);
    }
    archive(file, &name, options, progress)
}

/// Reads to the end what can only be read once, and unpacks it.
fn spool(
    content: impl Read,
    limit: u64,
    name: &str,
    progress: &Progress,
) -> Result<File, ScanError> {
    let mut file = tempfile::tempfile().map_err(|source| ScanError::Io {
        path: format!("a temporary file for {name}"),
        source,
    })?;
    let mut content = Counted::new(
        unpack(content).map_err(|e| progress.fault(name, e))?,
        progress,
    );
    let mut buffer = vec![0; 128 << 10];
    let mut len = 0;
    loop {
        let count = content
            .read(&mut buffer)
            .map_err(|error| progress.fault(name, error))?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        len += count as u64;
        if len > limit {
            return Err(ScanError::Absurd {
                path: name.to_owned(),
                what: "more than 64 GiB in it, or 200 times its own size",
            });
        }
        file.write_all(bytes).map_err(|source| ScanError::Io {
            path: format!("a temporary file for {name} (TMPDIR names the directory)"),
            source,
        })?;
    }
    file.rewind().map_err(|error| ScanError::io(name, error))?;
    Ok(file)
}

/// An archive of images, or of one root file system.
fn archive(
    file: File,
    name: &str,
    options: &Options,
    progress: &Progress,
) -> Result<Report, ScanError> {
    let file = Arc::new(file);
    let store = match Store::archive(Arc::clone(&file), name, progress) {
        Err(ScanError::Tar { .. } | ScanError::Truncated { .. }) if !is_tar(&file) => {
            return Err(ScanError::Kind {
                path: name.to_owned(),
            });
        }
        store => store?,
    };
    if store.has(LAYOUT) {
        return images(&store, Kind::Layout, options, progress);
    }
    if store.has("manifest.json") {
        return images(&store, Kind::Saved, options, progress);
    }
    let audit = image::root_archive(&file, name, options, progress)?;
    Ok(one(Kind::RootArchive, audit))
}

/// Whether the first block has a header's magic; very old archives have none.
fn is_tar(file: &File) -> bool {
    let mut magic = [0; 5];
    file.read_exact_at(&mut magic, 257).is_ok() && &magic == b"ustar"
}

fn images(
    store: &Store,
    kind: Kind,
    options: &Options,
    progress: &Progress,
) -> Result<Report, ScanError> {
    let outline = outline::read(store, &options.platforms, progress)?;
    Ok(Report {
        kind,
        parts: image::audit(store, &outline.images, options, progress)?,
        missing: outline.missing,
        left_out: outline.left_out,
    })
}

fn directory(path: &Path, options: &Options, progress: &Progress) -> Result<Report, ScanError> {
    let wanted = audit::Options::scan(options.arch, options.threads);
    let audit = audit::tree_at(path, &wanted, progress.walk())?;
    Ok(one(Kind::Directory, audit))
}

fn single(path: &Path, options: &Options, progress: &Progress) -> Result<Report, ScanError> {
    let wanted = audit::Options::scan(options.arch, 1);
    let audit = audit::file(path, &wanted, progress.walk())?;
    Ok(one(Kind::File, audit))
}

fn one(kind: Kind, audit: archtrace_facts::audit::Audit) -> Report {
    let part = Part {
        name: String::new(),
        claim: None,
        audit,
    };
    Report {
        kind,
        parts: vec![part],
        missing: Vec::new(),
        left_out: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Small archives that fuzzing starts from.
    const SEEDS: [&[u8]; 3] = [
        include_bytes!("../../fuzz/corpus/image/root"),
        include_bytes!("../../fuzz/corpus/image/saved"),
        include_bytes!("../../fuzz/corpus/image/pax"),
    ];

    fn scanned(bytes: &[u8]) -> Result<Report, ScanError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("writes");
        let options = Options {
            arch: Arch::Arm64,
            platforms: vec![Platform::linux(Arch::Arm64)],
            threads: 2,
        };
        scan(file.path(), &options, &Progress::default())
    }

    #[test]
    fn the_seeds_are_what_they_should_be() {
        let kind = |bytes| scanned(bytes).map(|report| report.kind).ok();
        assert_eq!(
            SEEDS.map(kind),
            [
                Some(Kind::RootArchive),
                Some(Kind::Saved),
                Some(Kind::RootArchive)
            ]
        );
    }

    #[test]
    fn whoever_cancels_is_heeded() {
        let progress = Progress::default();
        progress.cancel();
        let options = Options {
            arch: Arch::Arm64,
            platforms: Vec::new(),
            threads: 2,
        };
        for path in [
            "/usr",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/image/saved"),
        ] {
            let error = scan(Path::new(path), &options, &progress).expect_err("cancelled");
            assert!(matches!(error, ScanError::Cancelled), "{error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(seed in 0usize..3, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut: prop::sample::Index) {
            let mut bytes = SEEDS[seed].to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = scanned(&bytes);
            let _ = scanned(&bytes[..cut.index(bytes.len())]);
        }
    }
}
