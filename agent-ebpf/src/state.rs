//! Maps, statistics and the configuration.
//!
//! Every map is bounded and preallocated: programs that may run in any context cannot allocate.
//! The sizes are defaults; the agent's options change them before loading.

use core::sync::atomic::AtomicU64;

use archtrace_ebpf::abi::{
    CellKey, Cgroup, Config, FileKey, Flight, ForeignCell, HOT_SLOTS, HotCell, INTERP_LEN,
    IllegalCell, Interpreter, NativeCell, PATH_LEN, Record, Signal, TrackedTask, stat,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};

use crate::kernel::add;

/// Distinct native binaries x cgroups: 250 pods of 40 binaries, and a tenth for the node itself.
#[map]
pub(crate) static NATIVE: HashMap<CellKey, NativeCell> = HashMap::with_max_entries(11_264, 0);

/// Counters of native binaries that are known already, one look each.
#[map]
pub(crate) static HOT: Array<HotCell> = Array::with_max_entries(HOT_SLOTS, 0);

/// Slots of [`HOT`] that belong to somebody: of all who insert a slot's number here, one succeeds.
#[map]
pub(crate) static CLAIMED: HashMap<u32, u32> = HashMap::with_max_entries(HOT_SLOTS, 0);

/// The same for all that is not native.
#[map]
pub(crate) static FOREIGN: HashMap<CellKey, ForeignCell> = HashMap::with_max_entries(4096, 0);

/// Emulated tasks alive: a QEMU guest has two.
#[map]
pub(crate) static TASKS: HashMap<u64, TrackedTask> = HashMap::with_max_entries(4096, 0);

/// Execs of foreign files between their first pass and their end.
#[map]
pub(crate) static FLIGHTS: HashMap<u64, Flight> = HashMap::with_max_entries(320, 0);

/// What interpreter strings stand for (without the header hook only), by their hash.
#[map]
pub(crate) static INTERPRETERS: HashMap<u64, Interpreter> = HashMap::with_max_entries(1024, 0);

/// Thread groups that the agent found running emulated, for the task iterator to take in.
#[map]
pub(crate) static ADOPT: HashMap<u32, CellKey> = HashMap::with_max_entries(1024, 0);

/// Files that the agent found to be emulators.
#[map]
pub(crate) static EMULATORS: HashMap<FileKey, u32> = HashMap::with_max_entries(256, 0);

/// One number: how many there are in [`EMULATORS`], so that a node without any pays no look-up.
#[map]
static EMULATOR_COUNT: Array<u64> = Array::with_max_entries(1, 0);

/// Execs of names that the kernel did not find, or whose interpreter it did not find (tracepoints only).
#[map]
pub(crate) static NOT_FOUND: LruHashMap<CellKey, ForeignCell> =
    LruHashMap::with_max_entries(1024, 0);

/// Deaths by SIGILL. Whoever dies of it over and over under ever new names pushes out older ones.
#[map]
pub(crate) static ILLEGAL: LruHashMap<CellKey, IllegalCell> = LruHashMap::with_max_entries(1024, 0);

/// Where a [`Signal`] is put together, with room for the path behind it.
#[map]
static SIGNAL: PerCpuArray<SignalScratch> = PerCpuArray::with_max_entries(1, 0);

/// See [`SIGNAL`].
#[repr(C)]
pub(crate) struct SignalScratch {
    pub(crate) signal: Signal,
    pub(crate) path: [u8; PATH_LEN + INTERP_LEN],
}

pub(crate) fn signal_scratch() -> Option<*mut SignalScratch> {
    SIGNAL.get_ptr_mut(0)
}

/// Where a [`Cgroup`] is put together, with room for the path behind it.
#[map]
static CGROUP: PerCpuArray<CgroupScratch> = PerCpuArray::with_max_entries(1, 0);

/// See [`CGROUP`].
#[repr(C)]
pub(crate) struct CgroupScratch {
    pub(crate) made: Cgroup,
    pub(crate) path: [u8; PATH_LEN],
}

pub(crate) fn cgroup_scratch() -> Option<*mut CgroupScratch> {
    CGROUP.get_ptr_mut(0)
}

/// Whether a file is a known emulator.
#[inline(always)]
pub(crate) fn is_emulator(inode: u64, dev: u32) -> bool {
    let any = EMULATOR_COUNT.get(0).copied().unwrap_or(0) != 0;
    let file = FileKey {
        inode,
        dev,
        _pad: 0,
    };
    any && EMULATORS.get_ptr(file).is_some()
}

/// Records on their way to the agent: 1,000 at the common size of some 400 bytes.
#[map]
pub(crate) static RECORDS: RingBuf = RingBuf::with_byte_size(512 * 1024, 0);

#[map]
static STATS: PerCpuArray<u64> = PerCpuArray::with_max_entries(stat::COUNT, 0);

