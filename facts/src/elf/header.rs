//! The rest of an ELF header, and the program headers (elf(5)).

use super::{Class, Data, Ident};

/// `e_type`: a program at fixed addresses.
pub const ET_EXEC: u16 = 2;
/// `e_type`: a shared object, or a program that may be loaded anywhere.
pub const ET_DYN: u16 = 3;
/// `p_type`: a part of the file that is mapped.
pub const PT_LOAD: u32 = 1;
/// `p_type`: the path of the interpreter.
pub const PT_INTERP: u32 = 3;
/// `p_flags`: mapped so that it may be executed.
pub const PF_X: u32 = 1;
/// `p_flags`: mapped so that it may be written to.
pub const PF_W: u32 = 2;

/// What the kernel checks of an ELF header before it loads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose header this is.
    pub ident: Ident,
    /// `e_type`
    pub kind: u16,
    /// `e_phoff`: where the program headers are, in bytes from the file's start.
    pub phoff: u64,
    /// `e_phentsize`: what one of them takes, in bytes.
    pub phentsize: u16,
    /// `e_phnum`: how many there are.
    pub phnum: u16,
}

/// One program header: a part of the file and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `p_type`
    pub kind: u32,
    /// `p_flags`
    pub flags: u32,
    /// `p_offset`: where it begins in the file, in bytes.
    pub offset: u64,
    /// `p_filesz`: how many bytes of the file it is.
    pub size: u64,
    /// `p_vaddr`: where it is in memory, before a program that may be loaded anywhere is moved.
    pub address: u64,
}

impl Class {
    /// Bytes of an ELF header: `sizeof(Elf32_Ehdr)`, `sizeof(Elf64_Ehdr)`.
    #[must_use]
    pub fn header_len(self) -> usize {
        match self {
            Self::Elf32 => 52,
            Self::Elf64 => 64,
        }
    }

    /// Bytes of a program header: `sizeof(Elf32_Phdr)`, `sizeof(Elf64_Phdr)`.
    #[must_use]
    pub fn segment_len(self) -> usize {
        match self {
            Self::Elf32 => 32,
            Self::Elf64 => 56,
        }
    }
}

impl Header {
    /// Reads it from the first bytes of a file; `None` if it is no ELF file, or ends too early.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let ident = Ident::of(bytes)?;
        let fields = Fields::new(bytes.get(..ident.class.header_len())?, ident);
        let (phoff, phentsize, phnum) = match ident.class {
            Class::Elf32 => (28, 42, 44),
            Class::Elf64 => (32, 54, 56),
        };
        Some(Self {
            ident,
            kind: fields.half(16)?,
            phoff: fields.word(phoff)?,
            phentsize: fields.half(phentsize)?,
            phnum: fields.half(phnum)?,
        })
    }

    /// Where the program headers end, in bytes from the file's start; `None` beyond all files.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        self.phoff
            .checked_add(u64::from(self.phentsize) * u64::from(self.phnum))
    }

    /// Where in the file the byte is that a process has at `address`, if that is code of this program.
    /// `start` is the start of the file, `start_code` the address of its first byte of code in that
    /// process (`mm_struct.start_code`, set by `load_elf_binary` to the lowest address of a segment
    /// that may be executed).
    #[must_use]
    pub fn code_offset(self, start: &[u8], start_code: u64, address: u64) -> Option<u64> {
        let code = || {
            self.segments(start)
                .filter(|segment| segment.kind == PT_LOAD && segment.flags & PF_X != 0)
        };
        let lowest = code().map(|segment| segment.address).min()?;
        let linked = address.wrapping_sub(start_code).wrapping_add(lowest);
        code().find_map(|segment| {
            let within = linked.checked_sub(segment.address)?;
            (within < segment.size).then(|| segment.offset.checked_add(within))?
        })
    }

    /// Those program headers that lie within `bytes`, the start of the file.
    pub fn segments(self, bytes: &[u8]) -> impl Iterator<Item = Segment> {
        let len = self.ident.class.segment_len();
        let table = usize::try_from(self.phoff)
            .ok()
            .and_then(|offset| bytes.get(offset..))
            .filter(|_| usize::from(self.phentsize) == len)
            .unwrap_or_default();
        table
            .chunks_exact(len)
            .take(self.phnum.into())
            .filter_map(move |entry| Segment::of(&Fields::new(entry, self.ident)))
    }
}

impl Segment {
    fn of(fields: &Fields<'_>) -> Option<Self> {
        let (flags, offset, size, address) = match fields.ident.class {
            Class::Elf32 => (24, 4, 16, 8),
            Class::Elf64 => (4, 8, 32, 16),
        };
        Some(Self {
            kind: fields.int(0)?,
            flags: fields.int(flags)?,
            offset: fields.word(offset)?,
            size: fields.word(size)?,
            address: fields.word(address)?,
        })
    }
}

