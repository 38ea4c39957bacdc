//! `cargo xtask setup`: installs what is missing, and says what it does.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::vm::{self, Arch};
use crate::{
    apt, browser, chart, containerd, emulator, paths, postgres, progress, registry, toolchain,
};

/// The linker for BPF, in the version that fits Debian's LLVM and compiler.
const BPF_LINKER: &str = "0.13.0";

/// A version that this workspace's compiler builds.
const CARGO_DENY: &str = "0.20.2";

/// The same for the book.
const MDBOOK: &str = "0.5.4";

/// The same for fuzzing.
const CARGO_FUZZ: &str = "0.13.2";

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask setup          what `cargo xtask run` needs\n  cargo xtask setup --test   what `cargo xtask test` needs: kernels, QEMU, a cross compiler, PostgreSQL, Chromium, a registry, Helm"
)]
pub(crate) struct Args {
    /// What `run` needs (the default)
    #[arg(long, conflicts_with = "test")]
    run: bool,
    /// What `test` needs
    #[arg(long)]
    test: bool,
}

/// What the machine is to be prepared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Building and running here.
    Run,
    /// Also the checks of the source that need a program of their own.
    Check,
    /// Also building for other architectures and booting kernels.
    Vm,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args { run: _, test } = args;
    let purpose = if *test { Purpose::Vm } else { Purpose::Run };
    prepare(purpose)?;
    if purpose == Purpose::Vm {
        install_cargo_deny()?;
        install_mdbook()?;
        postgres::programs()?;
        browser::driver()?;
        registry::program()?;
        chart::python()?;
        if let Some(host) = Arch::host() {
            containerd::programs(host)?;
        }
        for machine in vm::matrix() {
            machine.kernel()?;
            if machine.pods {
                vm::disk(machine.arch)?;
            }
        }
    }
    eprintln!("setup: everything is there");
    Ok(())
}

/// Installs what `purpose` needs. Fast where all is there.
///
/// # Errors
/// If something is missing that cannot be installed; says how to get it.
pub(crate) fn prepare(purpose: Purpose) -> Result<()> {
    install_packages(purpose)?;
    install_bpf_linker()?;
    if let Some(host) = Arch::host() {
        emulator::static_qemu(host)?;
    }
    if purpose == Purpose::Check {
        install_cargo_deny()?;
    }
    if purpose == Purpose::Vm {
        for arch in [Arch::Amd64, Arch::Arm64] {
            toolchain::static_build(arch)?;
            emulator::static_qemu(arch)?;
        }
    }
    Ok(())
}

/// A Debian package, and the file that shows that it is there (asking dpkg would take longer).
struct Wanted {
    package: &'static str,
    file: &'static str,
    why: &'static str,
}

const fn wanted(package: &'static str, file: &'static str, why: &'static str) -> Wanted {
    Wanted { package, file, why }
}

const BPF: [Wanted; 3] = [
    wanted(
        "rustc-web",
        toolchain::DEBIAN_RUSTC,
        "compiles the programs in the kernel",
    ),
    wanted(
        "libstd-rust-web-dev-bpf",
        "/usr/lib/rustlib/bpfel-unknown-none/lib",
        "Rust's core library for them",
    ),
    wanted(
        "llvm-22-dev",
        "/usr/lib/llvm-22/bin/llvm-config",
        "bpf-linker is built on it",
    ),
];

const BUILD: [Wanted; 2] = [
    wanted("gcc", "/usr/bin/cc", "compiles SQLite and links"),
    wanted(
        "libc6-dev",
        "/usr/include/stdlib.h",
        "compiles SQLite and links",
    ),
];

