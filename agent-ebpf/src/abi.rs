//! Every type that crosses between kernel and user space, declared once.
//!
//! All are `repr(C)` with explicit padding, so that both compilers lay them out alike and no
//! uninitialised byte leaves the kernel; the assertions at the end hold that. Numbers are in the
//! node's byte order.

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

/// What execs are counted by.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CellKey {
    /// cgroup v2 id of the task (inode of its directory).
    pub cgroup: u64,
    /// Inode number of the guest's file.
    pub inode: u64,
    /// `super_block.s_dev` of that file, in the kernel's own encoding: major << 20 | minor.
    pub dev: u32,
    /// `e_machine` of the guest, read in the byte order its header names; 0 if it is not ELF.
    pub machine: u16,
    /// One of [`mode`].
    pub mode: u8,
    /// See [`ident`].
    pub ident: u8,
}

/// Counter of a native binary.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeCell {
    /// Execs.
    pub count: u64,
    /// When its first-sight record was sent, in nanoseconds of `CLOCK_MONOTONIC`; 0: not yet.
    pub sent_ns: u64,
    /// 1 once it has tried to get a slot among the [`HotCell`]s.
    pub tried: u64,
}

/// A counter of a native binary that is known already, in a table of one cache line per look: a hash
/// map's look-up touches five, all of them cold after an exec.
///
/// The slot belongs to the first key that came to it and stays with it until the agent gives it up.
/// A key without a slot counts in [`NativeCell::count`]; one with a slot counts in both, one after
/// the other, so that the sum is what it counted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct HotCell {
    /// The key as [`CellKey::words`]; zeros: nobody's.
    pub key: [u64; 3],
    /// Execs.
    pub count: u64,
}

/// Slots of [`HotCell`]: the binaries that a busy node executes over and over. A power of two, and few
/// enough for the kernel to take the map from its linear mapping (32 KiB, `bpf_map_area_alloc`), where
/// a look costs no walk of page tables.
pub const HOT_SLOTS: u32 = 512;

impl CellKey {
    /// The key in whole words, as the table of [`HotCell`] compares it: its fields are laid out
    /// without padding.
    #[must_use]
    #[inline(always)]
    pub const fn words(&self) -> [u64; 3] {
        let rest = (self.dev as u64)
            | (self.machine as u64) << 32
            | (self.mode as u64) << 48
            | (self.ident as u64) << 56;
        [self.cgroup, self.inode, rest]
    }

    /// Its slot: Fibonacci hashing. Whoever makes keys collide only makes their own execs slower.
    #[must_use]
    #[inline(always)]
    pub const fn hot_slot(words: &[u64; 3]) -> u32 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = words[0].wrapping_mul(GOLDEN) ^ words[1];
        (mixed.wrapping_mul(GOLDEN) >> (64 - HOT_SLOTS.trailing_zeros())) as u32
    }
}

/// Counters of anything but a native binary.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ForeignCell {
    /// Execs, refused ones included where [`CellKey::mode`] says so.
    pub count: u64,
    /// Execs of these for which no record was sent, because one was within the last second.
    pub suppressed: u64,
    /// CPU time of its tasks that ended or exec'd something else, in nanoseconds.
    pub cpu_ns: u64,
    /// Thread groups alive.
    pub processes: u64,
    /// Last exec, in nanoseconds of `CLOCK_MONOTONIC`.
    pub last_ns: u64,
    /// Last record sent, likewise; 0: none.
    pub sent_ns: u64,
}

/// A file, as the kernel knows it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// Inode number.
    pub inode: u64,
    /// As in [`CellKey::dev`].
    pub dev: u32,
    #[expect(missing_docs, reason = "padding")]
    pub _pad: u32,
}

/// How often a binary died of SIGILL.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct IllegalCell {
    /// Deaths.
    pub count: u64,
    /// Last record sent, in nanoseconds of `CLOCK_MONOTONIC`; 0: none.
    pub sent_ns: u64,
}

/// A task that runs emulated code.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TrackedTask {
    /// Where its CPU time belongs.
    pub key: CellKey,
    /// `se.sum_exec_runtime` when it started to count, in nanoseconds.
    pub base_ns: u64,
    /// What it used since, when last sampled.
    pub live_ns: u64,
    /// 1 if it stands for its thread group.
    pub leader: u32,
    #[expect(missing_docs, reason = "padding")]
    pub _pad: u32,
}

