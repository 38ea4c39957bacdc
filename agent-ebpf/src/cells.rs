//! Counts execs, and decides which of them are told at once.
//!
//! The maps hold the truth; records only give names to their keys. So a record that is lost costs
//! a name for a second, never a count.

use archtrace_ebpf::abi::{CellKey, ForeignCell, NativeCell, mode, stat};
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;

use crate::kernel::add;
use crate::state::{CLAIMED, FOREIGN, HOT, NATIVE, NOT_FOUND, count};

/// Least time between two records of one key.
pub(crate) const RECORD_INTERVAL_NS: u64 = 1_000_000_000;

/// A record that is due: what it says of its counter, and where to note that it was sent.
pub(crate) struct Due {
    pub(crate) count: u64,
    pub(crate) sent_ns: *mut u64,
}

/// Counts an exec. If a record is due, the caller sends it and then calls [`told`].
#[inline(always)]
pub(crate) fn exec(key: &CellKey) -> Option<Due> {
    if key.mode == mode::NATIVE {
        native(key)
    } else {
        foreign(key)
    }
}

/// Remembers that a record went out. Two CPUs may both send one: atomic exchange needs Linux 5.12,
/// and a record too many costs nothing.
#[inline(always)]
pub(crate) fn told(sent_ns: *mut u64) {
    // SAFETY: points into a map value; elements of preallocated maps stay in place, and the agent
    // removes none that is in use.
    unsafe { *sent_ns = bpf_ktime_get_ns() };
}

/// Counts an exec of a native binary that has its place in the table; whether it has.
#[inline(always)]
pub(crate) fn hot(words: &[u64; 3]) -> bool {
    let Some(cell) = HOT.get_ptr_mut(CellKey::hot_slot(words)) else {
        return false;
    };
    // SAFETY: as in `told`. A key that is just being written does not compare equal, and counts in
    // the hash map once more.
    unsafe {
        // Word by word: the compiler would call a loop over bytes.
        let key = &raw const (*cell).key;
        if (*key)[0] != words[0] || (*key)[1] != words[1] || (*key)[2] != words[2] {
            return false;
        }
        add(&raw mut (*cell).count, 1);
    }
    true
}

/// Gives a native binary its place in the table, if nobody has that.
#[inline(always)]
fn claim(key: &CellKey) {
    let words = key.words();
    let slot = CellKey::hot_slot(&words);
    if CLAIMED.insert(slot, 1, u64::from(BPF_NOEXIST)).is_ok()
        && let Some(cell) = HOT.get_ptr_mut(slot)
    {
        // SAFETY: as in `told`; of all programs on all CPUs only this one got the slot.
        unsafe { (*cell).key = words };
    }
}

/// Of a native binary, only the first is told.
#[inline(always)]
fn native(key: &CellKey) -> Option<Due> {
    let cell = match NATIVE.get_ptr_mut(key) {
        Some(cell) => cell,
        None => {
            // Somebody else may have been first; then the insert fails and the look-up finds it.
            let _ = NATIVE.insert(
                key,
                NativeCell {
                    count: 0,
                    sent_ns: 0,
                    tried: 0,
                },
                u64::from(BPF_NOEXIST),
            );
            let Some(cell) = NATIVE.get_ptr_mut(key) else {
                count(stat::OTHER_NATIVE);
                return None;
            };
            cell
        }
    };
    // SAFETY: as in `told`.
    unsafe {
        add(&raw mut (*cell).count, 1);
        if (*cell).sent_ns == 0 {
            return Some(Due {
                count: (*cell).count,
                sent_ns: &raw mut (*cell).sent_ns,
            });
        }
        // It has its name.
        if (*cell).tried == 0 {
            (*cell).tried = 1;
            claim(key);
        }
        None
    }
}

/// Of any other, one a second; of an emulator that was started directly, each: what the process is
/// about to map is known to the process only.
#[inline(always)]
fn foreign(key: &CellKey) -> Option<Due> {
    let cell = foreign_cell(key)?;
    // SAFETY: as in `told`.
    unsafe {
        let now = bpf_ktime_get_ns();
        add(&raw mut (*cell).count, 1);
        (*cell).last_ns = now;
        let sent = (*cell).sent_ns;
        let late = sent == 0 || now.wrapping_sub(sent) >= RECORD_INTERVAL_NS;
        if late || key.mode == mode::DIRECT {
            return Some(Due {
                count: (*cell).count,
                sent_ns: &raw mut (*cell).sent_ns,
            });
        }
        add(&raw mut (*cell).suppressed, 1);
    }
    None
}

/// Counts an exec of a name that may not be there. A record is due for a new one, and then seldom: what
/// is not there will not come soon.
#[inline(always)]
pub(crate) fn not_found(key: &CellKey) -> Option<Due> {
    const INTERVAL_NS: u64 = 10_000_000_000;
    if NOT_FOUND.get_ptr(key).is_none() {
        let _ = NOT_FOUND.insert(key, FRESH, u64::from(BPF_NOEXIST));
    }
    let cell = NOT_FOUND.get_ptr_mut(key)?;
    // SAFETY: as in `told`; the memory of one that is pushed out stays the map's.
    unsafe {
        let now = bpf_ktime_get_ns();
        add(&raw mut (*cell).count, 1);
        (*cell).last_ns = now;
        let sent = (*cell).sent_ns;
        (sent == 0 || now.wrapping_sub(sent) >= INTERVAL_NS).then_some(Due {
            count: (*cell).count,
            sent_ns: &raw mut (*cell).sent_ns,
        })
    }
}

/// A cell that has counted nothing.
const FRESH: ForeignCell = ForeignCell {
    count: 0,
    suppressed: 0,
    cpu_ns: 0,
    processes: 0,
    last_ns: 0,
    sent_ns: 0,
};

/// The cell of a key, made if there is none.
#[inline(always)]
pub(crate) fn foreign_cell(key: &CellKey) -> Option<*mut ForeignCell> {
    if let Some(cell) = FOREIGN.get_ptr_mut(key) {
        return Some(cell);
    }
    let _ = FOREIGN.insert(key, FRESH, u64::from(BPF_NOEXIST));
    let cell = FOREIGN.get_ptr_mut(key);
    if cell.is_none() {
        count(stat::OTHER_FOREIGN);
    }
    cell
}

/// A process of this cell more (`1`) or less (`-1` as two's complement).
#[inline(always)]
pub(crate) fn add_process(cell: *mut ForeignCell, change: i64) {
    // SAFETY: as in `told`.
    unsafe { add(&raw mut (*cell).processes, change as u64) };
}

/// CPU time of this cell.
#[inline(always)]
pub(crate) fn add_cpu(cell: *mut ForeignCell, ns: u64) {
    // SAFETY: as in `told`.
    unsafe { add(&raw mut (*cell).cpu_ns, ns) };
}
