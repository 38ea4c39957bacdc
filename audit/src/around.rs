//! What an image runs, and where its loader looks.

use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd};

use archtrace_facts::audit::{Place, Start, Surroundings, loader_config, programs, resolve};
use rustix::fs::{FileType, RawDir, readlinkat};

use crate::open::{self, Opener};
use crate::options::{Launch, Options};

/// What the kernel looks at of a file that is executed (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;
/// The loader's configuration is a few lines.
const MAX_CONFIG: usize = 64 * 1024;
/// Files that it includes: one for each package that has libraries of its own.
const MAX_INCLUDES: usize = 64;
/// The loader's main configuration.
const CONFIG: &[u8] = b"/etc/ld.so.conf";

/// Looks for what must be known of the tree at `root` beside its files.
pub(crate) fn surroundings(root: BorrowedFd<'_>, options: &Options) -> Surroundings {
    let opener = Opener::new(options.tree);
    let Launch {
        argv,
        path,
        library_path,
        dir,
    } = &options.launch;
    let start = Start {
        argv,
        path: path.as_deref(),
        dir: dir.as_deref(),
    };
    let mut look = |path: &[u8]| place(root, &opener, path, HEAD);
    let programs = programs(&start, &mut look);
    let mut dirs = configured(root, &opener);
    let named = library_path.as_deref().unwrap_or_default();
    dirs.extend(
        named
            .split(|byte| matches!(byte, b':' | b';'))
            .filter(|dir| dir.starts_with(b"/"))
            .map(<[u8]>::to_vec),
    );
    // A link to a directory of libraries is what is configured as often as not.
    let real = dirs
        .iter()
        .filter_map(|dir| Some(resolve(dir, &mut look)?.0));
    let library_dirs = real.collect();
    Surroundings {
        programs,
        library_dirs,
    }
}

/// The directories that `/etc/ld.so.conf` and what it includes name.
fn configured(root: BorrowedFd<'_>, opener: &Opener) -> Vec<Vec<u8>> {
    let read = |path: &[u8]| {
        let mut look = |path: &[u8]| place(root, opener, path, MAX_CONFIG);
        match resolve(path, &mut look) {
            Some((_, Place::File(text))) => loader_config(&text),
            _ => Default::default(),
        }
    };
    let main = read(CONFIG);
    let mut dirs = main.dirs;
    let files = main.includes.iter().flat_map(|pattern| {
        let mut look = |path: &[u8]| place(root, opener, path, HEAD);
        matching(root, pattern, &mut look)
    });
    for file in files.take(MAX_INCLUDES) {
        dirs.extend(read(&file).dirs);
    }
    dirs
}

/// The files that a pattern stands for, which has at most one `*` in its last name: what
/// distributions have.
fn matching(
    root: BorrowedFd<'_>,
    pattern: &[u8],
    look: &mut dyn FnMut(&[u8]) -> Option<Place>,
) -> Vec<Vec<u8>> {
    let end = pattern.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let (dir, name) = pattern.split_at(end);
    let name = name.strip_prefix(b"/").unwrap_or(name);
    let Some(star) = name.iter().position(|byte| *byte == b'*') else {
        return vec![pattern.to_vec()];
    };
    let (before, after) = (&name[..star], &name[star + 1..]);
    let Some((dir, Place::Directory)) = resolve(dir, look) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    let Ok(listed) = open::directory(root, relative(&dir)) else {
        return files;
    };
    let mut buffer = Vec::with_capacity(8 * 1024);
    let mut entries = RawDir::new(listed.as_fd(), buffer.spare_capacity_mut());
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_bytes();
        let fits = name.len() >= before.len() + after.len();
        if fits && name.starts_with(before) && name.ends_with(after) && files.len() < MAX_INCLUDES {
            files.push([dir.as_slice(), b"/", name].concat());
        }
    }
    files
}

/// What is at `path`, which is absolute within the tree; of a file at most `len` bytes.
fn place(root: BorrowedFd<'_>, opener: &Opener, path: &[u8], len: usize) -> Option<Place> {
    let path = CString::new(relative(path)).ok()?;
    let (file, stat) = open::look(root, path.as_c_str()).ok()?;
    match open::file_type(&stat) {
        FileType::Directory => Some(Place::Directory),
        FileType::Symlink => {
            let target = readlinkat(&file, c"", Vec::new()).ok()?;
            Some(Place::Link(target.into_bytes()))
        }
        FileType::RegularFile => {
            let file = opener.regular(root, &path).ok()?;
            let mut bytes = vec![0; len];
            let mut filled = 0;
            while filled < len {
                match rustix::io::read(&file, &mut bytes[filled..]).ok()? {
                    0 => break,
                    read => filled += read,
                }
            }
            bytes.truncate(filled);
            Some(Place::File(bytes))
        }
        _ => None,
    }
}

fn relative(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"/").unwrap_or(path)
}
