//! Compression, told by the first bytes: what a description says of it may be wrong.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::errors::ReadFrameHeaderError::SkipFrame;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// RFC 1952: the magic, and deflate as the only method.
const GZIP: &[u8] = b"\x1f\x8b\x08";
/// RFC 8878: the magic of a frame.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// RFC 8878: that of a frame to skip, whose first byte is any from 0x50 to 0x5f.
const SKIPPABLE: &[u8] = b"\x2a\x4d\x18";

/// Whether `start` is that of a file which [`unpack`] unpacks.
pub(crate) fn is_packed(start: &[u8]) -> bool {
    start.starts_with(GZIP) || is_zstd(start)
}

/// The content of a file that may be compressed.
pub(crate) fn unpack<'a>(reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut reader = BufReader::with_capacity(128 << 10, reader);
    let start = reader.fill_buf()?;
    if start.starts_with(GZIP) {
        return Ok(Box::new(MultiGzDecoder::new(reader)));
    }
    if is_zstd(start) {
        return Ok(Box::new(Frames::new(reader)));
    }
    Ok(Box::new(reader))
}

fn is_zstd(start: &[u8]) -> bool {
    start.starts_with(ZSTD)
        || (matches!(start.first(), Some(0x50..=0x5f)) && start.get(1..4) == Some(SKIPPABLE))
}

/// zstd's frames one after the other, as `zstd:chunked` layers have them.
struct Frames<R> {
    reader: R,
    decoder: FrameDecoder,
    within: bool,
}

/// Decoded at a time: half of the largest block (RFC 8878, `Block_Maximum_Size`).
const STEP: usize = 64 << 10;

impl<R: BufRead> Frames<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            decoder: FrameDecoder::new(),
            within: false,
        }
    }

    /// Opens the next frame, or leaves out one that is to be skipped.
    fn next(&mut self) -> io::Result<()> {
        use FrameDecoderError::ReadFrameHeaderError;
        match self.decoder.init(&mut self.reader) {
            Ok(()) => self.within = true,
            Err(ReadFrameHeaderError(SkipFrame { length, .. })) => {
                let mut skipped = (&mut self.reader).take(length.into());
                if io::copy(&mut skipped, &mut io::sink())? < u64::from(length) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(fault(&error)),
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.within {
                if self.reader.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                self.next()?;
                continue;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            if self.decoder.is_finished() {
                self.within = false;
                continue;
            }
            let step = BlockDecodingStrategy::UptoBytes(STEP);
            self.decoder
                .decode_blocks(&mut self.reader, step)
                .map_err(|error| fault(&error))?;
        }
    }
}

/// The decoder wraps what the reader below it said; the end of a file is told as such.
fn fault(error: &FrameDecoderError) -> io::Error {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return io::Error::new(error.kind(), error.to_string());
        }
        cause = error.source();
    }
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("to memory");
        encoder.finish().expect("to memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        unpack(bytes)?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn all_kinds_are_unpacked_and_joined() {
        let text: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        let skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
        for packed in [
            text.clone(),
            gzip(&text),
            [gzip(&text[..7]), gzip(&text[7..])].concat(),
            zstd(&text),
            [skippable.to_vec(), zstd(&text[..7]), zstd(&text[7..])].concat(),
        ] {
            assert!(unpacked(&packed).expect("whole") == text);
        }
        assert_eq!(unpacked(b"").expect("nothing"), b"");
    }

    #[test]
    fn what_was_cut_off_or_changed_is_refused() {
        let text: Vec<u8> = (0..30_000u32).flat_map(u32::to_le_bytes).collect();
        for packed in [gzip(&text), zstd(&text)] {
            for len in [5, 20, packed.len() / 2, packed.len() - 1] {
                let error = unpacked(&packed[..len]).expect_err("cut off");
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
            }
        }
        assert!(unpacked(b"\x1f\x8b\x08 and so on, but it is not").is_err());
        assert!(unpacked(b"\x5a\x2a\x4d\x18\xff\xff\xff\xffabc").is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, kind in 0usize..3) {
            let magic = [GZIP, ZSTD, b"\x50\x2a\x4d\x18"][kind];
            let bytes = [magic, &bytes].concat();
            let mut content = Vec::new();
            let reader = unpack(&bytes[..]).expect("memory");
            let _ = reader.take(1 << 20).read_to_end(&mut content);
        }
    }
}
