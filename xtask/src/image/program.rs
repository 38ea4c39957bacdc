//! A program as it was built: whether an image that holds nothing else can run it, and by what it was made.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Architecture, Endianness, Object as _, ObjectSection as _, elf};

use super::sha256;
use crate::vm::Arch;

/// What the C library says of itself, in every program that it is linked into (csu/version.c).
const C_LIBRARY: &str = "GNU C Library ";

/// A static program for one architecture.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) bytes: Vec<u8>,
    /// SHA-256, in hexadecimal digits.
    pub(super) digest: String,
    pub(super) made: Made,
    /// Names and sizes in bytes, the largest first.
    pub(super) sections: Vec<(String, u64)>,
}

/// What a program says of its making; empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// Compilers and linkers, a line each: the section `.comment`.
    pub(super) tools: Vec<String>,
    /// Rust's release, whose standard library is in the program.
    pub(super) rust: Option<String>,
    /// The C library's version, with that of its package.
    pub(super) c_library: Option<String>,
}

impl Program {
    /// Reads the program at `path`, which is to run on `arch` without anything else.
    ///
    /// # Errors
    /// If it is not there, is for another architecture, or needs a loader.
    pub(super) fn read(path: &Path, arch: Arch) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| missing(path))?;
        let about = || PathBuf::from(path).display().to_string();
        let file =
            object::File::parse(&*bytes).with_context(|| format!("{} is no ELF file", about()))?;
        let found = file.architecture();
        let wanted = match arch {
            Arch::Amd64 => Architecture::X86_64,
            Arch::Arm64 => Architecture::Aarch64,
        };
        ensure!(
            found == wanted,
            "{} is for {found:?} and not for {}: build it with --target {}",
            about(),
            arch.as_str(),
            arch.target()
        );
        if needs_loader(&bytes).with_context(about)? {
            bail!(
                "{} needs a dynamic loader, which an image on scratch does not have: build it with -Ctarget-feature=+crt-static",
                about()
            );
        }
        let mut sections: Vec<_> = file
            .sections()
            .filter(|section| section.kind() != object::SectionKind::UninitializedData)
            .map(|section| {
                (
                    section.name().unwrap_or_default().to_owned(),
                    section.size(),
                )
            })
            .collect();
        sections.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), name.clone()));
        let comment = file.section_by_name(".comment");
        let comment = comment
            .and_then(|section| section.data().ok())
            .unwrap_or_default();
        let made = Made::of(comment, &bytes);
        Ok(Self {
            digest: sha256(&bytes),
            made,
            sections,
            bytes,
        })
    }
}

impl Made {
    fn of(comment: &[u8], program: &[u8]) -> Self {
        let tools: Vec<_> = comment
            .split(|&byte| byte == 0)
            .filter(|line| !line.is_empty())
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        let rust = tools
            .iter()
            .find_map(|line| line.strip_prefix("rustc version "));
        let rust = rust
            .and_then(|rest| rest.split(' ').next())
            .map(str::to_owned);
        Self {
            rust,
            c_library: c_library(program),
            tools,
        }
    }
}

/// `2.36 (Debian GLIBC 2.36-9+deb12u14)`: the version, and that of the package.
fn c_library(program: &[u8]) -> Option<String> {
    let at = program
        .windows(C_LIBRARY.len())
        .position(|window| window == C_LIBRARY.as_bytes())?;
    let line = program
        .get(at + C_LIBRARY.len()..)?
        .split(|&byte| byte == b'\n')
        .next()?;
    // GNU C Library (Debian GLIBC 2.36-8) stable release version 2.36.
    let line = std::str::from_utf8(line).ok()?;
    let (package, version) = line.split_once(" stable release version ")?;
    Some(format!("{} {package}", version.trim_end_matches('.')))
}

fn needs_loader(bytes: &[u8]) -> Result<bool> {
    let header = elf::FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, bytes)?;
    Ok(segments
        .iter()
        .any(|segment| segment.p_type(endian) == elf::PT_INTERP))
}

fn missing(path: &Path) -> String {
    format!(
        "read {}; --programs wants a directory with amd64/ and arm64/ in it, or those of cargo's target directory",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_made_it_is_read_from_the_program() {
        let comment =
            b"rustc version 1.95.0 (59807616e 2026-04-14)\0GCC: (Debian 12.2.0-14) 12.2.0\0";
        let program =
            b"..GNU C Library (Debian GLIBC 2.36-8) stable release version 2.36.\nCopyright";
        let made = Made::of(comment, program);
        assert_eq!(made.rust.as_deref(), Some("1.95.0"));
        assert_eq!(
            made.c_library.as_deref(),
            Some("2.36 (Debian GLIBC 2.36-8)")
        );
        assert_eq!(made.tools.len(), 2);
        assert_eq!(Made::of(b"", b""), Made::default());
    }

    #[test]
    fn what_scratch_cannot_run_is_refused() {
        // This test: for this machine, and dynamic as tests are.
        let own = std::env::current_exe().expect("a path");
        let host = Arch::host().expect("amd64 or arm64");
        let other = match host {
            Arch::Amd64 => Arch::Arm64,
            Arch::Arm64 => Arch::Amd64,
        };
        let error = |arch| format!("{:#}", Program::read(&own, arch).expect_err("refused"));
        assert!(
            error(host).contains("needs a dynamic loader"),
            "{}",
            error(host)
        );
        assert!(error(other).contains("and not for"), "{}", error(other));
    }
}
