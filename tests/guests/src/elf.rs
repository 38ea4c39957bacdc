//! ELF headers (System V gABI, chapter 4) around a piece of code.

/// What an ELF file says of the machine it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ident {
    /// `e_machine`.
    pub machine: u16,
    /// 64-bit (`ELFCLASS64`), else 32-bit.
    pub wide: bool,
    /// `ELFDATA2MSB`, else `ELFDATA2LSB`.
    pub big_endian: bool,
}

/// The first `length` bytes of a valid program of `ident`: a file that was cut off.
#[must_use]
pub fn broken(ident: Ident, length: usize) -> Vec<u8> {
    let mut file = executable(ident, &[0; 16]);
    file.truncate(length);
    file
}

/// A static executable: one segment that holds the headers and `code`, which is its entry.
pub(crate) fn executable(ident: Ident, code: &[u8]) -> Vec<u8> {
    let mut file = Writer {
        ident,
        bytes: Vec::with_capacity(256),
    };
    let (header, segment) = if ident.wide {
        (64_u16, 56_u16)
    } else {
        (52, 32)
    };
    // The usual link addresses of either class; low addresses are refused by mmap_min_addr.
    let base: u64 = if ident.wide { 0x40_0000 } else { 0x0804_8000 };
    let start = u64::from(header + segment);
    let size = start + code.len() as u64;

    file.bytes.extend_from_slice(b"\x7fELF");
    let class = if ident.wide { 2 } else { 1 };
    let data = if ident.big_endian { 2 } else { 1 };
    file.bytes
        .extend_from_slice(&[class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.half(2); // e_type: ET_EXEC
    file.half(ident.machine);
    file.word(1); // e_version
    file.address(base + start); // e_entry
    file.address(u64::from(header)); // e_phoff
    file.address(0); // e_shoff: no sections
    file.word(0); // e_flags
    file.half(header);
    file.half(segment);
    file.half(1); // e_phnum
    file.half(0); // e_shentsize
    file.half(0); // e_shnum
    file.half(0); // e_shstrndx

    file.word(1); // p_type: PT_LOAD
    const READ_EXECUTE: u32 = 5;
    if ident.wide {
        file.word(READ_EXECUTE);
    }
    file.address(0); // p_offset
    file.address(base); // p_vaddr
    file.address(base); // p_paddr
    file.address(size); // p_filesz
    file.address(size); // p_memsz
    if !ident.wide {
        file.word(READ_EXECUTE);
    }
    file.address(0x1_0000); // p_align: fits kernels with 64 KiB pages too
    file.bytes.extend_from_slice(code);
    file.bytes
}

/// Writes numbers in the width and byte order of the file.
struct Writer {
    ident: Ident,
    bytes: Vec<u8>,
}

impl Writer {
    fn half(&mut self, value: u16) {
        let bytes = if self.ident.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        self.bytes.extend_from_slice(&bytes);
    }

    fn word(&mut self, value: u32) {
        let bytes = if self.ident.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        self.bytes.extend_from_slice(&bytes);
    }

    /// An address or offset: 8 bytes in 64-bit files, 4 in others (where all values are small).
    fn address(&mut self, value: u64) {
        let bytes = if self.ident.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        let bytes = match (self.ident.wide, self.ident.big_endian) {
            (true, _) => &bytes[..],
            (false, true) => &bytes[4..],
            (false, false) => &bytes[..4],
        };
        self.bytes.extend_from_slice(bytes);
    }
}
