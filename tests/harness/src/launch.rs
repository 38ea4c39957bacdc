//! Executes a program the way a container runtime does: in a cgroup, a root and namespaces of its
//! own. That takes a process of its own, for which the program that runs the cases starts itself
//! again.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{execve, execveat};
use serde::{Deserialize, Serialize};

use crate::binfmt::REGISTRY;

/// Tells whoever [`serve`]s what to do.
const VARIABLE: &str = "ARCHTRACE_TEST_LAUNCH";

/// The exit status of a launcher whose program the kernel refused: this and `errno`.
pub const REFUSED: i32 = 100;

/// What to execute, and where.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Launch {
    /// The program, as seen from the new root.
    pub program: PathBuf,
    /// `argv`; the program's path alone if empty.
    pub arguments: Vec<String>,
    /// A directory of the cgroup hierarchy to move to.
    pub cgroup: Option<PathBuf>,
    /// The directory that becomes the root.
    pub root: Option<PathBuf>,
    /// Whether it gets a mount namespace, with a proc file system where its root has the directory.
    pub mounts: bool,
    /// Directories that the new root has at the same places. They need a mount namespace.
    pub binds: Vec<PathBuf>,
    /// A rule, with its name, for the registry of a new user namespace (Linux 6.7).
    pub private_rule: Option<String>,
    /// A descriptor is executed instead of a path.
    pub descriptor: Option<Descriptor>,
    /// So many milliseconds the process lives on after a refusal.
    pub linger: u64,
}

/// What becomes of the descriptor that is executed (`execveat(2)`).
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub enum Descriptor {
    /// The new program inherits it.
    Kept,
    /// It is closed (`O_CLOEXEC`), so that an interpreter cannot open it again.
    Closed,
}

impl Launch {
    /// Executes `program` without any preparation.
    #[must_use]
    pub fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            ..Self::default()
        }
    }

    /// A command that does so. Its exit status is the program's, or [`REFUSED`] and `errno`.
    ///
    /// # Errors
    /// If the path of the running program is not known, or a path is not UTF-8.
    pub fn command(&self) -> Result<Command> {
        let own = std::env::current_exe().context("find the running program")?;
        let mut command = Command::new(own);
        command.env(VARIABLE, serde_json::to_string(self)?);
        Ok(command)
    }
}

/// To be called first by every program that runs the cases: becomes another program if a
/// [`Launch`] asks for that, else returns at once.
///
/// # Errors
/// If a preparation fails.
pub fn serve() -> Result<()> {
    let Some(told) = std::env::var_os(VARIABLE) else {
        return Ok(());
    };
    let launch: Launch = serde_json::from_slice(told.as_bytes())?;
    prepare(&launch)?;
    let errno = execute(&launch)?;
    sleep(Duration::from_millis(launch.linger));
    std::process::exit(REFUSED + errno as i32)
}

fn prepare(launch: &Launch) -> Result<()> {
    if let Some(cgroup) = &launch.cgroup {
        let file = cgroup.join("cgroup.procs");
        fs::write(&file, "0").with_context(|| format!("write {}", file.display()))?;
    }
    if let Some(rule) = &launch.private_rule {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
            .context("make a user namespace")?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", "0 0 1")?;
        fs::write("/proc/self/gid_map", "0 0 1")?;
        let kind = Some("binfmt_misc");
        mount(kind, REGISTRY, kind, MsFlags::empty(), None::<&str>)
            .context("mount a registry of its own")?;
        fs::write(Path::new(REGISTRY).join("register"), rule).context("register")?;
    } else if launch.mounts {
        unshare(CloneFlags::CLONE_NEWNS).context("make a mount namespace")?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .context("keep mounts out of other namespaces")?;
        if let Some(root) = &launch.root {
            return enter(root, &launch.binds)
                .with_context(|| format!("make {} the root", root.display()));
        }
    }
    if let Some(root) = &launch.root {
        nix::unistd::chroot(root).with_context(|| format!("chroot {}", root.display()))?;
        std::env::set_current_dir("/")?;
    }
    Ok(())
}

/// Makes `root` the root of this mount namespace, as runc does where `pivot_root(2)` cannot be had (an
/// initramfs), and mounts `binds` and a proc file system where it has the directory.
fn enter(root: &Path, binds: &[PathBuf]) -> Result<()> {
    let none = None::<&str>;
    mount(Some(root), root, none, MsFlags::MS_BIND, none)?;
    let proc = root.join("proc");
    if proc.is_dir() {
        let kind = Some("proc");
        mount(kind, &proc, kind, MsFlags::empty(), none)?;
    }
    for dir in binds {
        let place = root.join(dir.strip_prefix("/")?);
        fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some(dir), &place, none, flags, none)
            .with_context(|| format!("bind {}", dir.display()))?;
    }
    std::env::set_current_dir(root)?;
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none)?;
    nix::unistd::chroot(".")?;
    std::env::set_current_dir("/")?;
    Ok(())
}

/// Returns only if the kernel refuses.
fn execute(launch: &Launch) -> Result<Errno> {
    let program = CString::new(launch.program.as_os_str().as_bytes())?;
    let mut arguments = launch
        .arguments
        .iter()
        .map(|argument| CString::new(argument.as_bytes()))
        .collect::<Result<Vec<_>, _>>()?;
    if arguments.is_empty() {
        arguments.push(program.clone());
    }
    let none: [&std::ffi::CStr; 0] = [];
    let Some(descriptor) = launch.descriptor else {
        let Err(errno) = execve(&program, &arguments, &none);
        return Ok(errno);
    };
    let flags = match descriptor {
        Descriptor::Kept => OFlag::O_RDONLY,
        Descriptor::Closed => OFlag::O_RDONLY | OFlag::O_CLOEXEC,
    };
    let file = open(&launch.program, flags, Mode::empty())
        .with_context(|| format!("open {}", launch.program.display()))?;
    let Err(errno) = execveat(&file, c"", &arguments, &none, AtFlags::AT_EMPTY_PATH);
    Ok(errno)
}