/// What is known of an interpreter string.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// `e_machine` it is registered for; 0 if it is for several.
    pub machine: u16,
    /// Class and byte order, as in [`CellKey::ident`].
    pub ident: u8,
    /// 1 if `binfmt_misc` names it for a foreign machine, 0 if it reads scripts.
    pub emulator: u8,
    #[expect(missing_docs, reason = "padding")]
    pub _pad: u32,
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

/// An exec, or a refusal of one; `path_len` bytes of path follow it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Record {
    /// [`tag::EXEC`].
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
    /// One of [`path_kind`].
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
    /// [`tag::SIGNAL`].
    pub tag: u32,
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// When, in nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Of the guest, if the task was emulated ([`mode::EMULATED`], [`mode::DIRECT`]); else of its
    /// executable, without machine ([`mode::ILLEGAL`]).
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
    /// One of [`path_kind`].
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
    /// [`tag::CGROUP`].
    pub tag: u32,
    /// Bytes of the path behind this record.
    pub path_len: u32,
    /// Its id: the inode of its directory.
    pub id: u64,
}

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
    /// Class and byte order, as in [`CellKey::ident`].
    pub ident: u8,
    /// How `path` is to be read; [`path_kind::NONE`]: it is `linux_binprm.filename`.
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

/// What the agent tells the programs before they are loaded; read-only for them, so that the
/// verifier drops what is switched off. Offsets are in bytes, from the running kernel's BTF.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    // What every exec reads comes first, within one cache line.
    /// `linux_binprm.buf`
    pub binprm_buf: u32,
    /// `linux_binprm.file`
    pub binprm_file: u32,
    /// `linux_binprm.filename`
    pub binprm_filename: u32,
    /// `linux_binprm.interp`
    pub binprm_interp: u32,
    /// `file.f_inode`
    pub file_inode: u32,
    /// `inode.i_ino`
    pub inode_ino: u32,
    /// `inode.i_sb`
    pub inode_sb: u32,
    /// `super_block.s_dev`
    pub sb_dev: u32,
    /// `e_machine` of the node.
    pub native_machine: u32,
    /// `EI_CLASS` of the node.
    pub native_class: u32,
    /// 1 if the header hook is attached.
    pub header_hook: u32,
    /// `file.f_path.mnt`
    pub file_mnt: u32,
    /// `file.f_path.dentry`
    pub file_dentry: u32,
    /// `task_struct.pid`
    pub task_pid: u32,
    /// `task_struct.tgid`
    pub task_tgid: u32,
    /// `task_struct.real_parent`
    pub task_real_parent: u32,
    /// `task_struct.se.sum_exec_runtime`
    pub task_runtime: u32,
    /// `inode.i_size`
    pub inode_size: u32,
    /// `task_struct.mm`
    pub task_mm: u32,
    /// `mm_struct.exe_file`
    pub mm_exe_file: u32,
    /// `mm_struct.start_code`
    pub mm_start_code: u32,
    /// `mm_struct.end_code`
    pub mm_end_code: u32,
    /// `kernel_siginfo.si_code`
    pub siginfo_code: u32,
    /// `kernel_siginfo._sifields._sigfault._addr`
    pub siginfo_addr: u32,
    /// `kernel_siginfo._sifields._kill._pid`
    pub siginfo_pid: u32,
    /// `k_sigaction.sa.sa_handler`
    pub sigaction_handler: u32,
    /// `task_struct.signal`
    pub task_signal: u32,
    /// `signal_struct.pids`
    pub signal_pids: u32,
    /// `pid.level`
    pub pid_level: u32,
    /// `pid.numbers`
    pub pid_numbers: u32,
    /// `cgroup.kn`
    pub cgroup_kn: u32,
    /// `kernfs_node.id`
    pub kernfs_id: u32,
    /// `cgroup.root`
    pub cgroup_root: u32,
    /// `cgroup_root.hierarchy_id`
    pub root_hierarchy: u32,
    /// `task_struct.fs`
    pub task_fs: u32,
    /// `fs_struct.root.mnt`
    pub fs_root_mnt: u32,
    /// `fs_struct.root.dentry`
    pub fs_root_dentry: u32,
    /// `dentry.d_parent`
    pub dentry_parent: u32,
    /// `dentry.d_name.name`
    pub dentry_name: u32,
    /// `vfsmount.mnt_root`
    pub vfsmount_root: u32,
    /// `mount.mnt`
    pub mount_mnt: u32,
    /// `mount.mnt_parent`
    pub mount_parent: u32,
    /// `mount.mnt_mountpoint`
    pub mount_mountpoint: u32,
    /// Arguments of `bprm_execve`: 4 before Linux 6.8, 1 since.
    pub bprm_execve_args: u32,
    /// Thread group id of the agent: failing execs of its children prove the hooks.
    pub agent_tgid: u32,
    /// 1 if the walk from a file to its path is possible.
    pub can_walk: u32,
    /// 1 if the kernel has the helper `bpf_task_pt_regs` (Linux 5.15).
    pub has_task_pt_regs: u32,
    /// Seed of the hashes of names: containers choose the names.
    pub hash_seed: u64,
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

