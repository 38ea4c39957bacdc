//! Handlers in the registry of `binfmt_misc`, taken out again when they are no longer needed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Ident, header_only};

use crate::mount::Mount;

/// Where the registry is by convention.
pub const REGISTRY: &str = "/proc/sys/fs/binfmt_misc";

/// With this begin the names of all handlers of the cases.
const PREFIX: &str = "archtrace-test-";

/// Makes the registry visible, if it is not.
///
/// # Errors
/// If it cannot be mounted.
pub fn mount() -> Result<Mount> {
    Mount::ensure("binfmt_misc", Path::new(REGISTRY))
}

/// Takes out handlers that a run has left which was killed: they would run what a case expects to be refused.
/// Nobody else may run cases meanwhile.
///
/// # Errors
/// If the registry cannot be read.
pub fn take_out_leftovers() -> Result<()> {
    for entry in fs::read_dir(REGISTRY).with_context(|| format!("read {REGISTRY}"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) {
            eprintln!("took out the handler {name}: a run that was killed has left it");
            drop(Handler { name });
        }
    }
    Ok(())
}

/// A handler that is registered as long as this lives.
#[derive(Debug)]
pub struct Handler {
    name: String,
}

impl Handler {
    /// Has `emulator` run the programs of `machine`. With `F` among the flags it needs no path in
    /// the container of the program.
    ///
    /// # Errors
    /// See [`Handler::register`].
    pub fn emulate(name: &str, machine: Ident, emulator: &Path, flags: &str) -> Result<Self> {
        Self::register(name, &Self::rule(machine, emulator, flags)?)
    }

    /// The rule for [`Handler::emulate`], without a name.
    ///
    /// # Errors
    /// If the emulator's path is not UTF-8.
    pub fn rule(machine: Ident, emulator: &Path, flags: &str) -> Result<String> {
        let mut magic = String::new();
        let mut mask = String::new();
        for (at, byte) in header_only(machine).iter().take(20).enumerate() {
            let care: u8 = match at {
                7..16 => 0, // which ABI, and padding
                16 => 0xfe, // ET_EXEC or ET_DYN
                _ => 0xff,
            };
            write!(magic, "\\x{:02x}", byte & care)?;
            write!(mask, "\\x{care:02x}")?;
        }
        let emulator = emulator
            .to_str()
            .context("the emulator's path is not UTF-8")?;
        Ok(format!(":M:0:{magic}:{mask}:{emulator}:{flags}"))
    }

    /// Registers `:name` followed by `rule`, as `Documentation/admin-guide/binfmt-misc.rst` has it.
    ///
    /// # Errors
    /// If the name is taken, the kernel refuses the rule, or this process may not.
    pub fn register(name: &str, rule: &str) -> Result<Self> {
        let entry = Path::new(REGISTRY).join(name);
        ensure!(
            !entry.exists(),
            "a handler is in the way; if nobody needs it: echo -1 > {}",
            entry.display()
        );
        let register = Path::new(REGISTRY).join("register");
        fs::write(&register, format!(":{name}{rule}"))
            .with_context(|| format!("register {name} at {}", register.display()))?;
        Ok(Self {
            name: name.to_owned(),
        })
    }

    /// Takes no more files while this is not undone (`Documentation/admin-guide/binfmt-misc.rst`: `echo 0`).
    ///
    /// # Errors
    /// If the kernel refuses to.
    pub fn disable(&self) -> Result<()> {
        self.tell("0")
    }

    /// Undoes [`Handler::disable`].
    ///
    /// # Errors
    /// If the kernel refuses to.
    pub fn enable(&self) -> Result<()> {
        self.tell("1")
    }

    fn tell(&self, word: &str) -> Result<()> {
        let entry = Path::new(REGISTRY).join(&self.name);
        fs::write(&entry, word).with_context(|| format!("write {word} to {}", entry.display()))
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        if let Err(error) = self.tell("-1") {
            eprintln!("could not take out the handler: {error:#}");
        }
    }
}
