//! A process that dies of SIGILL.

use archtrace_ebpf::abi::{CODE_LEN, CellKey, IllegalCell, PATH_LEN, Signal, mode, stat, tag};
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_ktime_get_ns,
    bpf_probe_read_user,
};

use crate::cells::RECORD_INTERVAL_NS;
use crate::kernel::{Probed, Read as _, add, current, file_id};
use crate::state::{
    ILLEGAL, RECORDS, SignalScratch, TASKS, anything_alive, config, count, signal_scratch,
};
use crate::walk;

/// Smallest page; what starts within one and is cut at its end is read up to there.
const PAGE: u64 = 4096;

/// SIGILL is about to be delivered to the current process; `info` is the `kernel_siginfo`, `action`
/// the `k_sigaction`. Only death counts: a handler is how libraries probe the CPU.
#[inline(always)]
pub(crate) fn on_illegal(info: *const u8, action: *const u8) {
    const SIG_DFL: u64 = 0;
    // SAFETY: both live while the signal is delivered; probe reads fail softly.
    let handler: u64 = unsafe { Probed::get(action, config!(sigaction_handler)) };
    if handler != SIG_DFL {
        return;
    }
    let Some(scratch) = signal_scratch() else {
        return;
    };
    let (key, file) = who();
    let Some(deaths) = due(&key) else {
        return;
    };
    // SAFETY: a per-CPU map value that only this program uses while it runs, once at a time; reads
    // are bounded by the fields they go to.
    unsafe {
        let signal = &raw mut (*scratch).signal;
        (*signal).tag = tag::SIGNAL;
        (*signal).pid = (bpf_get_current_pid_tgid() >> 32) as u32;
        (*signal).time_ns = bpf_ktime_get_ns();
        (*signal).key = key;
        (*signal).count = deaths;
        (*signal).code = Probed::get(info, config!(siginfo_code));
        (*signal).address = 0;
        (*signal).sender = 0;
        (*signal).own = own_pid();
        (*signal).code_len = 0;
        let mm: *const u8 = Probed::get(current() as *const u8, config!(task_mm));
        (*signal).start_code = Probed::get(mm, config!(mm_start_code));
        (*signal).end_code = Probed::get(mm, config!(mm_end_code));
        if (*signal).code > 0 {
            (*signal).address = Probed::get(info, config!(siginfo_addr));
            read_code(signal);
        } else {
            (*signal).sender = Probed::get(info, config!(siginfo_pid));
        }
        let comm = &raw mut (*signal).comm;
        bpf_get_current_comm(comm.cast(), size_of_val(&*comm) as u32);
        output(scratch, file);
    }
}

/// The key of the current process, and its executable.
#[inline(always)]
fn who() -> (CellKey, *const u8) {
    let task = current();
    // SAFETY: the current task keeps its address space and that its executable.
    let (file, cgroup): (*const u8, u64) = unsafe {
        let mm: *const u8 = Probed::get(task as *const u8, config!(task_mm));
        (
            Probed::get(mm, config!(mm_exe_file)),
            bpf_get_current_cgroup_id(),
        )
    };
    if anything_alive()
        && let Some(entry) = TASKS.get_ptr(task)
    {
        // SAFETY: a map value that only this task's own events write.
        return (unsafe { (*entry).key }, file);
    }
    let id = file_id::<Probed>(file);
    let key = CellKey {
        cgroup,
        inode: id.inode,
        dev: id.dev,
        machine: 0,
        mode: mode::ILLEGAL,
        ident: 0,
    };
    (key, file)
}

/// The current process's id in its own pid namespace: the one that `si_pid` is in (`pid_nr_ns`,
/// kernel/pid.c).
#[inline(always)]
fn own_pid() -> u32 {
    /// `PIDTYPE_TGID` (include/linux/pid_types.h), as an offset among pointers.
    const TGID: usize = 8;
    /// `sizeof(struct upid)`, whose first field is the number.
    const UPID: usize = 16;
    /// `MAX_PID_NS_LEVEL` (include/linux/pid_namespace.h).
    const DEEPEST: u32 = 32;
    // SAFETY: the current task is alive, and with it its ids; probe reads fail softly.
    unsafe {
        let shared: *const u8 = Probed::get(current() as *const u8, config!(task_signal));
        let pid: *const u8 = Probed::get(shared.wrapping_add(TGID), config!(signal_pids));
        let level: u32 = Probed::get(pid, config!(pid_level));
        let level = if level > DEEPEST { 0 } else { level as usize };
        Probed::get(pid.wrapping_add(level * UPID), config!(pid_numbers))
    }
}

/// Counts a death; how many there were, if that is to be told now.
#[inline(always)]
fn due(key: &CellKey) -> Option<u64> {
    if ILLEGAL.get_ptr(key).is_none() {
        let fresh = IllegalCell {
            count: 0,
            sent_ns: 0,
        };
        let _ = ILLEGAL.insert(key, fresh, u64::from(BPF_NOEXIST));
    }
    let Some(cell) = ILLEGAL.get_ptr_mut(key) else {
        count(stat::OTHER_FOREIGN);
        return None;
    };
    // SAFETY: a map value; if it is pushed out meanwhile, its memory stays the map's.
    unsafe {
        let now = bpf_ktime_get_ns();
        add(&raw mut (*cell).count, 1);
        let sent = (*cell).sent_ns;
        if sent != 0 && now.wrapping_sub(sent) < RECORD_INTERVAL_NS {
            return None;
        }
        (*cell).sent_ns = now;
        Some((*cell).count)
    }
}

/// Reads the instruction, up to the end of its page if the next is not there.
///
/// # Safety
/// `signal` must be valid for writes.
#[inline(always)]
unsafe fn read_code(signal: *mut Signal) {
    // SAFETY: the caller's; the helper checks the source, and the length is bounded.
    unsafe {
        let address = (*signal).address;
        let out = &raw mut (*signal).code_bytes;
        if bpf_probe_read_user(out.cast(), CODE_LEN as u32, address as *const _) == 0 {
            (*signal).code_len = CODE_LEN as u8;
            return;
        }
        let rest = PAGE - (address & (PAGE - 1));
        if rest < CODE_LEN as u64
            && bpf_probe_read_user(out.cast(), (rest & 15) as u32, address as *const _) == 0
        {
            (*signal).code_len = rest as u8;
        }
    }
}

/// Sends the record with the path of the executable behind it.
///
/// # Safety
/// `scratch` must be valid for writes.
#[inline(always)]
unsafe fn output(scratch: *mut SignalScratch, file: *const u8) {
    // SAFETY: the caller's; record and path are adjacent (`repr(C)`, and the record's size is a
    // multiple of its alignment), and `len` is within the path.
    unsafe {
        let out: *mut u8 = (&raw mut (*scratch).path).cast();
        let walked = walk::components::<PATH_LEN>(file, out);
        let mut len = walked.len;
        if len > PATH_LEN {
            len = PATH_LEN;
        }
        let signal = &raw mut (*scratch).signal;
        (*signal).path_len = len as u16;
        (*signal).path_kind = walked.kind;
        let bytes = core::slice::from_raw_parts(scratch.cast::<u8>(), size_of::<Signal>() + len);
        let sent = RECORDS.output::<[u8]>(bytes, 0).is_ok();
        count(if sent { stat::RECORDS } else { stat::LOST_RING });
    }
}
