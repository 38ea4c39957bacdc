//! Bytes at any place of a file, of memory, or of a part of these.

use std::fs::File;
use std::io;

/// Something whose bytes can be read at any place.
pub trait ReadAt {
    /// Reads some bytes at `offset`; none at the end.
    ///
    /// # Errors
    /// If it cannot be read there.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// If nobody can tell.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` with the bytes at `offset`, as far as there are any, and says how many.
    ///
    /// # Errors
    /// If it cannot be read there.
    fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        // Offsets beyond i64 are EINVAL to pread(2).
        if i64::try_from(offset).is_err() {
            return Ok(0);
        }
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..))
            .unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        ReadAt::read_at(self.as_slice(), buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }
}

/// A part of something else: a file that lies in an archive as it is.
pub struct Window<'a> {
    whole: &'a dyn ReadAt,
    start: u64,
    len: u64,
}

impl<'a> Window<'a> {
    /// The `len` bytes of `whole` from `start` on, as far as there are any.
    #[must_use]
    pub fn new(whole: &'a dyn ReadAt, start: u64, len: u64) -> Self {
        Self { whole, start, len }
    }
}

impl ReadAt for Window<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.len.saturating_sub(offset);
        let len = usize::try_from(rest)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        match self.start.checked_add(offset) {
            Some(at) => self.whole.read_at(&mut buffer[..len], at),
            None => Ok(0),
        }
    }

    fn size(&self) -> io::Result<u64> {
        let behind = self.whole.size()?.saturating_sub(self.start);
        Ok(self.len.min(behind))
    }
}
