//! Inflates what an archive holds: the first bytes of it, or all of it up to a limit.

use std::fs::File;
use std::io::{self, Write as _};

use archtrace_facts::audit::Skip;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::read_at::ReadAt;
use crate::{ArchiveLimits, START};

/// Read of a compressed file for its first bytes. The tables of a block take 600 bytes at most
/// (RFC 1951, 3.2.7: 17 bits, 19 times 3, 320 times 14), and 64 bytes of a file less than half of that.
const INPUT: usize = 1024;
/// Read and written at once when all of a file is inflated; deflate looks back 32 KiB.
const CHUNK: usize = 32 * 1024;

/// An archive that was inflated.
pub(super) enum Spool {
    Memory(Vec<u8>),
    File(File),
}

impl ReadAt for Spool {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => bytes.read_at(buffer, offset),
            Self::File(file) => ReadAt::read_at(file, buffer, offset),
        }
    }

    fn size(&self) -> io::Result<u64> {
        match self {
            Self::Memory(bytes) => bytes.size(),
            Self::File(file) => file.size(),
        }
    }
}

/// The first bytes of a file whose compressed bytes are `data`.
pub(super) fn start(data: &dyn ReadAt) -> Result<Vec<u8>, Skip> {
    let mut input = [0; INPUT];
    let read = data
        .read_full_at(&mut input, 0)
        .map_err(|_| Skip::Unreadable)?;
    let mut output = vec![0; START];
    let mut state = Box::<DecompressorOxide>::default();
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_HAS_MORE_INPUT;
    let (status, _, written) = decompress(&mut state, &input[..read], &mut output, 0, flags);
    output.truncate(written);
    match status {
        TINFLStatus::Done | TINFLStatus::HasMoreOutput => Ok(output),
        // A file that is shorter than a header, and whose end was not seen, is none.
        _ if written == START => Ok(output),
        _ => Err(Skip::BadArchive),
    }
}

/// All of a file whose compressed bytes are `data`, and which should have `len` bytes.
pub(super) fn whole(data: &dyn ReadAt, len: u64, limits: &ArchiveLimits) -> Result<Spool, Skip> {
    let mut spool = if len <= limits.memory {
        Spool::Memory(Vec::new())
    } else if len <= limits.spool {
        Spool::File(tempfile::tempfile().map_err(|_| Skip::Bytes)?)
    } else {
        return Err(Skip::Bytes);
    };
    let mut state = Box::<DecompressorOxide>::default();
    let (mut input, mut window) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut at, mut written, mut position) = (0, 0u64, 0);
    let (mut from, mut until) = (0, 0);
    loop {
        if from == until {
            until = data
                .read_full_at(&mut input, at)
                .map_err(|_| Skip::Unreadable)?;
            (from, at) = (0, at + until as u64);
        }
        let flags = if until > 0 {
            TINFL_FLAG_HAS_MORE_INPUT
        } else {
            0
        };
        let (status, used, out) = decompress(
            &mut state,
            input.get(from..until).unwrap_or_default(),
            &mut window,
            position,
            flags,
        );
        from += used;
        written += out as u64;
        // More than it said it has: a bomb, or nonsense.
        if written > len {
            return Err(Skip::BadArchive);
        }
        let bytes = window.get(position..position + out).unwrap_or_default();
        match &mut spool {
            Spool::Memory(memory) => memory.extend_from_slice(bytes),
            Spool::File(file) => file.write_all(bytes).map_err(|_| Skip::Bytes)?,
        }
        position = (position + out) % CHUNK;
        match status {
            TINFLStatus::Done => return Ok(spool),
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::NeedsMoreInput if until > 0 => {}
            _ => return Err(Skip::BadArchive),
        }
    }
}
