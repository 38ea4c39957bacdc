//! The socket's file: made so that nobody else can ask, and nobody else's file is touched.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// For root and its group: facts name what runs where.
const SOCKET_MODE: u32 = 0o660;

/// Everybody may see that there is a socket.
const DIRECTORY_MODE: u32 = 0o755;

/// A socket that listens; its file is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

/// See [`Socket`].
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: another agent may have replaced it.
    name: (u64, u64),
    /// The directory, if it was made for this socket: removed if nothing else is in there by then.
    made: Option<PathBuf>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error("the path has no directory; --socket takes an absolute one, or off")]
    Relative,
    #[error("{} is no directory of its own; choose another with --socket", .0.display())]
    Directory(PathBuf),
    #[error("others may write to {}; choose another with --socket", .0.display())]
    Writable(PathBuf),
    #[error("something that is no socket is there; remove it, or choose another with --socket")]
    Taken,
    #[error("another agent answers there; end it, or choose another with --socket")]
    Answered,
    #[error("{what}: {reason}")]
    Failed {
        what: &'static str,
        reason: io::Error,
    },
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> SocketError {
    move |reason| SocketError::Failed { what, reason }
}

/// Listens at `path`. A socket of that name that nobody listens on any more is replaced.
pub(super) fn bind(path: &Path) -> Result<Socket, SocketError> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(SocketError::Relative);
    };
    if !path.is_absolute() {
        return Err(SocketError::Relative);
    }
    let made = prepare(directory)?;
    look_at(path)?;
    // Under another name first: nobody may connect before its mode is right. Renaming replaces a stale
    // socket in one step, and follows no link.
    let mut other = name.to_owned();
    other.push(format!(".{}", std::process::id()));
    let other = directory.join(other);
    let _ = fs::remove_file(&other);
    let listener = UnixListener::bind(&other).map_err(failed("cannot listen"))?;
    let ready = fs::set_permissions(&other, fs::Permissions::from_mode(SOCKET_MODE))
        .and_then(|()| fs::symlink_metadata(&other))
        .and_then(|metadata| fs::rename(&other, path).map(|()| name_of(&metadata)));
    let name = ready.map_err(|reason| {
        let _ = fs::remove_file(&other);
        failed("cannot name the socket")(reason)
    })?;
    listener
        .set_nonblocking(true)
        .map_err(failed("cannot listen"))?;
    let file = SocketFile {
        path: path.to_owned(),
        name,
        made: made.then(|| directory.to_owned()),
    };
    Ok(Socket { listener, file })
}

/// A directory of its own is made if there is none. Where others could write they could put their
/// socket in place of this one, except with the sticky bit. Returns whether it was made.
fn prepare(directory: &Path) -> Result<bool, SocketError> {
    let made = DirBuilder::new().mode(DIRECTORY_MODE).create(directory);
    let made = match made {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(failed("cannot make its directory")(error)),
    };
    let metadata = fs::symlink_metadata(directory).map_err(failed("cannot see its directory"))?;
    if !metadata.is_dir() {
        return Err(SocketError::Directory(directory.to_owned()));
    }
    let mode = metadata.mode();
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        return Err(SocketError::Writable(directory.to_owned()));
    }
    Ok(made)
}

/// Whether the name is free, or a socket's that nobody listens on.
fn look_at(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => match UnixStream::connect(path) {
            Ok(_) => Err(SocketError::Answered),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(failed("cannot tell whether somebody listens there")(error)),
        },
        Ok(_) => Err(SocketError::Taken),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("cannot see what is there")(error)),
    }
}

fn name_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |metadata: Metadata| {
            metadata.file_type().is_socket() && name_of(&metadata) == self.name
        };
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            let _ = fs::remove_file(&self.path);
            if let Some(directory) = &self.made {
                let _ = fs::remove_dir(directory);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).expect("there").mode() & 0o7777
    }

    #[test]
    fn the_socket_is_for_its_owner_and_goes_with_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("run/agent.sock");
        let socket = bind(&path).expect("binds");
        assert_eq!(mode(&path), SOCKET_MODE);
        assert_eq!(mode(path.parent().expect("one")) & 0o022, 0);
        assert!(UnixStream::connect(&path).is_ok());
        let names = fs::read_dir(path.parent().expect("one")).expect("reads");
        assert_eq!(names.count(), 1, "no other name is left");
        drop(socket);
        assert!(!path.parent().expect("one").exists(), "it was made for it");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("agent.sock");
        let first = bind(&path).expect("binds");
        assert!(matches!(bind(&path), Err(SocketError::Answered)));
        // As after kill -9: the name stays, and nobody listens.
        let Socket { listener, file } = first;
        drop(listener);
        let second = bind(&path).expect("replaces it");
        drop(file);
        assert!(
            UnixStream::connect(&path).is_ok(),
            "the second one's is not removed"
        );
        drop(second);
        fs::write(&path, "mine").expect("writes");
        assert!(matches!(bind(&path), Err(SocketError::Taken)));
        assert_eq!(fs::read(&path).expect("reads"), b"mine");
        fs::remove_file(&path).expect("removes");
        let other = dir.path().join("other.sock");
        let _other = UnixListener::bind(&other).expect("binds");
        symlink(&other, &path).expect("links");
        assert!(
            matches!(bind(&path), Err(SocketError::Taken)),
            "a link is not followed"
        );
    }

    #[test]
    fn directories_must_be_ones_that_nobody_else_writes_to() {
        let dir = tempfile::tempdir().expect("a directory");
        let open = dir.path().join("open");
        fs::create_dir(&open).expect("makes");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("changes");
        let link = dir.path().join("link");
        symlink(&open, &link).expect("links");
        for (path, why) in [
            (open.join("a.sock"), "others may write"),
            (link.join("a.sock"), "no directory of its own"),
            (
                dir.path().join("no/such/a.sock"),
                "cannot make its directory",
            ),
            (PathBuf::from("a.sock"), "absolute"),
            (PathBuf::from("/"), "absolute"),
            (dir.path().join("x".repeat(200)), "cannot listen"),
        ] {
            let error = bind(&path).expect_err("refused").to_string();
            assert!(error.contains(why), "{}: {error}", path.display());
        }
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).expect("changes");
        assert!(bind(&open.join("a.sock")).is_ok(), "as in /tmp");
    }
}
