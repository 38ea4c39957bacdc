//! Words for architectures in the names of files, and the places that have one for each.

use std::hash::{DefaultHasher, Hasher as _};

use crate::arch::Arch;

/// What an architecture is called in names. Sources: GNU triplets, Debian's ports, GOARCH, Node.js'
/// `process.arch`, OCI's variants, and what os-maven-plugin (Netty) and JNA make of `os.arch`.
/// Where one word begins with another, the longer one stands first.
const WORDS: &[(&str, Arch)] = &[
    ("x86_64", Arch::Amd64),
    ("x86-64", Arch::Amd64),
    ("amd64", Arch::Amd64),
    ("x64", Arch::Amd64),
    ("i386", Arch::I386),
    ("i486", Arch::I386),
    ("i586", Arch::I386),
    ("i686", Arch::I386),
    ("ia32", Arch::I386),
    ("x86", Arch::I386),
    ("386", Arch::I386),
    ("aarch64", Arch::Arm64),
    ("aarch_64", Arch::Arm64),
    ("arm64v8", Arch::Arm64),
    ("arm64", Arch::Arm64),
    ("armv8", Arch::Arm64),
    ("armv7hf", Arch::Arm),
    ("armv7l", Arch::Arm),
    ("armv7", Arch::Arm),
    ("armv6l", Arch::Arm),
    ("armv6", Arch::Arm),
    ("armv5", Arch::Arm),
    ("armhf", Arch::Arm),
    ("armel", Arch::Arm),
    ("arm32", Arch::Arm),
    ("arm_32", Arch::Arm),
    ("arm", Arch::Arm),
    ("riscv64", Arch::Riscv64),
    ("s390x", Arch::S390x),
    ("s390_64", Arch::S390x),
    ("ppc64le", Arch::Ppc64le),
    ("ppc64el", Arch::Ppc64le),
    ("ppcle_64", Arch::Ppc64le),
    ("powerpc64le", Arch::Ppc64le),
    ("ppc64", Arch::Ppc64),
    ("powerpc64", Arch::Ppc64),
    ("loong64", Arch::Loong64),
    ("loongarch64", Arch::Loong64),
    ("loongarch_64", Arch::Loong64),
    ("mips64el", Arch::Mips64le),
    ("mips64le", Arch::Mips64le),
    ("mips64", Arch::Mips64),
    ("mipsel", Arch::Mipsle),
    ("mipsle", Arch::Mipsle),
    ("mips", Arch::Mips),
];

/// The words in `name`, each with where it begins and how long it is. A word has no letter or digit
/// beside it, so that `x64` is one in `linux-x64` and none in `hex64`.
pub(super) fn words(name: &[u8]) -> impl Iterator<Item = (usize, usize, Arch)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < name.len() {
            let starts = at == 0 || !name[at - 1].is_ascii_alphanumeric();
            if let Some((len, arch)) = starts.then(|| word(&name[at..])).flatten() {
                let found = (at, len, arch);
                at += len;
                return Some(found);
            }
            at += 1;
        }
        None
    })
}

/// Whether `name` holds a word for `arch`.
pub(super) fn names(name: &[u8], arch: Arch) -> bool {
    words(name).any(|(_, _, named)| named == arch)
}

/// The places on the way of `path` that are named for `arch`, each as a number that is the same for
/// the place of another architecture.
///
/// The number is a hash of the path up to there without the words. Whoever makes an image could
/// find two paths with the same hash; putting a file of the other architecture beside is easier.
pub(super) fn places(path: &[u8], arch: Arch) -> Vec<u64> {
    let mut hasher = DefaultHasher::new();
    let mut places = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        hasher.write_u8(b'/');
        let mut rest = 0;
        for (at, len, _) in words(name).filter(|(_, _, named)| *named == arch) {
            hasher.write(&name[rest..at]);
            // No byte of a name, so that no other name is taken for it.
            hasher.write_u8(0);
            rest = at + len;
        }
        hasher.write(&name[rest..]);
        if rest > 0 {
            places.push(hasher.finish());
        }
    }
    places
}

/// The word that `text` begins with, and that ends there.
fn word(text: &[u8]) -> Option<(usize, Arch)> {
    WORDS.iter().find_map(|(word, arch)| {
        let begins = text
            .get(..word.len())?
            .eq_ignore_ascii_case(word.as_bytes());
        let ends = text
            .get(word.len())
            .is_none_or(|next| !next.is_ascii_alphanumeric());
        (begins && ends).then_some((word.len(), *arch))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_architectures_are_seen_in_names_of_files() {
        for (name, expected) in [
            ("x86_64-linux-gnu", &[Arch::Amd64][..]),
            ("linux-x64", &[Arch::Amd64]),
            ("linux-x86-64", &[Arch::Amd64]),
            ("linux-x86", &[Arch::I386]),
            ("Linux-AMD64", &[Arch::Amd64]),
            ("i386-linux-gnu", &[Arch::I386]),
            ("libnetty_epoll_aarch_64.so", &[Arch::Arm64]),
            ("arm-linux-gnueabihf", &[Arch::Arm]),
            ("ld-musl-x86_64.so.1", &[Arch::Amd64]),
            (
                "a-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
                &[Arch::Arm64, Arch::Arm64],
            ),
            ("powerpc64le-linux-gnu", &[Arch::Ppc64le]),
            ("lib64", &[]),
            ("hex64", &[]),
            ("charm", &[]),
            ("x640", &[]),
            ("", &[]),
        ] {
            let found: Vec<_> = words(name.as_bytes()).map(|(_, _, arch)| arch).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn places_of_two_architectures_are_the_same_place() {
        for (a, b, same) in [
            ("/p/linux-x64/a.node", "/p/linux-arm64/b.node", true),
            (
                "/usr/lib/x86_64-linux-gnu/a",
                "/usr/lib/aarch64-linux-gnu/b",
                true,
            ),
            (
                "/lib/ld-musl-x86_64.so.1",
                "/lib/ld-musl-aarch64.so.1",
                true,
            ),
            ("/p/linux-x64/a.node", "/q/linux-arm64/a.node", false),
            ("/p/linux-x64/a.node", "/p/linuxmusl-arm64/a.node", false),
            ("/p/a-amd64.so", "/p/b-arm64.so", false),
            ("/p/a.so", "/p/a.so", false),
            // Named for another architecture than they are of.
            ("/p/arm64/a.so", "/p/arm64/b.so", false),
        ] {
            let theirs = places(b.as_bytes(), Arch::Arm64);
            let shared = places(a.as_bytes(), Arch::Amd64)
                .iter()
                .any(|place| theirs.contains(place));
            assert_eq!(shared, same, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path: Vec<u8>) {
            let _ = places(&path, Arch::Amd64);
        }

        #[test]
        fn words_do_not_overlap(name in "[-_.x86a4mdr]{0,24}") {
            let mut end = 0;
            for (at, len, _) in words(name.as_bytes()) {
                prop_assert!(at >= end);
                end = at + len;
            }
        }
    }
}
