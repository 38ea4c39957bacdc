//! Whether a file looks like an emulator, by what it holds and never by its name.
//!
//! An emulator that is started by hand is a native exec; only what it maps later gives it away.
//! Looking into every process would cost too much, so that this look at the file, once per inode,
//! says which processes are worth it. It may err to the side of yes: what counts is the foreign ELF
//! file in the process's maps. A packed or encrypted emulator is missed.

use std::ops::Range;

use memchr::memmem::Finder;

use crate::elf::header::{Header, PF_W, PF_X, PT_LOAD};

/// How much of a file [`ranges`] wants to see: its ELF header and as many program headers as
/// emulators have.
pub const START_LEN: usize = 4096;

/// At most this many bytes of a file are worth reading: qemu-user has 11 MiB of constants and code.
pub const MAX_SCAN: u64 = 16 << 20;

/// How BuildKit mounts its emulator into the containers of a build (`qemuMountName`, its
/// solver/llbsolver/ops/exec_binfmt.go).
const BUILDKIT_EMULATOR: &[u8] = b"/dev/.buildkit_qemu_emulator";

/// A family of emulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// QEMU's user-mode emulators, of any machine.
    QemuUser,
    /// Box64: amd64 on 64-bit machines.
    Box64,
    /// Box86: 386 on 32-bit Arm.
    Box86,
    /// FEX: amd64 and 386 on arm64.
    Fex,
    /// Apple's Rosetta for virtual machines: amd64 on arm64.
    Rosetta,
}

impl Kind {
    /// What people call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QemuUser => "qemu-user",
            Self::Box64 => "box64",
            Self::Box86 => "box86",
            Self::Fex => "fex",
            Self::Rosetta => "rosetta",
        }
    }
}

/// A text that an emulator's file holds.
struct Marker {
    kind: Kind,
    text: &'static [u8],
    /// The byte behind it. It tells a C string from the same text somewhere in a list, such as the
    /// one below in this program's own file.
    end: u8,
}

/// A kind is told by all of its markers together. They are the names of its own environment
/// variables: those are there to stay, because users have them in scripts.
const MARKERS: [Marker; 9] = [
    // linux-user/main.c, `arg_table`
    c_string(Kind::QemuUser, b"QEMU_LD_PREFIX"),
    c_string(Kind::QemuUser, b"QEMU_SET_ENV"),
    // src/include/env.h; in earlier versions src/tools/rcfile.c
    c_string(Kind::Box64, b"BOX64_DYNAREC"),
    c_string(Kind::Box64, b"BOX64_LOG"),
    c_string(Kind::Box86, b"BOX86_DYNAREC"),
    c_string(Kind::Box86, b"BOX86_LOG"),
    // Source/Common/Config.cpp
    c_string(Kind::Fex, b"FEX_ROOTFS"),
    c_string(Kind::Fex, b"FEX_APP_CONFIG"),
    // Closed; its usage text.
    Marker {
        kind: Kind::Rosetta,
        text: b"Usage: rosetta <x86_64 ELF to run>",
        end: b'\n',
    },
];

const fn c_string(kind: Kind, text: &'static [u8]) -> Marker {
    Marker { kind, text, end: 0 }
}

/// Bytes of the longest marker, its end included.
const MAX_MARKER_LEN: usize = {
    let (mut longest, mut at) = (0, 0);
    while at < MARKERS.len() {
        if MARKERS[at].text.len() > longest {
            longest = MARKERS[at].text.len();
        }
        at += 1;
    }
    longest + 1
};

/// Where the constants of an ELF file are, in bytes from its start: the parts that are mapped and
/// not written to, [`MAX_SCAN`] bytes at most. `start` is its first [`START_LEN`] bytes. Empty if
/// it is not an ELF file.
#[must_use]
pub fn ranges(start: &[u8]) -> Vec<Range<u64>> {
    let Some(header) = Header::of(start) else {
        return Vec::new();
    };
    let constant = |code: bool| {
        header.segments(start).filter(move |segment| {
            segment.kind == PT_LOAD
                && segment.flags & PF_W == 0
                && (segment.flags & PF_X != 0) == code
        })
    };
    let mut left = MAX_SCAN;
    // Linkers that keep code apart leave no constants in it; others put them behind it.
    let kept_apart = constant(false).next().is_some();
    let mut found = Vec::new();
    for segment in constant(!kept_apart) {
        let end = segment.offset.saturating_add(segment.size);
        let begin = segment.offset.max(end.saturating_sub(left));
        left -= end - begin;
        if begin < end {
            found.push(begin..end);
        }
    }
    found
}

