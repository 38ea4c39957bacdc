//! Builds the kernel side, so that plain `cargo build` builds everything.
//!
//! Two toolchains can do it, and what is there is used:
//! 1. A `rustc` that ships a core library for BPF (Debian: rustc-web and
//!    libstd-rust-web-dev-bpf). Nothing has to be compiled but the programs.
//! 2. rustup's nightly with rust-src, which compiles the core library too.
//!
//! Both link with bpf-linker. `cargo xtask setup` installs what is missing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "bpfel-unknown-none";
const PROGRAMS: &str = "archtrace-programs";

/// Between flags in `CARGO_ENCODED_RUSTFLAGS` (cargo's reference, Environment Variables).
const SEPARATOR: &str = "\x1f";

fn main() {
    println!("cargo:rerun-if-changed=../agent-ebpf");
    for variable in ["ARCHTRACE_BPF_RUSTC", "PATH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    if let Err(problem) = build() {
        println!("cargo:error=the eBPF programs were not built: {problem}");
        println!("cargo:error=`cargo xtask setup` installs what building them needs");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    // A kprobe reads its arguments out of pt_regs, so that each CPU family needs its own object.
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    // Not below OUT_DIR's own names, and away from the outer cargo's lock.
    let target_dir = out_dir.join("bpf-target");
    let mut cargo = match precompiled_core() {
        Some(rustc) => {
            let mut cargo = Command::new(variable("CARGO")?);
            // The aya-ebpf crate and inline assembler need unstable features.
            cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
            cargo.args(["build"]);
            cargo
        }
        None => {
            let mut cargo = Command::new("rustup");
            cargo.args(["run", "nightly", "cargo", "build", "-Z", "build-std=core"]);
            cargo.env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
            cargo
        }
    };
    let arch = format!("--cfg=bpf_target_arch=\"{arch}\"");
    let flags = ["-Clinker=bpf-linker", "-Clink-arg=--btf", "-Cdebuginfo=2"];
    let flags = flags.into_iter().map(str::to_owned).chain([arch]);
    let flags: Vec<_> = flags.chain(remapped_paths()).collect();
    cargo
        .args([
            "--package",
            "archtrace-ebpf",
            "--features",
            "programs",
            "--bin",
            PROGRAMS,
        ])
        .args(["--release", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join(SEPARATOR))
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .current_dir(Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../agent-ebpf"));
    let output = cargo
        .output()
        .map_err(|error| format!("{cargo:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "{cargo:?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let object = target_dir.join(TARGET).join("release").join(PROGRAMS);
    let copy = out_dir.join("programs.o");
    std::fs::copy(&object, &copy).map_err(|error| format!("{}: {error}", object.display()))?;
    strip_dwarf(&copy);
    Ok(())
}

/// What the agent is told to call directories, for the object too: BTF names the files of lines.
fn remapped_paths() -> Vec<String> {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let flags = flags.split(SEPARATOR);
    let remaps = flags.filter(|flag| flag.starts_with("--remap-path-prefix="));
    remaps.map(str::to_owned).collect()
}

/// DWARF is nine tenths of the object, and only BTF is used. Where no llvm-objcopy is found the
/// agent is a megabyte larger.
fn strip_dwarf(object: &Path) {
    let known = ["llvm-objcopy", "/usr/lib/llvm-22/bin/llvm-objcopy"];
    for objcopy in known {
        let status = Command::new(objcopy)
            .args(["--remove-section=.debug_*", "--remove-section=.rel.debug_*"])
            .arg(object)
            .status();
        if status.is_ok_and(|status| status.success()) {
            return;
        }
    }
}

/// A compiler that has the core library for BPF.
fn precompiled_core() -> Option<PathBuf> {
    let candidates = env::var_os("ARCHTRACE_BPF_RUSTC")
        .map(PathBuf::from)
        .into_iter()
        .chain([PathBuf::from("/usr/bin/rustc")]);
    candidates.into_iter().find(|rustc| {
        let sysroot = Command::new(rustc)
            .args(["--print", "sysroot"])
            .output()
            .ok();
        sysroot
            .filter(|output| output.status.success())
            .is_some_and(|output| {
                let sysroot = String::from_utf8_lossy(&output.stdout);
                Path::new(sysroot.trim())
                    .join("lib/rustlib")
                    .join(TARGET)
                    .join("lib")
                    .is_dir()
            })
    })
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
