//! What is found in a tree of files: ELF files of another machine, and why they matter.
//!
//! Whoever reads a tree, be it directories or the layers of an image, tells an [`Inventory`] of its
//! files, looks for what the image runs ([`programs`]), and gets an [`Audit`].
//!
//! # What is foreign
//!
//! An ELF file whose architecture differs from the expected one, unless
//!
//! - CPUs of the expected kind may run it (`386` on `amd64`, `arm` on `arm64`). Not every arm64 CPU
//!   still has the 32-bit mode; an image that counts on it is not what an audit is for;
//! - no node of Kubernetes has such a machine: programs for GPUs, for microcontrollers, for eBPF;
//! - it is no program and no shared library but an object file, a kernel module or a core dump.
//!
//! All of them are counted.
//!
//! # What is a finding
//!
//! A foreign file, unless
//!
//! - nobody could run it: it may not be executed, and is not named like a shared library (firmware),
//!   it holds debug information (`/usr/lib/debug`), or is there for tests (`testdata`);
//! - **it has a sibling**: a directory or file on its path is named for its architecture, and in the
//!   place of that name with the expected architecture's word there is a file of that one.
//!   `prebuilds/linux-x64/a.node` has one on arm64 where there is `prebuilds/linux-arm64/b.node`, and
//!   so has all of Debian's `/usr/lib/x86_64-linux-gnu` beside `/usr/lib/aarch64-linux-gnu`. Without
//!   a file of the expected architecture in the place, all of it is found;
//! - it is the target of a cross compiler or what an emulator needs, by the place that
//!   distributions have for these (`/usr/<triplet>`, `/usr/lib/gcc-cross/<triplet>`,
//!   `/usr/gnemul`, `/etc/qemu-binfmt`);
//! - it is in an archive (jar, wheel) that has a library of the expected architecture too.
//!
//! What the image runs is a finding in any case, if it is foreign.

use crate::arch::Arch;
use crate::fact::words;

mod inventory;
mod loader;
mod program;
mod role;
mod sibling;

pub use inventory::{Elf, Inventory, Room, Surroundings};
pub use loader::{LoaderConfig, loader_config};
pub use program::{Place, Program, Start, programs, resolve};
pub use role::{is_archive_name, is_library_name};

words! {
    /// Why a file of another machine matters.
    Role, "role of a file" {
        /// What the image is there to run.
        Main = "main",
        /// A program in a directory that `PATH` usually has.
        Program = "program",
        /// A shared library where the dynamic loader looks for some.
        Library = "library",
        /// An add-on of Node.js (`.node`).
        NodeAddon = "node_addon",
        /// An extension module or library of a Python package.
        PythonExtension = "python_extension",
        /// A library inside of a jar that has none for the wanted architecture.
        JarEntry = "jar_entry",
        /// A library inside of a wheel that has none for the wanted architecture.
        WheelEntry = "wheel_entry",
        /// Any other ELF file.
        Other = "other",
    }
}

words! {
    /// Why something was not looked at.
    Skip, "reason to skip a file" {
        /// The tree has more entries than are looked at.
        Entries = "too_many_entries",
        /// Directories, or archives in archives, are nested deeper.
        Depth = "too_deep",
        /// More bytes would have to be read.
        Bytes = "too_many_bytes",
        /// It could not be opened or read, or was gone.
        Unreadable = "unreadable",
        /// An archive that makes no sense.
        BadArchive = "bad_archive",
        /// Another file system is mounted there: its files are not of the tree.
        OtherFileSystem = "other_file_system",
        /// There was no more time.
        Time = "out_of_time",
    }
}

/// What was found in a tree of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The architecture that its files should be for.
    pub expected: Arch,
    /// Regular files that were looked at.
    pub files: u64,
    /// Bytes that were read, and inflated where an archive is compressed in another.
    pub bytes: u64,
    /// How many ELF files there are of each architecture, in the order of its name.
    pub elf: Vec<(Arch, u64)>,
    /// What the image is there to run, if that is known and an ELF file.
    pub main: Option<(String, Arch)>,
    /// Files of another architecture than the expected, the worst first.
    pub foreign: Vec<Foreign>,
    /// How many more there are than `foreign` has room for.
    pub more_foreign: u64,
    /// What was not looked at, and how often.
    pub skipped: Vec<(Skip, u64)>,
}

impl Audit {
    /// Whether everything was looked at that is of the tree.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let mut skipped = self.skipped.iter();
        skipped.all(|(why, _)| *why == Skip::OtherFileSystem)
    }

    /// About how many bytes it takes in a message.
    #[must_use]
    pub fn weight(&self) -> usize {
        // Each with its tags, its architecture and its role.
        let foreign = self.foreign.iter().map(|file| file.path.len() + 40);
        let main = self.main.as_ref().map_or(0, |(path, _)| path.len() + 20);
        let skipped: usize = self.skipped.len() * 30;
        60 + foreign.sum::<usize>() + main + skipped + self.elf.len() * 20
    }
}

/// A file of another architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Absolute within the tree, printable; entries of archives follow their archive after `!/`.
    pub path: String,
    /// Its instruction set.
    pub arch: Arch,
    /// Why it matters.
    pub role: Role,
}
