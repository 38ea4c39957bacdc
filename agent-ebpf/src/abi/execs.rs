//! What the programs remember while an exec is on its way.

use super::{FLIGHT_PATH_LEN, HEAD_LEN, INTERP_LEN};

/// A guest whose exec has not ended yet.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Flight {
    /// Inode of the guest's file.
    pub inode: u64,
    /// Its device.
    pub dev: u32,
    /// Its `e_machine`.
    pub machine: u16,
    /// Class and byte order, as in [`super::CellKey::ident`].
    pub ident: u8,
    /// How `path` is to be read; [`super::path_kind::NONE`]: it is `linux_binprm.filename`.
    pub path_kind: u8,
    /// Bytes of `path`.
    pub path_len: u32,
    #[expect(missing_docs, reason = "padding")]
    pub _pad: u32,
    /// Bytes of the guest.
    pub size: u64,
    /// First bytes of the guest.
    pub head: [u8; HEAD_LEN],
    /// Its path, where `filename` does not say it.
    pub path: [u8; FLIGHT_PATH_LEN + INTERP_LEN],
}

/// What is known of an interpreter string.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// `e_machine` it is registered for; 0 if it is for several.
    pub machine: u16,
    /// Class and byte order, as in [`super::CellKey::ident`].
    pub ident: u8,
    /// 1 if `binfmt_misc` names it for a foreign machine, 0 if it reads scripts.
    pub emulator: u8,
    #[expect(missing_docs, reason = "padding")]
    pub _pad: u32,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(offset_of!(Flight, size) == 24);
    assert!(size_of::<Flight>() == 1376);
    assert!(size_of::<Interpreter>() == 8);
};
