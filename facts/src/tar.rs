//! Tar archives: what a header block says (POSIX pax, ustar, and what GNU tar adds; tar(5)).
//!
//! Only what an audit needs is read: names, links, kinds and sizes.

mod pax;

pub use pax::Pax;

/// Bytes of a block: headers are one, contents fill whole ones.
pub const BLOCK: usize = 512;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name of an entry before it.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A device or a FIFO.
    Special,
    /// A file of which only some parts are stored, in the old way of GNU tar.
    Sparse {
        /// Whether blocks follow that go on with the list of parts.
        extended: bool,
        /// Whether the first part is the start of the file.
        from_start: bool,
    },
    /// The same, in the way of pax: the list comes before the parts.
    Mapped,
    /// The name of the next entry, as GNU tar stores long ones.
    LongName,
    /// The link's target of the next entry.
    LongLink,
    /// Records that change the next entry.
    Pax,
    /// Records for all entries that follow.
    PaxGlobal,
    /// A kind that nobody here knows; it is skipped, as POSIX asks.
    Other(u8),
}

/// One header block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name, as it stands there.
    pub name: Vec<u8>,
    /// What a link leads to.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Bytes of content that follow the header.
    pub size: u64,
    /// Permissions, as in `st_mode`.
    pub mode: u32,
}

/// Why a block is no header.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// The sum of its bytes is not the one that it names.
    #[error("a header's checksum is wrong")]
    Checksum,
    /// A number is no number, or negative.
    #[error("a header's number cannot be read")]
    Number,
}

impl Header {
    /// Reads a block; `None` if it is empty, as those at the end of an archive are.
    ///
    /// # Errors
    /// If it is no header.
    pub fn of(block: &[u8; BLOCK]) -> Result<Option<Self>, Fault> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let stored = number(&block[CHECKSUM..CHECKSUM + 8])?;
        if !sums(block).contains(&stored) {
            return Err(Fault::Checksum);
        }
        let kind = kind(block);
        // Go's archive/tar, and GNU tar: what has no content has no size either, whatever it says.
        let has_content = !matches!(
            kind,
            Kind::HardLink | Kind::Symlink | Kind::Directory | Kind::Special
        );
        Ok(Some(Self {
            name: name(block),
            link: text(&block[157..257]).to_vec(),
            kind,
            size: if has_content {
                number(&block[124..136])?
            } else {
                0
            },
            mode: number(&block[100..108]).map_or(0, |mode| (mode & 0o7777) as u32),
        }))
    }

    /// Bytes of content with what fills the last block; `None` beyond all archives.
    #[must_use]
    pub fn padded(&self) -> Option<u64> {
        self.size.checked_next_multiple_of(BLOCK as u64)
    }

    /// Takes over what extended records say.
    pub fn extend(&mut self, pax: Pax) {
        let Pax {
            path,
            link,
            size,
            mapped,
        } = pax;
        self.name = path.unwrap_or_else(|| std::mem::take(&mut self.name));
        self.link = link.unwrap_or_else(|| std::mem::take(&mut self.link));
        if matches!(self.kind, Kind::File | Kind::Other(_)) {
            self.size = size.unwrap_or(self.size);
        }
        if mapped && self.kind == Kind::File {
            self.kind = Kind::Mapped;
        }
    }
}

/// Whether another block of the list of a sparse file follows this one (GNU tar: `isextended` of
/// `struct sparse_header`).
#[must_use]
pub fn sparse_goes_on(block: &[u8; BLOCK]) -> bool {
    block[504] != 0
}

const CHECKSUM: usize = 148;

fn kind(block: &[u8; BLOCK]) -> Kind {
    match block[156] {
        // Very old archives mark directories by their name only.
        0 | b'0' | b'7' if text(&block[..100]).ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' | b'4' | b'6' => Kind::Special,
        b'5' => Kind::Directory,
        b'S' => Kind::Sparse {
            extended: block[482] != 0,
            from_start: number(&block[386..398]) == Ok(0),
        },
        b'L' => Kind::LongName,
        b'K' => Kind::LongLink,
        b'x' => Kind::Pax,
        b'g' => Kind::PaxGlobal,
        other => Kind::Other(other),
    }
}

