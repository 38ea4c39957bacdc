//! What files are called, on disk: syncing a file keeps what is in it, but not its name (fsync(2)).

use std::fs::File;
use std::io;
use std::path::Path;

/// Where a file is.
pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        // In the current one.
        _ => Path::new("."),
    }
}

/// Makes names last that were given beside this file, its own among them.
pub(crate) fn sync_names(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_a_directory() {
        for (path, expected) in [
            ("events", "."),
            ("a/events", "a"),
            ("/events", "/"),
            ("/a/b/events", "/a/b"),
        ] {
            assert_eq!(directory(Path::new(path)), Path::new(expected), "{path}");
        }
        sync_names(Path::new("events")).expect("there is always a current one");
        assert!(sync_names(Path::new("/no/such/events")).is_err());
    }
}
