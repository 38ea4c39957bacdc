//! Where PostgreSQL is.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User, geteuid};

use crate::Error;

/// Names the directory of PostgreSQL's programs.
pub const VARIABLE: &str = "ARCHTRACE_POSTGRES";

/// Where Debian has them; distributions do not put them into `$PATH`.
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";

/// PostgreSQL's programs, and who runs them.
#[derive(Clone, Debug)]
pub struct Programs {
    bin: PathBuf,
    /// PostgreSQL refuses to run as root.
    user: Option<(Uid, Gid)>,
}

impl Programs {
    /// Those of [`VARIABLE`], else Debian's.
    #[must_use]
    pub fn find() -> Option<Self> {
        let set = std::env::var_os(VARIABLE).filter(|set| !set.is_empty());
        let bin = set.map_or_else(|| PathBuf::from(DEBIAN), PathBuf::from);
        Self::at(&bin)
    }

    fn at(bin: &Path) -> Option<Self> {
        if !["initdb", "postgres", "psql"]
            .iter()
            .all(|name| bin.join(name).is_file())
        {
            return None;
        }
        Some(Self {
            bin: bin.to_owned(),
            user: geteuid().is_root().then(unprivileged),
        })
    }

    /// Who is to own the files.
    pub(crate) fn owner(&self) -> Option<(Uid, Gid)> {
        self.user
    }

    /// Where a program is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// A command that runs as the right user, with nothing of this environment that could lead
    /// PostgreSQL elsewhere.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .current_dir("/");
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        if let Some((user, group)) = self.user {
            command.uid(user.as_raw()).gid(group.as_raw());
        }
        command
    }
}

/// The user that distributions have for it, else the one that owns nothing.
fn unprivileged() -> (Uid, Gid) {
    let known = ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok()?);
    known.map_or((Uid::from_raw(65534), Gid::from_raw(65534)), |user| {
        (user.uid, user.gid)
    })
}

/// Runs a command and waits for it.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<(), Error> {
    let output = command.output().map_err(|reason| system(what, reason))?;
    if output.status.success() {
        return Ok(());
    }
    let mut told = String::from_utf8_lossy(&output.stdout).into_owned();
    told.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(Error::Failed {
        what: what.to_owned(),
        output: told,
    })
}

pub(crate) fn system(what: &str, reason: std::io::Error) -> Error {
    Error::System {
        what: what.to_owned(),
        reason,
    }
}