/// Hashes names for [`ident::HASHED`] keys: `bytes` zero-padded to whole words.
///
/// A multiply-and-rotate hash with a secret seed; good enough to tell names apart, and short
/// enough for the verifier.
#[must_use]
#[inline(always)]
pub fn hash_words<const N: usize>(seed: u64, words: &[u64; N]) -> u64 {
    let mut hash = seed;
    let mut i = 0;
    while i < N {
        hash = (hash.rotate_left(5) ^ words[i]).wrapping_mul(0x517c_c1b7_2722_0a95);
        i += 1;
    }
    hash ^ (hash >> 32)
}

/// [`hash_words`] of an interpreter string, as the programs compute it.
#[must_use]
pub fn hash_interpreter(seed: u64, name: &[u8]) -> u64 {
    let mut words = [0_u64; INTERP_LEN / 8];
    // The kernel's copy ends with a NUL within INTERP_LEN.
    for (i, byte) in name.iter().take(INTERP_LEN - 1).enumerate() {
        words[i / 8] |= u64::from(*byte) << (8 * (i % 8));
    }
    hash_words(seed, &words)
}

const _: () = {
    use core::mem::{align_of, offset_of, size_of};
    assert!(size_of::<CellKey>() == 24);
    assert!(offset_of!(CellKey, machine) == 20);
    assert!(size_of::<NativeCell>() == 24);
    assert!(size_of::<HotCell>() == 32);
    assert!(HOT_SLOTS.is_power_of_two());
    assert!(size_of::<ForeignCell>() == 48);
    assert!(size_of::<TrackedTask>() == 48);
    assert!(offset_of!(TrackedTask, leader) == 40);
    assert!(size_of::<Interpreter>() == 8);
    assert!(size_of::<FileKey>() == 16);
    assert!(size_of::<IllegalCell>() == 16);
    assert!(offset_of!(Record, tag) == 0 && offset_of!(Signal, tag) == 0);
    assert!(offset_of!(Record, head) == 72);
    assert!(offset_of!(Record, comm) == 136);
    assert!(offset_of!(Record, interp) == 152);
    assert!(size_of::<Record>() == 408 && align_of::<Record>() == 8);
    assert!(offset_of!(Signal, code_bytes) == 88);
    assert!(size_of::<Signal>() == 120 && align_of::<Signal>() == 8);
    assert!(offset_of!(Cgroup, tag) == 0 && size_of::<Cgroup>() == 16);
    assert!(offset_of!(Flight, size) == 24);
    assert!(size_of::<Flight>() == 1376);
    assert!(size_of::<Config>() == 200);
    assert!(
        cfg!(target_endian = "little"),
        "interpreter strings are hashed as little-endian words"
    );
};

#[cfg(test)]
mod tests {
    use super::hash_interpreter;

    #[test]
    fn interpreters_hash_apart_and_are_cut_where_the_kernel_cuts_them() {
        let long = [b'a'; 300];
        assert_ne!(
            hash_interpreter(1, b"/bin/sh"),
            hash_interpreter(1, b"/bin/sh2")
        );
        assert_ne!(
            hash_interpreter(1, b"/bin/sh"),
            hash_interpreter(2, b"/bin/sh")
        );
        assert_eq!(
            hash_interpreter(1, &long),
            hash_interpreter(1, &long[..255])
        );
    }
}
