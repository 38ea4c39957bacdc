//! The directory of a zip archive: jars, wheels and the like.
//!
//! Source: PKWARE's APPNOTE 6.3.10, section 4.3. An archive is read from its end: there a record says
//! where the central directory is, and each entry of that says where its file begins. Whoever
//! prepends something (a start script, say) leaves all offsets too small by as much.

/// How many bytes at the end of a file hold the record of the end: its 22 bytes, the longest
/// comment, and zip64's locator in front of it.
pub const TAIL: usize = END_LEN + u16::MAX as usize + LOCATOR_LEN;
/// Bytes of zip64's record of the end that are looked at.
pub const END64_LEN: usize = 56;
/// Bytes of the header in front of a file's data, without its name and extra field.
pub const LOCAL_LEN: usize = 30;
/// The longest entry of a central directory: its name, extra field and comment of 64 KiB each.
pub const MAX_ENTRY: usize = ENTRY_LEN + 3 * u16::MAX as usize;

/// Compression method: none.
pub const STORED: u16 = 0;
/// Compression method: deflate (RFC 1951).
pub const DEFLATED: u16 = 8;

const END_LEN: usize = 22;
const LOCATOR_LEN: usize = 20;
const ENTRY_LEN: usize = 46;

/// Where an archive's central directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its first byte in the file, counted from 0.
    pub start: u64,
    /// Its length in bytes.
    pub len: u64,
    /// How many entries it says it has.
    pub entries: u64,
    /// How many bytes must be added to the offsets that entries tell.
    pub shift: u64,
}

/// What the end of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There the central directory is.
    Directory(Directory),
    /// A record of zip64 says where: it should be at the first of these, or else at the second.
    Zip64([u64; 2]),
}

/// A file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name, as the archive has it.
    pub name: &'a [u8],
    /// How it is compressed: [`STORED`], [`DEFLATED`], or as nobody does in jars and wheels.
    pub method: u16,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Its length in the archive, in bytes.
    pub packed: u64,
    /// Its own length, in bytes.
    pub len: u64,
    /// Where its header is, in bytes from the file's start, before [`Directory::shift`].
    pub header: u64,
}

/// What is next in a central directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// An entry, and how many bytes it takes.
    Entry(Entry<'a>, usize),
    /// Nothing that could be told from so few bytes.
    More,
    /// No entry: the directory ends, or makes no sense.
    End,
}

/// Finds the central directory. `tail` is the end of a file of `len` bytes; [`TAIL`] suffice.
#[must_use]
pub fn end(tail: &[u8], len: u64) -> Option<End> {
    let from = tail.len().checked_sub(END_LEN)?;
    let at = (0..=from).rev().find(|at| {
        let record = Record(&tail[*at..]);
        let comment = record.short(20).map(usize::from);
        record.is(b"PK\x05\x06") && comment.is_some_and(|comment| comment <= from - at)
    })?;
    let record = Record(&tail[at..]);
    let position = len.checked_sub((tail.len() - at) as u64)?;
    let locator = at.checked_sub(LOCATOR_LEN).map(|at| Record(&tail[at..]));
    if let Some(locator) = locator.filter(|locator| locator.is(b"PK\x06\x07")) {
        let before = position.saturating_sub((LOCATOR_LEN + END64_LEN) as u64);
        return Some(End::Zip64([locator.long(8)?, before]));
    }
    // Archives of several files (disks) are none of those that programs load from.
    if record.short(4)? != 0 || record.short(6)? != 0 {
        return None;
    }
    let (size, offset) = (record.int(12)?.into(), record.int(16)?.into());
    directory(position, size, offset, record.short(10)?.into()).map(End::Directory)
}

/// Reads zip64's record of the end, which was found at `position` of the file.
#[must_use]
pub fn end64(record: &[u8], position: u64) -> Option<Directory> {
    let record = Record(record);
    if !record.is(b"PK\x06\x06") {
        return None;
    }
    directory(
        position,
        record.long(40)?,
        record.long(48)?,
        record.long(32)?,
    )
}

/// The entry that `bytes`, a part of a central directory, begins with.
#[must_use]
pub fn next(bytes: &[u8]) -> Next<'_> {
    let record = Record(bytes);
    match read(record) {
        Some((entry, len)) if record.is(b"PK\x01\x02") => Next::Entry(entry, len),
        None if b"PK\x01\x02".starts_with(bytes.get(..4).unwrap_or(bytes)) => Next::More,
        _ => Next::End,
    }
}

/// How many bytes behind the start of a file's header its data begins; `header` is [`LOCAL_LEN`]
/// bytes.
#[must_use]
pub fn data_offset(header: &[u8]) -> Option<u64> {
    let record = Record(header);
    let names = u64::from(record.short(26)?) + u64::from(record.short(28)?);
    record.is(b"PK\x03\x04").then_some(LOCAL_LEN as u64 + names)
}

/// A directory that ends at `end`, as it does in every archive whose end is not encrypted.
fn directory(end: u64, len: u64, offset: u64, entries: u64) -> Option<Directory> {
    let start = end.checked_sub(len)?;
    let shift = start.checked_sub(offset)?;
    Some(Directory {
        start,
        len,
        entries,
        shift,
    })
}

fn read(record: Record<'_>) -> Option<(Entry<'_>, usize)> {
    let name_end = ENTRY_LEN + usize::from(record.short(28)?);
    let extra_end = name_end + usize::from(record.short(30)?);
    let end = extra_end + usize::from(record.short(32)?);
    let name = record.0.get(ENTRY_LEN..name_end)?;
    let mut wide = Wide::of(record.0.get(name_end..extra_end)?);
    // All of it must be there before the next entry can be.
    record.0.get(..end)?;
    // 4.5.3: only what does not fit is in the extra field, in this order.
    let len = wide.or(record.int(24)?);
    let packed = wide.or(record.int(20)?);
    let header = wide.or(record.int(42)?);
    let entry = Entry {
        name,
        method: record.short(10)?,
        encrypted: record.short(8)? & 1 != 0,
        packed,
        len,
        header,
    };
    Some((entry, end))
}

/// The numbers of zip64's extra field.
struct Wide<'a>(&'a [u8]);

impl<'a> Wide<'a> {
    fn of(mut extra: &'a [u8]) -> Self {
        while let Some(field) = extra.first_chunk::<4>() {
            let len = usize::from(u16::from_le_bytes([field[2], field[3]]));
            let rest = &extra[4..];
            let (data, behind) = rest.split_at(len.min(rest.len()));
            if [field[0], field[1]] == [1, 0] {
                return Self(data);
            }
            extra = behind;
        }
        Self(&[])
    }

    /// `short`, or the next number of the field where that says so.
    fn or(&mut self, short: u32) -> u64 {
        match self.0.split_first_chunk::<8>() {
            Some((number, rest)) if short == u32::MAX => {
                self.0 = rest;
                u64::from_le_bytes(*number)
            }
            _ => short.into(),
        }
    }
}

/// Little-endian numbers behind a signature.
#[derive(Clone, Copy)]
struct Record<'a>(&'a [u8]);

impl Record<'_> {
    fn is(self, signature: &[u8; 4]) -> bool {
        self.0.starts_with(signature)
    }

    fn short(self, at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    fn int(self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    fn long(self, at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(*self.0.get(at..)?.first_chunk()?))
    }
}

#[cfg(test)]
mod tests;
