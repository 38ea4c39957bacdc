//! Why a file matters, by where it is and how it is called.

use super::{Role, sibling};
use crate::arch::Arch;

/// Names of archives that may hold shared libraries: of Java, of Python, and plain ones.
const ARCHIVES: [&str; 11] = [
    "jar", "war", "ear", "hpi", "jpi", "aar", "zip", "whl", "egg", "pyz", "pex",
];

/// Where programs are found by their name alone: the usual `PATH` of images, and of root in Debian.
const PROGRAM_DIRS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Where the dynamic loader looks without being told to: ld.so(8) of glibc, and musl's
/// `/lib:/usr/local/lib:/usr/lib`.
const LIBRARY_DIRS: [&str; 6] = [
    "/lib",
    "/usr/lib",
    "/lib64",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
];

/// Where distributions have files for other machines, each in a directory named for one: cross
/// compilers and their libraries (Debian, Fedora), and the trees that QEMU's user mode looks into.
const CROSS_DIRS: [&str; 4] = [
    "/usr/",
    "/usr/lib/gcc-cross/",
    "/usr/gnemul/",
    "/etc/qemu-binfmt/",
];

/// Where detached debug information is (gdb, "Debugging Information in Separate Files").
const DEBUG_DIR: &[u8] = b"/usr/lib/debug/";

/// What a file is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    Tree,
    Jar,
    Wheel,
}

/// Where files for tests are, which nobody runs: Go's tools leave such directories out (`go help
/// packages`), and its sources have ELF files and broken archives in them.
const TEST_DIR: &[u8] = b"testdata";

/// Whether a file at this path is looked at as an archive, if it is one.
#[must_use]
pub fn is_archive_name(path: &[u8]) -> bool {
    !has(path, TEST_DIR)
        && extension(path).is_some_and(|extension| {
            ARCHIVES
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known.as_bytes()))
        })
}

/// Whether a file of this name is meant to be loaded into a process: `.so`, `.so.1.2`, `.node`.
#[must_use]
pub fn is_library_name(path: &[u8]) -> bool {
    let name = base(path);
    if name.ends_with(b".node") || name.ends_with(b".so") {
        return true;
    }
    // Of the version behind `.so.` only the first byte is looked at: libfoo.so.1.2beta.
    name.windows(5)
        .any(|part| part.starts_with(b".so.") && part[4].is_ascii_digit())
}

/// What an archive called `path` makes of its entries.
pub(super) fn within(path: &[u8]) -> Within {
    let python: [&[u8]; 2] = [b"whl", b"egg"];
    match extension(path) {
        Some(extension)
            if python
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known)) =>
        {
            Within::Wheel
        }
        _ => Within::Jar,
    }
}

/// Whether a file of `arch` at `path` is there although it cannot run here.
pub(super) fn is_for_others(path: &[u8], arch: Arch) -> bool {
    path.starts_with(DEBUG_DIR)
        || has(path, TEST_DIR)
        || CROSS_DIRS.iter().any(|dir| {
            let below = path.strip_prefix(dir.as_bytes());
            below.is_some_and(|below| {
                let mut names = below.split(|byte| *byte == b'/');
                let first = names.next().unwrap_or_default();
                // A program of such a name right there is none of these.
                names.next().is_some() && sibling::names(first, arch)
            })
        })
}

/// The role of a file that is not what the image runs. `dirs` are further ones for libraries.
pub(super) fn role(path: &[u8], within: Within, dirs: &[Vec<u8>]) -> Role {
    match within {
        Within::Jar => return Role::JarEntry,
        Within::Wheel => return Role::WheelEntry,
        Within::Tree => {}
    }
    let dir = parent(path);
    if path.ends_with(b".node") {
        Role::NodeAddon
    } else if has(path, b"site-packages") || has(path, b"dist-packages") {
        Role::PythonExtension
    } else if is_library_name(path) && is_library_dir(dir, dirs) {
        Role::Library
    } else if PROGRAM_DIRS.iter().any(|known| dir == known.as_bytes()) {
        Role::Program
    } else {
        Role::Other
    }
}