const VM: [Wanted; 6] = [
    wanted(
        "qemu-system-x86",
        "/usr/bin/qemu-system-x86_64",
        "boots amd64 kernels",
    ),
    wanted(
        "qemu-system-arm",
        "/usr/bin/qemu-system-aarch64",
        "boots arm64 kernels",
    ),
    wanted(
        "gcc-aarch64-linux-gnu",
        "/usr/bin/aarch64-linux-gnu-gcc",
        "links programs for arm64",
    ),
    wanted(
        "libc6-dev-arm64-cross",
        "/usr/aarch64-linux-gnu/lib/libc.a",
        "links programs for arm64",
    ),
    wanted("xz-utils", "/usr/bin/xz", "unpacks kernel modules"),
    wanted(
        "e2fsprogs",
        "/sbin/mke2fs",
        "makes the disks of machines with pods",
    ),
];

fn install_packages(purpose: Purpose) -> Result<()> {
    let mut lists: Vec<&Wanted> = BUILD.iter().collect();
    if toolchain::debian_has_bpf() || !toolchain::nightly_has_source() {
        lists.extend(&BPF);
    }
    if purpose == Purpose::Vm {
        lists.extend(&VM);
    }
    let missing: Vec<_> = lists
        .into_iter()
        .filter(|wanted| !Path::new(wanted.file).exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    for Wanted { package, file, why } in &missing {
        eprintln!("setup: {package} is missing ({why}; {file})");
    }
    let packages: Vec<_> = missing.iter().map(|wanted| wanted.package).collect();
    if !apt::is_here() {
        bail!(
            "this machine has no apt. Install a C compiler and, with rustup, `rustup toolchain install nightly \
             --component rust-src` and `cargo install bpf-linker`; for the virtual machines QEMU and a cross \
             compiler for arm64 (Debian calls what is missing: {})",
            packages.join(", ")
        );
    }
    apt::install(&packages)
}

fn install_bpf_linker() -> Result<()> {
    if paths::program("bpf-linker").is_some() {
        return Ok(());
    }
    eprintln!("setup: bpf-linker is missing (links the programs in the kernel)");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["install", "--locked", "bpf-linker"])
        .current_dir("/");
    if toolchain::debian_has_bpf() {
        let path = std::env::var("PATH").unwrap_or_default();
        cargo
            .args([
                "--version",
                BPF_LINKER,
                "--no-default-features",
                "--features",
                "llvm-22",
            ])
            .env("LLVM_SYS_221_PREFIX", "/usr/lib/llvm-22")
            .env("PATH", format!("/usr/lib/llvm-22/bin:{path}"));
    }
    progress::command("cargo install bpf-linker", &mut cargo)
}

fn install_cargo_deny() -> Result<()> {
    let why = "checks licences and sources of the dependencies";
    install_tool("cargo-deny", CARGO_DENY, why, &[]).map(|_| ())
}

/// Installs what builds the book, and says where it is.
///
/// # Errors
/// If it does not compile.
pub(crate) fn install_mdbook() -> Result<PathBuf> {
    let why = "makes a book of the documents";
    // Nobody is served, and nothing is watched.
    install_tool("mdbook", MDBOOK, why, &["--no-default-features"])
}

/// Installs what `cargo xtask fuzz` needs.
///
/// # Errors
/// If it does not compile.
pub(crate) fn install_cargo_fuzz() -> Result<()> {
    let why = "builds and runs the fuzz targets";
    install_tool("cargo-fuzz", CARGO_FUZZ, why, &[]).map(|_| ())
}

/// Into the cache and not optimised: they run for a second, and would compile for minutes.
fn install_tool(name: &str, version: &str, why: &str, more: &[&str]) -> Result<PathBuf> {
    if let Some(program) = paths::program(name) {
        return Ok(program);
    }
    eprintln!("setup: {name} is missing ({why})");
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "install",
            "--locked",
            "--debug",
            name,
            "--version",
            version,
            "--root",
        ])
        .arg(paths::tools()?)
        .args(more)
        .current_dir("/")
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    progress::command(&format!("cargo install {name}"), &mut cargo)?;
    Ok(paths::tools()?.join("bin").join(name))
}
