//! What is planted in a tree: what must be found, and what looks as if it had to be.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::{Context as _, Result};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::Role;
use archtrace_guests::zip::{Member, zip};
use archtrace_guests::{Isa, Program};

/// What the image runs.
pub(crate) const MAIN: &str = "/usr/local/bin/hsm-agent";

/// What must be found: the file, or the archive with the entry behind `!/`.
const FOREIGN: [(&str, Isa, Role); 16] = [
    (MAIN, Isa::Amd64, Role::Main),
    ("/usr/sbin/plugin-host", Isa::Amd64, Role::Program),
    (
        "/usr/lib/aarch64-linux-gnu/libCryptoki2.so.1",
        Isa::Amd64,
        Role::Library,
    ),
    ("/usr/lib/libhsm.so", Isa::Amd64, Role::Library),
    ("/usr/lib/libold.so.5", Isa::I386, Role::Library),
    ("/opt/vendor-2/lib/libvendor.so", Isa::Amd64, Role::Library),
    (
        "/app/node_modules/bcrypt/build/Release/bcrypt.node",
        Isa::Amd64,
        Role::NodeAddon,
    ),
    (
        "/app/node_modules/only/prebuilds/linux-x64/only.node",
        Isa::Amd64,
        Role::NodeAddon,
    ),
    (
        "/app/node_modules/wrong/prebuilds/linux-arm64/wrong.node",
        Isa::Amd64,
        Role::NodeAddon,
    ),
    (
        "/usr/lib/python3/dist-packages/vendor/_v.cpython-311-x86_64-linux-gnu.so",
        Isa::Amd64,
        Role::PythonExtension,
    ),
    (
        "/app/venv/lib/python3.11/site-packages/numpy.libs/libopenblas.so",
        Isa::Amd64,
        Role::PythonExtension,
    ),
    (
        "/app/lib/rocksdbjni.jar!/librocksdbjni-linux64.so",
        Isa::Amd64,
        Role::JarEntry,
    ),
    (
        "/app/app.war!/WEB-INF/lib/native.jar!/linux/x86_64/libn.so",
        Isa::Amd64,
        Role::JarEntry,
    ),
    (
        "/app/boot.jar!/BOOT-INF/lib/native.jar!/linux/x86_64/libn.so",
        Isa::Amd64,
        Role::JarEntry,
    ),
    (
        "/srv/v-1.0-cp311-manylinux_2_17_x86_64.whl!/v/_v.so",
        Isa::Amd64,
        Role::WheelEntry,
    ),
    ("/srv/tool", Isa::Amd64, Role::Other),
];

/// What must not be found, and why not.
const FINE: [(&str, Isa, u32); 12] = [
    // The CPU may run it.
    ("/usr/lib/libcompat.so", Isa::Arm, 0o644),
    // Beside a sibling.
    (
        "/app/node_modules/both/prebuilds/linux-x64/both.node",
        Isa::Amd64,
        0o644,
    ),
    (
        "/app/node_modules/both/prebuilds/linux-arm64/both.node",
        Isa::Arm64,
        0o644,
    ),
    ("/app/native/libn-amd64.so", Isa::Amd64, 0o644),
    ("/app/native/libn-arm64.so", Isa::Arm64, 0o644),
    (
        "/usr/lib/x86_64-linux-gnu/libplanted.so.1",
        Isa::Amd64,
        0o644,
    ),
    // Of a cross compiler, of an emulator.
    ("/usr/x86_64-linux-gnu/lib/libplanted.so", Isa::Amd64, 0o644),
    (
        "/usr/gnemul/qemu-x86_64/lib/libplanted.so",
        Isa::Amd64,
        0o644,
    ),
    // Nobody can run it.
    ("/usr/lib/firmware/planted.elf", Isa::Amd64, 0o644),
    (
        "/usr/lib/debug/.build-id/00/planted.debug",
        Isa::Amd64,
        0o755,
    ),
    ("/srv/src/testdata/planted.so", Isa::Amd64, 0o755),
    // Right as it is.
    (
        "/usr/lib/aarch64-linux-gnu/libplanted.so.1",
        Isa::Arm64,
        0o644,
    ),
];

/// What must be found.
pub(crate) fn expected() -> Vec<(&'static str, Arch, Role)> {
    FOREIGN
        .iter()
        .filter_map(|(path, isa, role)| Some((*path, isa.as_str().parse().ok()?, *role)))
        .collect()
}

/// Plants all of it below `root`, where nothing of these names may be.
pub(crate) fn plant(root: &Path) -> Result<()> {
    for (path, isa, role) in FOREIGN {
        let mut names = path.split("!/");
        let file = names.next().unwrap_or_default();
        let entries: Vec<_> = names.collect();
        let mode = match role {
            Role::Main | Role::Program | Role::Other => 0o755,
            _ => 0o644,
        };
        write(
            root,
            file,
            &packed(elf(isa), &entries, !file.contains("boot")),
            mode,
        )?;
    }
    for (path, isa, mode) in FINE {
        write(root, path, &elf(isa), mode)?;
    }
    let member = |name: &str, isa| Member::deflated(name, &elf(isa));
    let both = [
        member("linux64/libb.so", Isa::Amd64),
        member("aarch64/libb.so", Isa::Arm64),
    ];
    write(root, "/app/lib/both.jar", &zip(&both), 0o644)?;
    for (word, isa) in [("x86_64", Isa::Amd64), ("aarch_64", Isa::Arm64)] {
        let jar = format!("/app/lib/netty-epoll-4.1-linux-{word}.jar");
        let library = format!("META-INF/native/libnetty_{word}.so");
        write(root, &jar, &zip(&[member(&library, isa)]), 0o644)?;
    }
    let config = b"# planted\n/opt/vendor/lib\n";
    write(root, "/etc/ld.so.conf.d/vendor.conf", config, 0o644)?;
    let main = b"include /etc/ld.so.conf.d/*.conf\n";
    if !root.join("etc/ld.so.conf").exists() {
        write(root, "/etc/ld.so.conf", main, 0o644)?;
    }
    symlink("vendor-2", root.join("opt/vendor")).context("link /opt/vendor")?;
    symlink("/srv/tool", root.join("srv/libtool.so")).context("link /srv/libtool.so")?;
    let fifo = root.join("srv/fifo.so");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU)
        .with_context(|| format!("make {}", fifo.display()))
}

fn elf(isa: Isa) -> Vec<u8> {
    archtrace_guests::build(isa, Program::Exit(0))
}

/// `bytes` in archives in archives, the outermost first.
fn packed(bytes: Vec<u8>, entries: &[&str], deflate: bool) -> Vec<u8> {
    entries.iter().rev().fold(bytes, |bytes, name| {
        zip(&[if deflate {
            Member::deflated(name, &bytes)
        } else {
            Member::stored(name, &bytes)
        }])
    })
}

fn write(root: &Path, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let at = root.join(path.trim_start_matches('/'));
    let parent = at.parent().unwrap_or(root);
    fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    // Never into a file that is Debian's: those are links to the ones in the cache.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&at)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::set_permissions(&at, Permissions::from_mode(mode)))
        .with_context(|| format!("plant {}", at.display()))
}
