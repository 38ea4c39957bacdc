//! The entries of a tar archive, one after the other.

use std::io::{self, Read};

use archtrace_facts::tar::{BLOCK, Fault, Header, Kind, Pax, sparse_goes_on};

use crate::error::ScanError;

/// Bytes of a long name or of extended records: what Go's archive/tar allows (`maxSpecialFileSize`).
const MAX_RECORDS: u64 = 1 << 20;

/// Where an archive is read from.
pub(crate) trait Source: Read {
    /// Goes on behind the next `len` bytes.
    fn skip(&mut self, len: u64) -> io::Result<()>;
}

/// Something that can only be read.
pub(crate) struct Stream<R>(pub(crate) R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Source for Stream<R> {
    fn skip(&mut self, len: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.0).take(len), &mut io::sink())?;
        if skipped < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// The entries of an archive.
pub(crate) struct Entries<'a, S> {
    source: S,
    /// What errors are about.
    path: &'a str,
    /// Bytes from the archive's start.
    at: u64,
    /// Of the present entry's content, with what fills its last block.
    left: u64,
    /// Of that, what is content.
    content: u64,
    global: Pax,
    ended: bool,
}

impl<'a, S: Source> Entries<'a, S> {
    pub(crate) fn new(source: S, path: &'a str) -> Self {
        Self {
            source,
            path,
            at: 0,
            left: 0,
            content: 0,
            global: Pax::default(),
            ended: false,
        }
    }

    /// Whether the archive says that it ends here. Not all programs that write layers do, but an
    /// archive that was cut off does not.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next entry that is a file, a directory or a link; `None` behind the last one.
    pub(crate) fn next(&mut self) -> Result<Option<Header>, ScanError> {
        let mut pax = Pax::default();
        loop {
            let Some(mut header) = self.header()? else {
                return Ok(None);
            };
            match header.kind {
                Kind::Pax => pax = Pax::of(&self.records(&header)?),
                Kind::PaxGlobal => {
                    let mut records = Pax::of(&self.records(&header)?);
                    records.or(std::mem::take(&mut self.global));
                    self.global = records;
                }
                Kind::LongName => pax.path = Some(ended(self.records(&header)?)),
                Kind::LongLink => pax.link = Some(ended(self.records(&header)?)),
                Kind::File
                | Kind::HardLink
                | Kind::Symlink
                | Kind::Directory
                | Kind::Special
                | Kind::Sparse { .. }
                | Kind::Mapped
                | Kind::Other(_) => {
                    pax.or(self.global.clone());
                    header.extend(pax);
                    self.enter(&header)?;
                    return Ok(Some(header));
                }
            }
        }
    }

    /// Where the present entry's content is in the archive.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// The next bytes of the present entry's content, until `buffer` is full or there are no more.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ScanError> {
        let len = usize::try_from(self.content).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(buffer) = buffer.get_mut(..len) else {
            return Ok(0);
        };
        self.exactly(buffer)?;
        self.content -= len as u64;
        self.left = self.left.saturating_sub(len as u64);
        Ok(len)
    }

    /// What an error means that came from [`Entries::read`] through a reader of the content.
    pub(crate) fn broken(&self, error: io::Error) -> ScanError {
        match error.downcast::<ScanError>() {
            Ok(error) => error,
            Err(error) => ScanError::io(self.path, error),
        }
    }

    fn header(&mut self) -> Result<Option<Header>, ScanError> {
        self.source
            .skip(self.left)
            .map_err(|error| ScanError::io(self.path, error))?;
        self.at = self.at.saturating_add(self.left);
        (self.left, self.content) = (0, 0);
        let mut block = [0; BLOCK];
        if !self.block(&mut block)? {
            return Ok(None);
        }
        let header = Header::of(&block).map_err(|fault| self.fault(fault))?;
        self.ended = header.is_none();
        Ok(header)
    }

    /// Reads a block. Not all programs write empty ones at an archive's end.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, ScanError> {
        let (first, rest) = block.split_at_mut(1);
        loop {
            match self.source.read(first) {
                Ok(0) => return Ok(false),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ScanError::io(self.path, error)),
            }
        }
        self.at += 1;
        self.exactly(rest)?;
        Ok(true)
    }

    /// Turns to an entry's content, behind the list of a sparse file's parts if there is one.
    fn enter(&mut self, header: &Header) -> Result<(), ScanError> {
        self.content = header.size;
        self.left = header.padded().ok_or_else(|| self.fault(Fault::Number))?;
        let mut more = matches!(header.kind, Kind::Sparse { extended: true, .. });
        while more {
            let mut block = [0; BLOCK];
            self.exactly(&mut block)?;
            more = sparse_goes_on(&block);
        }
        Ok(())
    }

    fn records(&mut self, header: &Header) -> Result<Vec<u8>, ScanError> {
        if header.size > MAX_RECORDS {
            return Err(ScanError::Absurd {
                path: self.path.to_owned(),
                what: "a name of more than a megabyte",
            });
        }
        self.enter(header)?;
        let mut records = vec![0; usize::try_from(header.size).unwrap_or(0)];
        self.read(&mut records)?;
        Ok(records)
    }

    fn exactly(&mut self, buffer: &mut [u8]) -> Result<(), ScanError> {
        self.source
            .read_exact(buffer)
            .map_err(|error| ScanError::io(self.path, error))?;
        self.at = self.at.saturating_add(buffer.len() as u64);
        Ok(())
    }

    fn fault(&self, fault: Fault) -> ScanError {
        ScanError::Tar {
            path: self.path.to_owned(),
            fault,
        }
    }
}

/// GNU tar ends long names with a NUL.
fn ended(mut name: Vec<u8>) -> Vec<u8> {
    let end = name.iter().position(|byte| *byte == 0);
    name.truncate(end.unwrap_or(name.len()));
    name
}
