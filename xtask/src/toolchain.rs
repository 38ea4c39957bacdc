//! Compilers: which ones are there, and how cargo is told to use them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt;
use crate::vm::Arch;

/// Debian's compiler, which has precompiled core libraries for BPF and for arm64.
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Debian's package with a standard library for each of its architectures.
const DEBIAN_STD: &str = "libstd-rust-web-dev";

/// Whether Debian's compiler can build for BPF.
pub(crate) fn debian_has_bpf() -> bool {
    Path::new(DEBIAN_RUSTC).exists()
        && Path::new("/usr/lib/rustlib/bpfel-unknown-none/lib").exists()
}

/// Whether rustup has a nightly that can build core for BPF.
pub(crate) fn nightly_has_source() -> bool {
    let sysroot =
        output(Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]));
    sysroot.is_some_and(|sysroot| {
        Path::new(&sysroot)
            .join("lib/rustlib/src/rust/library/core")
            .is_dir()
    })
}

/// How cargo is told to build static programs for `arch`: its environment.
///
/// # Errors
/// If a standard library for `arch` is neither there nor to be had.
pub(crate) fn static_build(arch: Arch) -> Result<Vec<(String, String)>> {
    let Static {
        mut environment,
        flags,
    } = Static::of(arch)?;
    let upper = arch.target().to_ascii_uppercase().replace('-', "_");
    environment.push((format!("CARGO_TARGET_{upper}_RUSTFLAGS"), flags.join(" ")));
    Ok(environment)
}

/// What makes programs static.
pub(crate) struct Static {
    /// Of cargo, without the flags.
    pub(crate) environment: Vec<(String, String)>,
    /// Of rustc.
    pub(crate) flags: Vec<String>,
}

impl Static {
    /// For `arch`.
    ///
    /// # Errors
    /// See [`static_build`].
    pub(crate) fn of(arch: Arch) -> Result<Self> {
        let target = arch.target();
        let upper = target.to_ascii_uppercase().replace('-', "_");
        let lower = target.replace('-', "_");
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        let mut environment = Vec::new();
        if Arch::host() != Some(arch) {
            let prefix = prefix(arch);
            environment.push((format!("CC_{lower}"), format!("{prefix}gcc")));
            environment.push((format!("AR_{lower}"), format!("{prefix}ar")));
            environment.push((
                format!("CARGO_TARGET_{upper}_LINKER"),
                format!("{prefix}gcc"),
            ));
            if !rustup_has(target) {
                environment.push(("RUSTC".to_owned(), DEBIAN_RUSTC.to_owned()));
                let sysroot = sysroot(arch)?.display().to_string();
                flags.splice(0..0, ["--sysroot".to_owned(), sysroot]);
            }
        }
        Ok(Self { environment, flags })
    }

    /// The compiler.
    pub(crate) fn rustc(&self) -> String {
        self.variable("RUSTC").unwrap_or("rustc").to_owned()
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(set, _)| set == name);
        found.map(|(_, value)| &**value)
    }
}

/// Where the source of the standard library would be, and what the library calls it; `None` of a compiler
/// that was built from no commit.
///
/// # Errors
/// If there is no compiler for `arch`.
pub(crate) fn library_source(arch: Arch) -> Result<Option<(PathBuf, String)>> {
    let rustc = Static::of(arch)?.rustc();
    let about = output(Command::new(&rustc).arg("-vV")).context("rustc does not say what it is")?;
    let commit = about
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "));
    let sysroot = output(Command::new(&rustc).args(["--print", "sysroot"]));
    let sysroot = sysroot.context("rustc does not say where its library is")?;
    let source = Path::new(&sysroot).join("lib/rustlib/src/rust");
    Ok(commit
        .filter(|commit| *commit != "unknown")
        .map(|commit| (source, format!("/rustc/{commit}"))))
}

/// What the names of programs that compile for another machine, `arch`, begin with.
fn prefix(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "x86_64-linux-gnu-",
        Arch::Arm64 => "aarch64-linux-gnu-",
    }
}

/// Debian's standard library for another architecture, unpacked but not installed.
///
/// # Errors
/// If Debian's compiler is missing, or the package of its exact version is not to be had.
pub(crate) fn sysroot(arch: Arch) -> Result<PathBuf> {
    let Some(version) = apt::version_of("rustc-web") else {
        bail!(
            "no standard library for {}: run `rustup target add {}`, or on Debian: cargo xtask setup --test",
            arch.as_str(),
            arch.target()
        );
    };
    // The compiler comes by way of the security updates; a later suite has it among the rest.
    let suite =
        output(Command::new("sh").args(["-c", ". /etc/os-release; echo $VERSION_CODENAME"]))
            .context("read VERSION_CODENAME in /etc/os-release")?;
    let suites = [format!("{suite}-security"), suite];
    let mut last = None;
    for suite in &suites {
        let package = apt::Package {
            suite,
            arch: arch.as_str(),
            name: DEBIAN_STD,
            version: Some(&version),
            part: "",
        };
        match apt::unpack(package, &["./usr/lib/*"]) {
            Ok(dir) => return Ok(dir.join("usr")),
            Err(error) => last = Some(error),
        }
    }
    let error = last.context("no suite to ask")?;
    Err(error.context(format!(
        "{DEBIAN_STD} {version} for {}, to match rustc-web",
        arch.as_str()
    )))
}

/// Whether the active toolchain has a standard library for `target`.
fn rustup_has(target: &str) -> bool {
    let dir = output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    dir.is_some_and(|dir| Path::new(&dir).is_dir())
}

fn output(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