/// Where a record is put together. One slot for each kind of program: on a preemptible kernel one
/// program is never entered twice on a CPU, but two different ones may be.
#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(Slot::COUNT, 0);

/// A record with room for its path. A string read at its end may overshoot by one name.
#[repr(C)]
pub(crate) struct Scratch {
    pub(crate) record: Record,
    pub(crate) path: [u8; PATH_LEN + INTERP_LEN],
    pub(crate) flight: Flight,
    pub(crate) words: [u64; INTERP_LEN / 8],
}

/// Which program uses a [`Scratch`].
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Slot {
    Exec,
    Pass,
    Failure,
}

impl Slot {
    const COUNT: u32 = 3;
}

#[unsafe(no_mangle)]
pub(crate) static CONFIG: Config = Config {
    binprm_buf: 0,
    binprm_file: 0,
    binprm_filename: 0,
    binprm_interp: 0,
    file_inode: 0,
    file_mnt: 0,
    file_dentry: 0,
    inode_ino: 0,
    inode_sb: 0,
    sb_dev: 0,
    task_pid: 0,
    task_tgid: 0,
    task_real_parent: 0,
    task_runtime: 0,
    inode_size: 0,
    task_mm: 0,
    mm_exe_file: 0,
    mm_start_code: 0,
    mm_end_code: 0,
    siginfo_code: 0,
    siginfo_addr: 0,
    siginfo_pid: 0,
    sigaction_handler: 0,
    task_signal: 0,
    signal_pids: 0,
    pid_level: 0,
    pid_numbers: 0,
    cgroup_kn: 0,
    kernfs_id: 0,
    cgroup_root: 0,
    root_hierarchy: 0,
    task_fs: 0,
    fs_root_mnt: 0,
    fs_root_dentry: 0,
    dentry_parent: 0,
    dentry_name: 0,
    vfsmount_root: 0,
    mount_mnt: 0,
    mount_parent: 0,
    mount_mountpoint: 0,
    bprm_execve_args: 0,
    agent_tgid: 0,
    native_machine: 0,
    native_class: 0,
    header_hook: 0,
    can_walk: 0,
    has_task_pt_regs: 0,
    hash_seed: 0,
};

/// What every exec, fork and end of a task looks at: one cache line.
#[repr(C, align(16))]
struct Live {
    /// Entries in [`TASKS`] plus entries in [`FLIGHTS`]: while it is 0, nothing emulated is alive,
    /// and the programs on fork and free end at this one load.
    alive: AtomicU64,
    /// Whether execs are kept in [`crate::inside`]: known once the program that does so has run.
    keeps_inside: AtomicU64,
}

#[unsafe(no_mangle)]
static LIVE: Live = Live {
    alive: AtomicU64::new(0),
    keeps_inside: AtomicU64::new(0),
};

pub(crate) fn keep_inside() {
    // SAFETY: an aligned, initialised static; a plain store of eight bytes is one instruction.
    unsafe { LIVE.keeps_inside.as_ptr().write_volatile(1) };
}

pub(crate) fn keeps_inside() -> bool {
    // SAFETY: as in `keep_inside`.
    unsafe { LIVE.keeps_inside.as_ptr().read_volatile() != 0 }
}

/// Reads one field of the configuration.
macro_rules! config {
    ($field:ident) => {
        $crate::state::read(&raw const $crate::state::CONFIG.$field)
    };
}
pub(crate) use config;

/// Volatile, because the compiler would otherwise put in the zeros above; the agent replaces them
/// before the verifier sees the program.
#[inline(always)]
pub(crate) fn read<T: Copy>(field: *const T) -> T {
    // SAFETY: only called by `config!`, with a field of an initialised static that nothing writes.
    unsafe { field.read_volatile() }
}

pub(crate) fn anything_alive() -> bool {
    // SAFETY: an aligned, initialised static. LLVM has no atomic load for BPF; a plain one of eight
    // bytes is one instruction.
    unsafe { LIVE.alive.as_ptr().read_volatile() != 0 }
}

pub(crate) fn one_more_alive() {
    // SAFETY: an aligned static of this program, which the loader makes a map value.
    unsafe { add(LIVE.alive.as_ptr(), 1) };
}

pub(crate) fn one_less_alive() {
    // SAFETY: as in `one_more_alive`; adding -1 as two's complement.
    unsafe { add(LIVE.alive.as_ptr(), u64::MAX) };
}

pub(crate) fn scratch(slot: Slot) -> Option<*mut Scratch> {
    SCRATCH.get_ptr_mut(slot as u32)
}

/// Adds one to a statistic ([`stat`]).
pub(crate) fn count(index: u32) {
    if let Some(value) = STATS.get_ptr_mut(index) {
        // SAFETY: a map value that lives as long as the map; per CPU, so that a plain add loses
        // at most what an interrupting program adds in between.
        unsafe { *value += 1 };
    }
}
