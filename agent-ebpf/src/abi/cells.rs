//! What maps count, and by what.

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
    /// One of [`super::mode`].
    pub mode: u8,
    /// See [`super::ident`].
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

    /// Its slot. Whoever makes keys collide only makes their own execs slower.
    #[must_use]
    #[inline(always)]
    pub const fn hot_slot(words: &[u64; 3]) -> u32 {
        slot_of(words[0].wrapping_mul(GOLDEN) ^ words[1], HOT_SLOTS)
    }
}

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The slot of a number in a table of so many, a power of two: Fibonacci hashing.
#[must_use]
#[inline(always)]
pub const fn slot_of(number: u64, slots: u32) -> u32 {
    (number.wrapping_mul(GOLDEN) >> (64 - slots.trailing_zeros())) as u32
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
    /// What it used since, when last sampled, in nanoseconds.
    pub live_ns: u64,
    /// 1 if it stands for its thread group.
    pub leader: u32,
    #[expect(missing_docs, reason = "padding")]
    pub _pad: u32,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<CellKey>() == 24);
    assert!(offset_of!(CellKey, machine) == 20);
    assert!(size_of::<NativeCell>() == 24);
    assert!(size_of::<HotCell>() == 32);
    assert!(HOT_SLOTS.is_power_of_two());
    assert!(size_of::<ForeignCell>() == 48);
    assert!(size_of::<FileKey>() == 16);
    assert!(size_of::<IllegalCell>() == 16);
    assert!(size_of::<TrackedTask>() == 48);
    assert!(offset_of!(TrackedTask, leader) == 40);
};