/// ustar splits long names; GNU's magic ends in blanks and has other things there.
fn name(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(&block[..100]);
    let prefix = text(&block[345..500]);
    if &block[257..263] != b"ustar\0" || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The sum of all bytes, with blanks for the sum itself; some old programs added signed ones.
fn sums(block: &[u8; BLOCK]) -> [u64; 2] {
    let bytes = || {
        block.iter().enumerate().map(|(at, byte)| {
            let own = (CHECKSUM..CHECKSUM + 8).contains(&at);
            if own { b' ' } else { *byte }
        })
    };
    let unsigned = bytes().map(u64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    [unsigned, u64::try_from(signed).unwrap_or(u64::MAX)]
}

/// Octal digits between blanks and NULs; or, marked by the first bit, a binary number (GNU).
fn number(field: &[u8]) -> Result<u64, Fault> {
    if let Some((first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        // The next bit is the sign.
        let first = u64::from(first & 0x7f);
        if first & 0x40 != 0 {
            return Err(Fault::Number);
        }
        return rest.iter().try_fold(first, |value, byte| {
            let value = value.checked_mul(256).ok_or(Fault::Number)?;
            Ok(value | u64::from(*byte))
        });
    }
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'7' => value
            .checked_mul(8)
            .map(|value| value | u64::from(digit - b'0'))
            .ok_or(Fault::Number),
        _ => Err(Fault::Number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header as `tar` writes it, changed by `edit` before its sum is taken.
    fn block(edit: impl FnOnce(&mut [u8; BLOCK])) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..5].copy_from_slice(b"a/b.c");
        block[100..107].copy_from_slice(b"0000755");
        block[124..135].copy_from_slice(b"00000001000");
        block[156] = b'0';
        block[257..263].copy_from_slice(b"ustar\0");
        edit(&mut block);
        let sum = format!("{:06o}\0 ", sums(&block)[0]);
        block[CHECKSUM..CHECKSUM + 8].copy_from_slice(sum.as_bytes());
        block
    }

    fn check(edit: impl FnOnce(&mut [u8; BLOCK]), name: &[u8], kind: Kind, size: u64) {
        let header = Header::of(&block(edit)).expect("a header").expect("one");
        let told = (&header.name[..], header.kind, header.size);
        assert_eq!(told, (name, kind, size));
    }

    #[test]
    fn every_kind_of_header_is_read() {
        check(|_| (), b"a/b.c", Kind::File, 512);
        check(|b| b[156] = 0, b"a/b.c", Kind::File, 512);
        check(|b| b[4] = b'/', b"a/b./", Kind::Directory, 0);
        check(|b| b[156] = b'2', b"a/b.c", Kind::Symlink, 0);
        check(|b| b[156] = b'1', b"a/b.c", Kind::HardLink, 0);
        check(|b| b[156] = b'6', b"a/b.c", Kind::Special, 0);
        check(|b| b[156] = b'x', b"a/b.c", Kind::Pax, 512);
        check(|b| b[156] = b'V', b"a/b.c", Kind::Other(b'V'), 512);
        check(
            |b| b[345..348].copy_from_slice(b"x/y"),
            b"x/y/a/b.c",
            Kind::File,
            512,
        );
        // GNU tar has no prefix there.
        let gnu = |b: &mut [u8; BLOCK]| {
            b[257..265].copy_from_slice(b"ustar  \0");
            b[345..348].copy_from_slice(b"123");
        };
        check(gnu, b"a/b.c", Kind::File, 512);
        let large = |b: &mut [u8; BLOCK]| {
            b[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]);
        };
        check(large, b"a/b.c", Kind::File, (2 << 32) + 1);
        let sparse = Kind::Sparse {
            extended: true,
            from_start: true,
        };
        let edit = |b: &mut [u8; BLOCK]| (b[156], b[482]) = (b'S', 1);
        check(edit, b"a/b.c", sparse, 512);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(Header::of(&[0; BLOCK]), Ok(None));
        assert!(Header::of(&[b' '; BLOCK]).is_err());
        let mut changed = block(|_| ());
        changed[0] = b'b';
        assert_eq!(Header::of(&changed), Err(Fault::Checksum));
        for size in [&b"0000000000x"[..], b"\xff\xff\xff\xff"] {
            let block = block(|b| b[124..124 + size.len()].copy_from_slice(size));
            assert_eq!(Header::of(&block), Err(Fault::Number), "{size:?}");
        }
    }

    proptest! {
        #[test]
        fn no_block_makes_it_panic(bytes in prop::array::uniform32(any::<u8>()), at in 0usize..480) {
            let fuzzed = block(|b| b[at..at + 32].copy_from_slice(&bytes));
            if let Ok(Some(header)) = Header::of(&fuzzed) {
                let _ = header.padded();
            }
        }
    }
}