/// Numbers in a header, in its byte order.
struct Fields<'a> {
    bytes: &'a [u8],
    ident: Ident,
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8], ident: Ident) -> Self {
        Self { bytes, ident }
    }

    fn half(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(match self.ident.data {
            Data::Little => u16::from_le_bytes(bytes),
            Data::Big => u16::from_be_bytes(bytes),
        })
    }

    fn int(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(match self.ident.data {
            Data::Little => u32::from_le_bytes(bytes),
            Data::Big => u32::from_be_bytes(bytes),
        })
    }

    /// A number as wide as an address.
    fn word(&self, at: usize) -> Option<u64> {
        if self.ident.class == Class::Elf32 {
            return self.int(at).map(u64::from);
        }
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(match self.ident.data {
            Data::Little => u64::from_le_bytes(bytes),
            Data::Big => u64::from_be_bytes(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An ELF header with one program header behind it: `PT_LOAD`, flags 5, offset 0x1000, size
    /// 0x2000.
    fn file(class: Class, data: Data) -> Vec<u8> {
        let wide = class == Class::Elf64;
        let number = |value: u64, width: usize| match data {
            Data::Little => value.to_le_bytes()[..width].to_vec(),
            Data::Big => value.to_be_bytes()[8 - width..].to_vec(),
        };
        let address = if wide { 8 } else { 4 };
        let mut bytes = b"\x7fELF".to_vec();
        bytes.extend([
            if wide { 2 } else { 1 },
            if data == Data::Little { 1 } else { 2 },
        ]);
        bytes.resize(16, 0);
        for (value, width) in [
            (3, 2),
            (62, 2),
            (1, 4),
            (0, address),
            (class.header_len() as u64, address),
            (0, address),
            (0, 4),
            (class.header_len() as u64, 2),
            (class.segment_len() as u64, 2),
            (1, 2),
            (0, 2),
            (0, 2),
            (0, 2),
        ] {
            bytes.extend(number(value, width));
        }
        let segment: &[(u64, usize)] = if wide {
            &[
                (1, 4),
                (5, 4),
                (0x1000, 8),
                (0, 8),
                (0, 8),
                (0x2000, 8),
                (0, 8),
                (0, 8),
            ]
        } else {
            &[
                (1, 4),
                (0x1000, 4),
                (0, 4),
                (0, 4),
                (0x2000, 4),
                (0, 4),
                (5, 4),
                (0, 4),
            ]
        };
        for (value, width) in segment {
            bytes.extend(number(*value, *width));
        }
        bytes
    }

    #[test]
    fn every_class_and_byte_order_is_read() {
        for class in [Class::Elf32, Class::Elf64] {
            for data in [Data::Little, Data::Big] {
                let bytes = file(class, data);
                let header = Header::of(&bytes).expect("a whole header");
                assert_eq!(
                    (header.kind, header.phnum),
                    (ET_DYN, 1),
                    "{class:?} {data:?}"
                );
                assert_eq!(header.end(), Some(bytes.len() as u64), "{class:?} {data:?}");
                let segment = Segment {
                    kind: PT_LOAD,
                    flags: 5,
                    offset: 0x1000,
                    size: 0x2000,
                    address: 0,
                };
                assert!(header.segments(&bytes).eq([segment]), "{class:?} {data:?}");
                let cut = &bytes[..bytes.len() - 1];
                assert_eq!(header.segments(cut).count(), 0, "{class:?} {data:?}");
                assert_eq!(Header::of(&bytes[..class.header_len() - 1]), None);
            }
        }
    }

    #[test]
    fn code_is_found_wherever_it_was_loaded() {
        let bytes = file(Class::Elf64, Data::Little);
        let header = Header::of(&bytes).expect("a whole header");
        for (start_code, address, offset) in [
            (0, 0x10, Some(0x1010)),
            (0x5555_0000, 0x5555_1fff, Some(0x2fff)),
            (0x5555_0000, 0x5555_2000, None),
            (0x5555_0000, 0x10, None),
        ] {
            assert_eq!(
                header.code_offset(&bytes, start_code, address),
                offset,
                "{address:#x}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(class in 1u8..3, data in 1u8..3, rest: Vec<u8>, at: (u64, u64)) {
            let bytes = [b"\x7fELF".as_slice(), &[class, data], &rest].concat();
            if let Some(header) = Header::of(&bytes) {
                let _ = (header.end(), header.code_offset(&bytes, at.0, at.1));
                prop_assert!(header.segments(&bytes).count() <= header.phnum.into());
            }
        }
    }
}
