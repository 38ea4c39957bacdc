//! Why no format of the kernel's took an ELF file.

use super::FileStart;
use crate::arch::Arch;
use crate::elf::header::{ET_DYN, ET_EXEC, Header};
use crate::elf::{Class, Data, HEAD_LEN, Ident};
use crate::fact::Cause;

/// The kernel takes no more bytes of program headers than this, and no more than a page, which is
/// this large at most (`load_elf_phdrs`).
const MAX_TABLE_LEN: usize = 65_536;

/// Where `e_machine` is, in bytes from the file's start.
const E_MACHINE: usize = 18;

/// An ELF file whose header says what it is for.
pub(super) fn cause(
    node: Arch,
    runs_32bit: Option<bool>,
    ident: Ident,
    file: Option<FileStart<'_>>,
) -> Cause {
    if file.is_some_and(|file| file.ends_by(E_MACHINE)) {
        return Cause::TruncatedElf;
    }
    let arch = Arch::of(ident);
    let compat = node.compat();
    if arch != node && compat != Some(arch) {
        return stranger(node, ident);
    }
    if compat == Some(arch) && runs_32bit == Some(false) {
        return Cause::No32Bit;
    }
    let Some(file) = file else {
        return Cause::Other;
    };
    if ends_in_header(ident.class, &file) {
        return Cause::TruncatedElf;
    }
    match Header::of(file.own()) {
        // Not seen.
        None => Cause::Other,
        Some(header) if !is_well_formed(&header) => Cause::CorruptElf,
        Some(header) if ends_in_table(&header, &file) => Cause::TruncatedElf,
        // What is left is in the file too, behind what was seen: PT_INTERP without an end, notes
        // that are none, flags of an ABI that the kernel does not have. In the 32-bit mode that is
        // only so where that mode is known to be there.
        Some(_) if arch == node || runs_32bit == Some(true) => Cause::CorruptElf,
        Some(_) => Cause::Other,
    }
}

/// An ELF file that is neither for this CPU nor for its 32-bit mode.
fn stranger(node: Arch, ident: Ident) -> Cause {
    let Some(native) = native(node) else {
        return foreign(ident.machine);
    };
    let compat = node.compat().map(Arch::machine);
    let is_native = ident.machine == node.machine();
    if !is_native && compat != Some(ident.machine) {
        return foreign(ident.machine);
    }
    if ident.data == native.data {
        Cause::WrongClass
    } else {
        Cause::WrongByteOrder
    }
}

/// A machine that nothing here runs; 0 is `EM_NONE`, which is no machine.
fn foreign(machine: u16) -> Cause {
    if machine == 0 {
        Cause::Other
    } else {
        Cause::ForeignElf
    }
}

/// ELF's magic, and behind it no class or no byte order.
pub(super) fn broken(node: Arch, file: &FileStart<'_>) -> Cause {
    if file.ends_by(E_MACHINE) || file.size.is_some_and(|size| size < HEAD_LEN as u64) {
        return Cause::TruncatedElf;
    }
    let Some(machine) = file.own().get(E_MACHINE..HEAD_LEN) else {
        return Cause::Other;
    };
    // The kernel compares e_machine in its own byte order, and on most machines nothing else.
    let own = native(node).map(|native| match native.data {
        Data::Little => node.machine().to_le_bytes(),
        Data::Big => node.machine().to_be_bytes(),
    });
    if own.is_some_and(|own| own == *machine) {
        Cause::CorruptElf
    } else {
        Cause::Other
    }
}

/// Whether the file ends before its header does. Where its size is not known, a header that has
/// only zeros from `e_phnum` on is none: one without program headers has sections behind.
fn ends_in_header(class: Class, file: &FileStart<'_>) -> bool {
    let phnum = match class {
        Class::Elf32 => 44,
        Class::Elf64 => 56,
    };
    let len = class.header_len() as u64;
    file.ends_by(phnum) || file.size.is_some_and(|size| size < len)
}

/// What `load_elf_binary` and `load_elf_phdrs` want of a header.
fn is_well_formed(header: &Header) -> bool {
    let len = header.ident.class.segment_len();
    let table = len * usize::from(header.phnum);
    matches!(header.kind, ET_EXEC | ET_DYN)
        && usize::from(header.phentsize) == len
        && (1..=MAX_TABLE_LEN).contains(&table)
}

/// Whether the program headers are not all in the file. Where its size is not known, a table that
/// ends in as many zeros as a whole entry has is one that was filled up.
fn ends_in_table(header: &Header, file: &FileStart<'_>) -> bool {
    let Some(end) = header.end() else {
        return true;
    };
    let Some(size) = file.size else {
        let seen = end.min(file.bytes.len() as u64);
        let filled_up = header.ident.class.segment_len();
        return (file.content().len() + filled_up) as u64 <= seen;
    };
    end > size
}

/// Class and byte order of the programs a node runs.
fn native(node: Arch) -> Option<Ident> {
    let (class, data) = match node {
        Arch::Amd64 | Arch::Arm64 | Arch::Riscv64 | Arch::Ppc64le | Arch::Loong64 => {
            (Class::Elf64, Data::Little)
        }
        Arch::S390x | Arch::Ppc64 | Arch::Arm64be => (Class::Elf64, Data::Big),
        _ => return None,
    };
    Some(Ident {
        class,
        data,
        machine: node.machine(),
    })
}
