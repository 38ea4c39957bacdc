//! What the ring buffer carries.

use super::{CODE_LEN, COMM_LEN, CellKey, HEAD_LEN, INTERP_LEN};

/// An exec, or a refusal of one; `path_len` bytes of path follow it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Record {
    /// [`super::tag::EXEC`].
    pub tag: u32,
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// When, in nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Which counter this exec went to.
    pub key: CellKey,
    /// What that counter showed afterwards.
    pub count: u64,
    /// Bytes of the file that `head` is of (`inode.i_size`); [`UNKNOWN_SIZE`] where it was not seen.
    pub size: u64,
    /// What `execve` returned, as errno (positive); 0 if it succeeded or that is unknown.
    pub errno: i32,
    /// Bytes of `interp`.
    pub interp_len: u32,
    /// Bytes of the path behind this record.
    pub path_len: u16,
    /// One of [`super::path_kind`].
    pub path_kind: u8,
    /// 1 if `interp` was put in front of the guest.
    pub interpreted: u8,
    #[expect(missing_docs, reason = "padding")]
    pub _pad: u32,
    /// First bytes of the guest if it was remembered, else of the last file of this exec;
    /// zero-filled.
    pub head: [u8; HEAD_LEN],
    /// Name of the task.
    pub comm: [u8; COMM_LEN],
    /// `linux_binprm.interp`.
    pub interp: [u8; INTERP_LEN],
}

/// [`Record::size`] of a file that was not seen.
pub const UNKNOWN_SIZE: u64 = u64::MAX;

/// A process died of SIGILL; `path_len` bytes of the path of its executable follow.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Signal {
    /// [`super::tag::SIGNAL`].
    pub tag: u32,
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// When, in nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Of the guest, if the task was emulated ([`super::mode::EMULATED`], [`super::mode::DIRECT`]); else of its
    /// executable, without machine ([`super::mode::ILLEGAL`]).
    pub key: CellKey,
    /// How many deaths of this key there were, this one included.
    pub count: u64,
    /// `si_addr`: the instruction, if `code` is above 0.
    pub address: u64,
    /// Where the code of the executable starts and ends in memory (`mm_struct.start_code`,
    /// `end_code`): an instruction in between is the executable's own, others are a library's.
    pub start_code: u64,
    /// See `start_code`.
    pub end_code: u64,
    /// `si_code`.
    pub code: i32,
    /// `si_pid`, in the pid namespace of the process, if `code` is 0 or less.
    pub sender: u32,
    /// Bytes of `path` behind this record.
    pub path_len: u16,
    /// One of [`super::path_kind`].
    pub path_kind: u8,
    /// Bytes of `code_bytes` that could be read.
    pub code_len: u8,
    /// The process's own id in that namespace.
    pub own: u32,
    /// The instruction's first bytes.
    pub code_bytes: [u8; CODE_LEN],
    /// Name of the task.
    pub comm: [u8; COMM_LEN],
}

/// A cgroup was made in the v2 hierarchy; `path_len` bytes of its path follow. Whatever is executed in
/// it later comes later, so that its name is known even if it is gone by then.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Cgroup {
    /// [`super::tag::CGROUP`].
    pub tag: u32,
    /// Bytes of the path behind this record.
    pub path_len: u32,
    /// Its id: the inode of its directory.
    pub id: u64,
}

const _: () = {
    use core::mem::{align_of, offset_of, size_of};
    assert!(offset_of!(Record, tag) == 0 && offset_of!(Signal, tag) == 0);
    assert!(offset_of!(Record, head) == 72);
    assert!(offset_of!(Record, comm) == 136);
    assert!(offset_of!(Record, interp) == 152);
    assert!(size_of::<Record>() == 408 && align_of::<Record>() == 8);
    assert!(offset_of!(Signal, code_bytes) == 88);
    assert!(size_of::<Signal>() == 120 && align_of::<Signal>() == 8);
    assert!(offset_of!(Cgroup, tag) == 0 && size_of::<Cgroup>() == 16);
};
