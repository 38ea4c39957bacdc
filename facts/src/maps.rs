//! What a process has mapped: `/proc/<pid>/maps` (proc_pid_maps(5)).
//!
//! `show_map_vma` (fs/proc/task_mmu.c) writes a line for each mapping:
//!
//! ```text
//! 7f2c8a600000-7f2c8a756000 r-xp 00026000 fe:01 131593      /usr/lib/x86_64-linux-gnu/libc.so.6
//! ```

use std::borrow::Cow;

use crate::text::unmangle;

/// What `show_map_vma` escapes in a path.
const MANGLED: &[u8] = b"\n";

/// One range of addresses, and what is mapped there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// The first address.
    pub start: u64,
    /// The address behind the last.
    pub end: u64,
    /// What may be done there.
    pub access: Access,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// Major and minor number of the file's device, as `stat(2)` tells it on most file systems (btrfs
    /// and overlayfs have their own numbers there).
    pub dev: (u32, u32),
    /// The file's inode; 0 where there is no file.
    pub inode: u64,
    /// The file's path as its process sees it, or a name such as `[heap]`; empty for memory that has
    /// none.
    pub path: Cow<'a, [u8]>,
    /// Whether the file is not there any more. A file whose name ends in ` (deleted)` looks the same.
    pub deleted: bool,
}

/// What may be done with the memory of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// `r`
    pub read: bool,
    /// `w`
    pub write: bool,
    /// `x`
    pub execute: bool,
    /// `s`: what is written reaches the file, and others who mapped it.
    pub shared: bool,
}

impl Mapping<'_> {
    /// Where in the mapped file `address` is, in bytes; `None` if it is elsewhere, or if there is no
    /// file.
    #[must_use]
    pub fn offset_of(&self, address: u64) -> Option<u64> {
        let within = (self.start..self.end).contains(&address);
        (within && self.inode != 0).then(|| self.offset.checked_add(address - self.start))?
    }
}

/// The mappings that `maps` lists, in order. What does not read like one is left out.
pub fn parse(maps: &[u8]) -> impl Iterator<Item = Mapping<'_>> {
    maps.split(|byte| *byte == b'\n').filter_map(mapping)
}

/// The mapping that `address` is in.
#[must_use]
pub fn at(maps: &[u8], address: u64) -> Option<Mapping<'_>> {
    parse(maps).find(|mapping| (mapping.start..mapping.end).contains(&address))
}

fn mapping(line: &[u8]) -> Option<Mapping<'_>> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let (start, end) = pair(fields.next()?, b'-')?;
    let &[read, write, execute, shared] = fields.next()?.first_chunk()?;
    let offset = hex(fields.next()?)?;
    let (major, minor) = pair(fields.next()?, b':')?;
    let inode = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    // Filled up with spaces to a column of its own; no path begins with one.
    let path = fields.next().unwrap_or_default().trim_ascii_start();
    let (path, deleted) = match path.strip_suffix(b" (deleted)") {
        Some(path) => (path, true),
        None => (path, false),
    };
    Some(Mapping {
        start,
        end,
        access: Access {
            read: read == b'r',
            write: write == b'w',
            execute: execute == b'x',
            shared: shared == b's',
        },
        offset,
        dev: (major.try_into().ok()?, minor.try_into().ok()?),
        inode,
        path: unmangle(path, MANGLED),
        deleted,
    })
}

fn pair(text: &[u8], between: u8) -> Option<(u64, u64)> {
    let at = text.iter().position(|byte| *byte == between)?;
    Some((hex(&text[..at])?, hex(&text[at + 1..])?))
}

fn hex(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAPS: &[u8] = b"\
00400000-00401000 r--p 00000000 fe:01 17                                 /tmp/guest\n\
00401000-00402000 rw-s 00001000 fe:01 17                                 /tmp/guest (deleted)\n\
garbage\n\
-\n\
00500000-00501000 r-xp 00000000 fd:123 4294967296                        /tmp/a b\\012c\\040\n\
7f0000000000-7f0008000000 rwxp 00000000 00:00 0 \n\
7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                          [stack]\n\
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]";

    #[test]
    fn lines_are_read_as_the_kernel_writes_them() {
        let shown: Vec<_> = parse(MAPS)
            .map(|mapping| {
                let Access {
                    read,
                    write,
                    execute,
                    shared,
                } = mapping.access;
                let path = mapping.path.escape_ascii().to_string();
                let access = [read, write, execute, shared].map(u8::from);
                (mapping.dev, mapping.inode, access, path, mapping.deleted)
            })
            .collect();
        let line = |dev, inode, access, path: &str, deleted| {
            (dev, inode, access, path.to_owned(), deleted)
        };
        assert_eq!(
            shown,
            [
                line((0xfe, 1), 17, [1, 0, 0, 0], "/tmp/guest", false),
                line((0xfe, 1), 17, [1, 1, 0, 1], "/tmp/guest", true),
                line(
                    (0xfd, 0x123),
                    1 << 32,
                    [1, 0, 1, 0],
                    r"/tmp/a b\nc\\040",
                    false
                ),
                line((0, 0), 0, [1, 1, 1, 0], "", false),
                line((0, 0), 0, [1, 1, 0, 0], "[stack]", false),
                line((0, 0), 0, [0, 0, 1, 0], "[vsyscall]", false),
            ]
        );
    }

    #[test]
    fn an_address_is_in_one_file_at_one_offset() {
        for (address, path, offset) in [
            (0x40_0000, Some("/tmp/guest"), Some(0)),
            (0x40_1234, Some("/tmp/guest"), Some(0x1234)),
            (0x40_2000, None, None),
            (0x7f00_0000_1000, Some(""), None),
            (0x7ffe_0000_0000, Some("[stack]"), None),
            (0, None, None),
            (u64::MAX, None, None),
        ] {
            let found = at(MAPS, address);
            let shown = found.as_ref().map(|mapping| mapping.path.as_ref());
            assert_eq!(shown, path.map(str::as_bytes), "{address:#x}");
            let told = found.and_then(|mapping| mapping.offset_of(address));
            assert_eq!(told, offset, "{address:#x}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(maps: Vec<u8>, address: u64) {
            let _ = at(&maps, address);
        }

        #[test]
        fn no_almost_valid_line_makes_it_panic(
            start: u64, end: u64, address: u64, access in "[rwxps-]{0,5}", offset: u64, dev: (u64, u64), inode: u64,
            path in r"( |/|\\0|1|2|\(deleted\)|x){0,12}",
        ) {
            let line = format!(
                "{start:x}-{end:x} {access} {offset:x} {:x}:{:x} {inode} {path}", dev.0, dev.1
            );
            for mapping in parse(line.as_bytes()) {
                prop_assert_eq!((mapping.start, mapping.end), (start, end));
                let _ = mapping.offset_of(address);
            }
        }
    }
}
