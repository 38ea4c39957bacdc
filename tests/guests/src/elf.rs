//! ELF headers (System V gABI, chapter 4) around a piece of code.

use std::ops::Range;

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

/// What the kernel does not take in an otherwise valid header (`load_elf_binary`, fs/binfmt_elf.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// `e_type` is that of a core dump.
    Type,
    /// `e_phentsize` is not the size of a program header.
    EntrySize,
    /// There are no program headers.
    NoSegments,
}

/// An [`executable`] with a flaw.
pub(crate) fn flawed(ident: Ident, code: &[u8], flaw: Flaw) -> Vec<u8> {
    let mut file = executable(ident, code);
    let (wide, narrow, value) = match flaw {
        Flaw::Type => (16, 16, 4),
        Flaw::EntrySize => (54, 42, 40),
        Flaw::NoSegments => (56, 44, 0),
    };
    // Its lower byte; the upper one is 0 in all of them.
    let at = if ident.wide { wide } else { narrow } + usize::from(ident.big_endian);
    file[at] = value;
    file
}

/// A static executable: one segment that holds the headers and `code`, which is its entry.
pub(crate) fn executable(ident: Ident, code: &[u8]) -> Vec<u8> {
    image(ident, code, None)
}

/// An executable that names an interpreter.
pub(crate) fn dynamic(ident: Ident, code: &[u8], interpreter: &[u8]) -> Vec<u8> {
    image(ident, code, Some(interpreter))
}

fn image(ident: Ident, code: &[u8], interpreter: Option<&[u8]>) -> Vec<u8> {
    let mut file = Writer {
        ident,
        bytes: Vec::with_capacity(256),
    };
    let (header, segment) = if ident.wide {
        (64_u16, 56_u16)
    } else {
        (52, 32)
    };
    let segments = 1 + u16::from(interpreter.is_some());
    // The usual link address, and a 32-bit one that fits pages of 64 KiB; lower addresses are
    // refused by mmap_min_addr.
    let base: u64 = if ident.wide { 0x40_0000 } else { 0x0805_0000 };
    let start = u64::from(header + segments * segment);
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
    file.word(ident.flags()); // e_flags
    file.half(header);
    file.half(segment);
    file.half(segments); // e_phnum
    file.half(0); // e_shentsize
    file.half(0); // e_shnum
    file.half(0); // e_shstrndx

    file.segment(PT_LOAD, base, 0..size);
    let Some(interpreter) = interpreter else {
        file.bytes.extend_from_slice(code);
        return file.bytes;
    };
    let end = size + interpreter.len() as u64 + 1;
    file.segment(PT_INTERP, base, size..end);
    file.bytes.extend_from_slice(code);
    file.bytes.extend_from_slice(interpreter);
    file.bytes.push(0);
    file.bytes
}

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

impl Ident {
    /// `e_flags`: for 32-bit Arm the version of the ABI, without which 64-bit kernels refuse it
    /// (arch/arm64/include/asm/elf.h).
    fn flags(self) -> u32 {
        const EM_ARM: u16 = 40;
        const EF_ARM_EABI_VER5: u32 = 0x0500_0000;
        if self.machine == EM_ARM {
            EF_ARM_EABI_VER5
        } else {
            0
        }
    }
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

    /// A program header for `bytes` of the file.
    fn segment(&mut self, kind: u32, base: u64, bytes: Range<u64>) {
        const READ_EXECUTE: u32 = 5;
        let size = bytes.end - bytes.start;
        self.word(kind);
        if self.ident.wide {
            self.word(READ_EXECUTE);
        }
        self.address(bytes.start); // p_offset
        self.address(base + bytes.start); // p_vaddr
        self.address(base + bytes.start); // p_paddr
        self.address(size); // p_filesz
        self.address(size); // p_memsz
        if !self.ident.wide {
            self.word(READ_EXECUTE);
        }
        self.address(0x1_0000); // p_align: fits kernels with 64 KiB pages too
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