/// Whether a loader looks into `dir`: a usual place, one that was configured, the directory of an
/// architecture in a usual place (Debian's multiarch), or one for certain CPUs below any of these
/// (`glibc-hwcaps/x86-64-v3`).
fn is_library_dir(dir: &[u8], configured: &[Vec<u8>]) -> bool {
    let above = parent(dir);
    let dir = if base(above) == b"glibc-hwcaps" {
        parent(above)
    } else {
        dir
    };
    let usual = |dir: &[u8]| LIBRARY_DIRS.iter().any(|known| dir == known.as_bytes());
    usual(dir)
        || configured.iter().any(|known| known == dir)
        || (usual(parent(dir)) && sibling::words(base(dir)).next().is_some())
}

/// Whether a directory on the way of `path`, or the file there, is called `name`.
fn has(path: &[u8], name: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|part| part == name)
}

fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/');
    &path[..end.unwrap_or(0)]
}

fn extension(path: &[u8]) -> Option<&[u8]> {
    let name = base(path);
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    name.get(dot + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn where_a_file_is_says_why_it_matters() {
        let configured = [b"/opt/hsm/lib".to_vec()];
        for (path, expected) in [
            ("/usr/bin/x", Role::Program),
            ("/usr/local/sbin/x", Role::Program),
            ("/usr/bin/deep/x", Role::Other),
            ("/usr/lib/libx.so", Role::Library),
            ("/lib64/libx.so.6", Role::Library),
            ("/usr/lib/x86_64-linux-gnu/libx.so.1", Role::Library),
            (
                "/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libx.so.1",
                Role::Library,
            ),
            ("/usr/lib/x86_64-linux-gnu/perl/x.so", Role::Other),
            ("/usr/lib/tool", Role::Other),
            ("/opt/hsm/lib/libCryptoki2.so", Role::Library),
            ("/opt/hsm/libCryptoki2.so", Role::Other),
            ("/app/node_modules/a/build/Release/a.node", Role::NodeAddon),
            (
                "/usr/lib/python3/dist-packages/a/b.so",
                Role::PythonExtension,
            ),
            (
                "/venv/lib/python3.11/site-packages/a.libs/liba.so.1",
                Role::PythonExtension,
            ),
            ("/app/server", Role::Other),
            ("x", Role::Other),
        ] {
            let role = role(path.as_bytes(), Within::Tree, &configured);
            assert_eq!(role, expected, "{path}");
        }
    }

    #[test]
    fn what_is_for_others_is_told_by_its_place() {
        for (path, arch, expected) in [
            ("/usr/aarch64-linux-gnu/lib/libc.so.6", Arch::Arm64, true),
            ("/usr/aarch64-linux-gnu/lib/libc.so.6", Arch::Amd64, false),
            (
                "/usr/lib/gcc-cross/aarch64-linux-gnu/12/libgcc_s.so",
                Arch::Arm64,
                true,
            ),
            ("/usr/lib/aarch64-linux-gnu/libc.so.6", Arch::Arm64, false),
            ("/usr/gnemul/qemu-x86_64/lib/libc.so", Arch::Amd64, true),
            ("/usr/lib/debug/.build-id/ab/cd.debug", Arch::Amd64, true),
            ("/usr/share/go/src/debug/elf/testdata/x", Arch::Amd64, true),
            ("/usr/tool-arm64", Arch::Arm64, false),
            ("/opt/aarch64/lib/libc.so", Arch::Arm64, false),
        ] {
            assert_eq!(is_for_others(path.as_bytes(), arch), expected, "{path}");
        }
    }

    #[test]
    fn names_say_what_may_be_loaded_and_what_is_an_archive() {
        for (name, library, archive) in [
            ("libx.so", true, false),
            ("/a/libx.so.1.2", true, false),
            ("x.node", true, false),
            ("x.so.conf", false, false),
            ("x.dylib", false, false),
            ("/a.so/x", false, false),
            ("a.jar", false, true),
            ("A.WAR", false, true),
            ("a-manylinux_x86_64.whl", false, true),
            ("a.tar", false, false),
            ("/src/testdata/a.jar", false, false),
            ("jar", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_library_name(name.as_bytes()), library, "{name}");
            assert_eq!(is_archive_name(name.as_bytes()), archive, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path: Vec<u8>) {
            let _ = role(&path, Within::Tree, &[]);
            let _ = (within(&path), is_library_name(&path), is_archive_name(&path));
            let _ = is_for_others(&path, Arch::Amd64);
        }
    }
}
