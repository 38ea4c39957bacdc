//! A file of findings, one a line, that never grows beyond its bounds.

use std::fs;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archtrace_facts::fleet::NodeEvent;
use tokio::task::spawn_blocking;

use super::finding;
use crate::directory::sync_names;
use crate::follow::{Refusal, Sink, Taken};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file, beyond which the next one begins; a line is never cut.
    pub bytes: u64,
    /// How many earlier ones are kept, as `FILE.1`, which is the newest of them, `FILE.2` and so on.
    pub earlier: u32,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {reason}; check --export-ocsf", path = path.display())]
pub struct FileError {
    path: PathBuf,
    reason: io::Error,
}

/// Appends findings to a file.
#[derive(Debug)]
pub struct File {
    path: Arc<Path>,
    limits: Limits,
}

impl File {
    /// Makes sure that the file can be written. A line that was cut off by a crash is taken away: what it
    /// held was not confirmed, and comes again.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, FileError> {
        append(path, b"").map_err(|reason| FileError {
            path: path.to_owned(),
            reason,
        })?;
        Ok(Self {
            path: path.into(),
            limits,
        })
    }
}

impl Sink for File {
    async fn send(&mut self, events: &[NodeEvent]) -> Result<Taken, Refusal> {
        let mut lines = Vec::new();
        for event in events {
            // Objects of texts and numbers always serialise.
            if serde_json::to_writer(&mut lines, &finding(event)).is_ok() {
                lines.push(b'\n');
            }
        }
        let (path, limits) = (Arc::clone(&self.path), self.limits);
        // Syncing takes its time.
        let written = spawn_blocking(move || write(&path, limits, &lines)).await;
        let reason = match written {
            Ok(Ok(())) => return Ok(Taken::default()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Err(Refusal::Later {
            after: None,
            reason: format!("cannot write {}: {reason}", self.path.display()),
        })
    }
}

/// Appends lines, to the next file if they do not fit into this one.
fn write(path: &Path, limits: Limits, lines: &[u8]) -> io::Result<()> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        // Somebody took it away, as logrotate does.
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let more = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    if length > 0 && length.saturating_add(more) > limits.bytes {
        rotate(path, limits.earlier)?;
    }
    append(path, lines)
}

/// All or nothing, and on disk.
fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(path)?;
    let whole = whole_lines(&mut file)?;
    file.set_len(whole)?;
    file.seek(SeekFrom::Start(whole))?;
    let mut written = file.write_all(lines).and_then(|()| file.sync_data());
    if whole == 0 {
        // It was made just now, maybe, in place of one that has another name now.
        written = written.and_then(|()| sync_names(path));
    }
    if written.is_err() {
        // A disk that is full: no half of a line stays, and what comes again is not there twice.
        file.set_len(whole)?;
    }
    written
}

/// Bytes up to the end of the last whole line.
fn whole_lines(file: &mut fs::File) -> io::Result<u64> {
    const CHUNK: u64 = 64 << 10;
    let mut end = file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(start))?;
        chunk.clear();
        Read::take(&mut *file, end - start).read_to_end(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + u64::try_from(at).unwrap_or_default() + 1);
        }
        end = start;
    }
    Ok(0)
}

/// `FILE` becomes `FILE.1`, that `FILE.2`, and the last goes.
fn rotate(path: &Path, earlier: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if earlier == 0 {
        return fs::remove_file(path);
    }
    for number in (1..earlier).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<(String, u64)> {
        let files = fs::read_dir(dir).expect("lists");
        let mut names: Vec<_> = files
            .map(|file| {
                let file = file.expect("a file");
                let name = file.file_name().into_string().expect("text");
                (name, file.metadata().expect("is there").len())
            })
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn files_are_bounded_in_size_and_number() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events");
        let limits = Limits {
            bytes: 10,
            earlier: 2,
        };
        let write = |lines: &[u8]| write(&path, limits, lines).expect("writes");
        let own = |names: &[(&str, u64)]| {
            let names = names.iter();
            names
                .map(|(name, length)| ((*name).to_owned(), *length))
                .collect::<Vec<_>>()
        };
        write(b"1234\n");
        write(b"5678\n");
        assert_eq!(names(dir.path()), own(&[("events", 10)]));
        write(b"9\n");
        assert_eq!(names(dir.path()), own(&[("events", 2), ("events.1", 10)]));
        // Longer than a file may be: a line is never cut.
        write(b"a line that is long\n");
        write(b"x\n");
        let all = own(&[("events", 2), ("events.1", 20), ("events.2", 2)]);
        assert_eq!(names(dir.path()), all);
        fs::remove_file(&path).expect("removes");
        write(b"y\n");
        assert_eq!(names(dir.path()), all);
    }

    #[test]
    fn half_a_line_is_taken_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events");
        let long = "x".repeat(200_000);
        for (had, has) in [
            ("", ""),
            ("a\nb\n", "a\nb\n"),
            ("a\nb\n{\"half", "a\nb\n"),
            ("{\"half", ""),
            (&format!("a\n{long}"), "a\n"),
            (&long, ""),
        ] {
            fs::write(&path, had).expect("writes");
            append(&path, b"c\n").expect("appends");
            let told = fs::read_to_string(&path).expect("reads");
            assert_eq!(told, format!("{has}c\n"));
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_at_start() {
        let limits = Limits {
            bytes: 10,
            earlier: 2,
        };
        let told = File::open(Path::new("/no/such/file"), limits).expect_err("no directory");
        assert!(told.to_string().contains("--export-ocsf"), "{told}");
    }
}