/// Whether `path`, which an emulator was started by (`/proc/<pid>/exe`), is the place where
/// BuildKit mounts its own. Each child of an emulated process in such a build is an exec of
/// `/proc/self/exe`, and so has that path too.
#[must_use]
pub fn is_buildkit(path: &[u8]) -> bool {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    path.ends_with(BUILDKIT_EMULATOR)
}

/// Looks for markers in the parts of a file, read one after the other.
pub struct Scanner {
    finders: Vec<Finder<'static>>,
    seen: [bool; MARKERS.len()],
    /// The end of what was fed before: a marker may have begun there.
    tail: Vec<u8>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A scanner that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            finders: MARKERS
                .iter()
                .map(|marker| Finder::new(marker.text))
                .collect(),
            seen: [false; MARKERS.len()],
            tail: Vec::new(),
        }
    }

    /// Looks through the next chunk. Large chunks are better: each marker takes its own pass.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut seam = std::mem::take(&mut self.tail);
        seam.extend(&chunk[..chunk.len().min(MAX_MARKER_LEN - 1)]);
        self.look_through(&seam);
        self.look_through(chunk);
        // A chunk that is shorter than a marker leaves a part of what was there before it.
        let end = if chunk.len() < MAX_MARKER_LEN {
            &seam
        } else {
            chunk
        };
        self.tail = end[end.len().saturating_sub(MAX_MARKER_LEN - 1)..].to_vec();
    }

    /// Which emulator it is, if what was fed so far holds all that tells one.
    #[must_use]
    pub fn verdict(&self) -> Option<Kind> {
        let marks = || MARKERS.iter().zip(self.seen);
        MARKERS.iter().map(|marker| marker.kind).find(|kind| {
            marks()
                .filter(|(marker, _)| marker.kind == *kind)
                .all(|(_, seen)| seen)
        })
    }

    fn look_through(&mut self, bytes: &[u8]) {
        for ((marker, finder), seen) in MARKERS.iter().zip(&self.finders).zip(&mut self.seen) {
            *seen = *seen
                || finder
                    .find_iter(bytes)
                    .any(|at| bytes.get(at + marker.text.len()) == Some(&marker.end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(content: &[u8], expected: Option<Kind>) {
        let mut whole = Scanner::new();
        whole.feed(content);
        assert_eq!(whole.verdict(), expected, "{content:?}");
        let mut by_byte = Scanner::new();
        for byte in content {
            by_byte.feed(&[*byte]);
        }
        assert_eq!(by_byte.verdict(), expected, "{content:?}, byte by byte");
    }

    #[test]
    fn emulators_are_told_by_what_they_hold() {
        for (content, expected) in [
            (
                &b"\0QEMU_LD_PREFIX\0more\0QEMU_SET_ENV\0"[..],
                Some(Kind::QemuUser),
            ),
            (
                b"BOX64_LOG\0BOX64_DYNAREC_LOG\0BOX64_DYNAREC\0",
                Some(Kind::Box64),
            ),
            (b"BOX86_LOG\0BOX86_DYNAREC\0", Some(Kind::Box86)),
            (b"FEX_APP_CONFIG\0FEX_ROOTFS\0", Some(Kind::Fex)),
            (
                b"\0Usage: rosetta <x86_64 ELF to run>\n\nOptional",
                Some(Kind::Rosetta),
            ),
            // One of two: a program that sets a variable for an emulator.
            (b"QEMU_LD_PREFIX\0", None),
            (b"BOX64_LOG\0QEMU_SET_ENV\0FEX_ROOTFS\0", None),
            // Texts about them.
            (b"QEMU_LD_PREFIX=/ QEMU_SET_ENV=A=1", None),
            (b"QEMU_LD_PREFIXQEMU_SET_ENVBOX64_DYNARECBOX64_LOG", None),
            (b"qemu-aarch64-static\0", None),
            (b"", None),
        ] {
            check(content, expected);
        }
    }

    #[test]
    fn the_list_of_markers_does_not_tell_of_itself() {
        let list: Vec<u8> = MARKERS
            .iter()
            .flat_map(|marker| marker.text)
            .copied()
            .collect();
        check(&list, None);
    }

    /// A 64-bit file with the segments (type, flags, offset, size).
    fn file(segments: &[(u32, u32, u64, u64)]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        (bytes[16], bytes[18], bytes[32], bytes[54]) = (2, 62, 64, 56);
        bytes[56] = u8::try_from(segments.len()).expect("few");
        for (kind, flags, offset, size) in segments {
            bytes.extend([kind.to_le_bytes(), flags.to_le_bytes()].concat());
            for word in [*offset, 0, 0, *size, *size, 0] {
                bytes.extend(word.to_le_bytes());
            }
        }
        bytes
    }

    #[test]
    fn constants_are_where_nothing_is_written() {
        const MIB: u64 = 1 << 20;
        let (r, rx, rw) = (4, 5, 6);
        for (segments, expected) in [
            // qemu-aarch64-static of Debian 12: headers, code, constants, data; and a note.
            (
                &[
                    (1, r, 0, 10),
                    (1, rx, 16, 10),
                    (1, r, 32, 10),
                    (1, rw, 48, 10),
                    (4, r, 2, 4),
                ][..],
                &[(0, 10), (32, 42)][..],
            ),
            // Code that constants are among: of more than is read, the beginning is left out.
            (
                &[(1, rx, 0, 20 * MIB), (1, rw, 32 * MIB, 4 * MIB)],
                &[(4 * MIB, 20 * MIB)],
            ),
            (
                &[(1, r, 0, 0), (1, r, 5, u64::MAX)],
                &[(u64::MAX - MAX_SCAN, u64::MAX)],
            ),
            (&[(1, rw, 0, 10)], &[]),
            (&[], &[]),
        ] {
            let found = ranges(&file(segments));
            let found: Vec<_> = found.iter().map(|range| (range.start, range.end)).collect();
            assert_eq!(found, expected, "{segments:?}");
        }
        assert_eq!(ranges(b"#!/bin/sh\n"), []);
    }

    #[test]
    fn buildkits_emulator_is_known_by_where_it_is_mounted() {
        for (path, expected) in [
            (&b"/dev/.buildkit_qemu_emulator"[..], true),
            (
                b"/var/lib/buildkit/rootfs/dev/.buildkit_qemu_emulator",
                true,
            ),
            (b"/dev/.buildkit_qemu_emulator (deleted)", true),
            (b"/usr/bin/qemu-aarch64-static", false),
            (b"/dev/.buildkit_qemu_emulator/x", false),
            (b"", false),
        ] {
            assert_eq!(is_buildkit(path), expected, "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn chunks_do_not_change_what_is_found(
            before in prop::collection::vec(any::<u8>(), 0..80),
            between in prop::collection::vec(any::<u8>(), 0..80),
            cuts in prop::collection::vec(1usize..60, 0..20),
        ) {
            let content = [&before[..], b"QEMU_LD_PREFIX\0", &between, b"QEMU_SET_ENV\0"].concat();
            let mut scanner = Scanner::new();
            let mut rest = &content[..];
            for cut in cuts {
                let (chunk, behind) = rest.split_at(cut.min(rest.len()));
                scanner.feed(chunk);
                rest = behind;
            }
            scanner.feed(rest);
            prop_assert_eq!(scanner.verdict(), Some(Kind::QemuUser));
        }

        #[test]
        fn no_file_makes_ranges_panic_or_too_long(
            segments in prop::collection::vec((0u32..3, 0u32..8, any::<u64>(), any::<u64>()), 0..60),
            rest: Vec<u8>,
        ) {
            let bytes = [file(&segments), rest].concat();
            let found = ranges(&bytes);
            let total: u64 = found.iter().map(|range| range.end - range.start).sum();
            prop_assert!(total <= MAX_SCAN);
            prop_assert!(found.iter().all(|range| range.start < range.end));
        }
    }
}
