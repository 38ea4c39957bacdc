//! What the first bytes of a file say it is.
//!
//! The kernel reads the first 256 bytes of a file into `linux_binprm.buf` (`prepare_binprm`,
//! fs/exec.c) and zero-fills the rest; each binary format decides from them.

pub mod header;

/// How many bytes of a file say what it is: up to and including `e_machine`.
pub const HEAD_LEN: usize = 20;

/// `EI_CLASS`: the width of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// `ELFCLASS32`
    Elf32,
    /// `ELFCLASS64`
    Elf64,
}

/// `EI_DATA`: the byte order, of the header as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// `ELFDATA2LSB`
    Little,
    /// `ELFDATA2MSB`
    Big,
}

/// The part of an ELF header that names an instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ident {
    /// `e_ident[EI_CLASS]`
    pub class: Class,
    /// `e_ident[EI_DATA]`
    pub data: Data,
    /// `e_machine`, in the byte order that `EI_DATA` gives
    pub machine: u16,
}

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// An ELF file with a header that can be read.
    Elf(Ident),
    /// It starts with ELF's magic, but class or byte order are none, or it ends too early.
    BrokenElf,
    /// It starts with `#!`.
    Script,
    /// No byte at all.
    Empty,
    /// Anything else.
    Other,
}

/// The first bytes of every ELF file.
pub const MAGIC: &[u8; 4] = b"\x7fELF";

impl Head {
    /// Reads what `bytes`, the start of a file, stand for. [`HEAD_LEN`] bytes suffice; fewer are
    /// what a shorter file has.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(MAGIC) {
            return Ident::of(bytes).map_or(Self::BrokenElf, Self::Elf);
        }
        if bytes.starts_with(b"#!") {
            return Self::Script;
        }
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Other
        }
    }

    /// The identification, where the file is ELF.
    #[must_use]
    pub fn ident(self) -> Option<Ident> {
        match self {
            Self::Elf(ident) => Some(ident),
            _ => None,
        }
    }
}

/// The interpreter that a script's first line names, as `load_script` (fs/binfmt_script.c) reads
/// it; `bytes` is the start of the file. `None` if it is no script or names none.
#[must_use]
pub fn shebang(bytes: &[u8]) -> Option<&[u8]> {
    let line = bytes
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = line.iter().position(|byte| !blank(byte))?;
    let name = line[start..]
        .split(|byte| blank(byte) || *byte == 0)
        .next()?;
    (!name.is_empty()).then_some(name)
}

impl Ident {
    /// Reads an ELF header's identification and machine; `None` if it is not one.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; HEAD_LEN] = bytes.first_chunk()?;
        if !head.starts_with(MAGIC) {
            return None;
        }
        Self::from_parts(head[4], head[5], [head[18], head[19]])
    }

    /// The same from single fields: `EI_CLASS`, `EI_DATA` and the two bytes of `e_machine` as they
    /// stand in the file.
    #[must_use]
    pub fn from_parts(class: u8, data: u8, machine: [u8; 2]) -> Option<Self> {
        let class = match class {
            1 => Class::Elf32,
            2 => Class::Elf64,
            _ => return None,
        };
        let (data, machine) = match data {
            1 => (Data::Little, u16::from_le_bytes(machine)),
            2 => (Data::Big, u16::from_be_bytes(machine)),
            _ => return None,
        };
        Some(Self {
            class,
            data,
            machine,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(class: u8, data: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..4].copy_from_slice(MAGIC);
        (bytes[4], bytes[5]) = (class, data);
        bytes[18..20].copy_from_slice(&machine);
        bytes
    }

    #[test]
    fn files_are_told_apart_by_their_first_bytes() {
        let ident = |class, data, machine| {
            Head::Elf(Ident {
                class,
                data,
                machine,
            })
        };
        for (bytes, expected) in [
            (head(2, 1, [183, 0]), ident(Class::Elf64, Data::Little, 183)),
            (head(2, 2, [0, 22]), ident(Class::Elf64, Data::Big, 22)),
            (head(1, 1, [3, 0]), ident(Class::Elf32, Data::Little, 3)),
            (
                head(2, 1, [0xff, 0xff]),
                ident(Class::Elf64, Data::Little, 0xffff),
            ),
            (head(0, 1, [62, 0]), Head::BrokenElf),
            (head(2, 7, [62, 0]), Head::BrokenElf),
            (head(2, 1, [62, 0])[..19].to_vec(), Head::BrokenElf),
            (
                head(2, 1, [62, 0])[..20].to_vec(),
                ident(Class::Elf64, Data::Little, 62),
            ),
            (b"#!/bin/sh\n".to_vec(), Head::Script),
            (b"echo hello\n".to_vec(), Head::Other),
            (b"\x7fEL".to_vec(), Head::Other),
            (Vec::new(), Head::Empty),
        ] {
            assert_eq!(Head::of(&bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn the_first_line_names_the_interpreter() {
        for (script, expected) in [
            (&b"#!/bin/sh\n"[..], Some(&b"/bin/sh"[..])),
            (b"#! \t/usr/bin/env -S python3\n", Some(b"/usr/bin/env")),
            (b"#!/bin/sh", Some(b"/bin/sh")),
            (b"#!/bin/sh\0\0\0", Some(b"/bin/sh")),
            (b"#!\n/bin/sh", None),
            (b"#!   ", None),
            (b"/bin/sh\n", None),
            (b"", None),
        ] {
            assert_eq!(shebang(script), expected, "{script:?}");
        }
    }

    proptest! {
        #[test]
        fn no_script_makes_it_panic(line: Vec<u8>) {
            let _ = shebang(&[b"#!".as_slice(), &line].concat());
        }

        #[test]
        fn no_file_makes_it_panic(bytes: Vec<u8>) {
            let _ = Head::of(&bytes);
        }

        #[test]
        fn no_elf_file_makes_it_panic(rest: Vec<u8>) {
            let _ = Head::of(&[MAGIC.as_slice(), &rest].concat());
        }
    }
}
