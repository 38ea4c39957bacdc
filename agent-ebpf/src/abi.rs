//! Every type that crosses between kernel and user space, declared once.
//!
//! All are `repr(C)` with explicit padding, so that both compilers lay them out alike and no
//! uninitialised byte leaves the kernel; the assertions at the end of each file hold that. Numbers are in
//! the node's byte order.

mod cells;
mod config;
mod execs;
mod names;
mod records;

pub use cells::{
    CellKey, FileKey, ForeignCell, HOT_SLOTS, HotCell, IllegalCell, NativeCell, TrackedTask,
    slot_of,
};
pub use config::Config;
pub use execs::{Flight, Interpreter};
pub use names::{hash_interpreter, hash_words};
pub use records::{Cgroup, Record, Signal, UNKNOWN_SIZE};

/// Bytes of a file's start that a record carries: an ELF header, or the beginning of a text.
pub const HEAD_LEN: usize = 64;
/// Most bytes of an instruction that a record carries: the longest of amd64 has 15.
pub const CODE_LEN: usize = 16;
/// `BINPRM_BUF_SIZE` (include/uapi/linux/binfmts.h): longest interpreter that a `#!` line or a
/// `binfmt_misc` entry can name, with its NUL.
pub const INTERP_LEN: usize = 256;
/// `PATH_MAX` (include/uapi/linux/limits.h): longest file name that `execve` takes, with its NUL.
pub const PATH_LEN: usize = 4096;
/// Longest path that an exec in flight keeps of a guest whose name must be resolved.
pub const FLIGHT_PATH_LEN: usize = 1024;
/// `TASK_COMM_LEN` (include/linux/sched.h).
pub const COMM_LEN: usize = 16;

/// How a binary ran, as far as the kernel side can tell.
pub mod mode {
    /// By the CPU, as the node's own machine and class.
    pub const NATIVE: u8 = 1;
    /// By the CPU, as another class or machine than its own.
    pub const COMPAT: u8 = 2;
    /// A foreign file was replaced by an interpreter, which runs.
    pub const EMULATED: u8 = 3;
    /// The kernel refused it.
    pub const FAILED: u8 = 4;
    /// Something stands in front of the file; the agent decides whether it is an emulator
    /// (without the header hook only).
    pub const INTERPRETED: u8 = 5;
    /// By the CPU, but it is an emulator: the agent looks for the guest in what the process maps.
    pub const DIRECT: u8 = 6;
    /// Not an exec: it died of SIGILL.
    pub const ILLEGAL: u8 = 7;
}

/// Bits of [`CellKey::ident`].
pub mod ident {
    /// `EI_CLASS` of the guest, as in the file.
    pub const CLASS_MASK: u8 = 0b11;
    /// How far `EI_DATA` is shifted.
    pub const DATA_SHIFT: u8 = 2;
    /// `EI_DATA` of the guest, as in the file.
    pub const DATA_MASK: u8 = 0b1100;
    /// The guest of an emulator that was started directly, found by what that maps.
    pub const DIRECT: u8 = 0b0100_0000;
    /// `inode` is a hash of names, because the guest's file was not seen.
    pub const HASHED: u8 = 0b1000_0000;
}

/// How a record's path is to be read.
pub mod path_kind {
    /// No path.
    pub const NONE: u8 = 0;
    /// As it was given to `execve` or stands in a `#!` line.
    pub const GIVEN: u8 = 1;
    /// The names of the directory entries from the file up to the root of its process, each with
    /// its NUL.
    pub const COMPONENTS: u8 = 2;
    /// Like [`COMPONENTS`], but the walk ended before the root.
    pub const TRUNCATED: u8 = 3;
}

/// What a record of the ring buffer is: its first word.
pub mod tag {
    /// A [`super::Record`].
    pub const EXEC: u32 = 1;
    /// A [`super::Signal`].
    pub const SIGNAL: u32 = 2;
    /// A [`super::Cgroup`].
    pub const CGROUP: u32 = 3;
}

/// Indices of the per-CPU statistics.
pub mod stat {
    /// Records sent.
    pub const RECORDS: u32 = 0;
    /// Native execs that found no room in their map.
    pub const OTHER_NATIVE: u32 = 1;
    /// Other execs that found no room in their map.
    pub const OTHER_FOREIGN: u32 = 2;
    /// Records that found no room in the ring buffer.
    pub const LOST_RING: u32 = 3;
    /// Foreign passes that found no room among the execs in flight.
    pub const LOST_FLIGHT: u32 = 4;
    /// Emulated tasks that found no room in their map.
    pub const LOST_TASK: u32 = 5;
    /// The agent's own failing execs that the header hook saw.
    pub const PROVEN_HEADER: u32 = 6;
    /// The same for the failure hook.
    pub const PROVEN_FAILURE: u32 = 7;
    /// Failed execs whose return was missed (kretprobe), found at the task's next exec.
    pub const MISSED_RETURN: u32 = 8;
    /// How many there are.
    pub const COUNT: u32 = 9;
}
