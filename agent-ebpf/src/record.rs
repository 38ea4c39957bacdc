//! Puts a record together and sends it.

use archtrace_ebpf::abi::{
    CellKey, Flight, HEAD_LEN, INTERP_LEN, PATH_LEN, Record, UNKNOWN_SIZE, path_kind, stat, tag,
};
use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_probe_read_kernel,
    bpf_probe_read_kernel_str, bpf_probe_read_user_str,
};

use crate::kernel::{Probed, Read as _, file_size};
use crate::state::{RECORDS, Scratch, Slot, config, count, scratch};
use crate::walk;

/// Where the guest's name is to be had.
#[derive(Clone, Copy)]
pub(crate) enum Name {
    /// A string in kernel memory, and the file it led to.
    Kernel { string: *const u8, file: *const u8 },
    /// A string in the memory of the current process; its file is not known.
    User(*const u8),
    /// It was remembered when the guest was seen.
    Flight(*const Flight),
}

/// Where the first bytes of the file are to be had.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// `linux_binprm`: those of the last pass.
    Pass(*const u8),
    /// They were remembered when the guest was seen.
    Flight(*const Flight),
    /// Nowhere.
    Unknown,
}

/// What a record says beside names.
pub(crate) struct Facts {
    pub(crate) key: CellKey,
    pub(crate) count: u64,
    pub(crate) errno: i32,
    pub(crate) head: Start,
    /// `linux_binprm.interp`, or null where nothing was put in front.
    pub(crate) interp: *const u8,
    pub(crate) name: Name,
}

/// Sends a record; whether it went out.
#[inline(always)]
pub(crate) fn send(slot: Slot, facts: &Facts) -> bool {
    let Some(scratch) = scratch(slot) else {
        return false;
    };
    // SAFETY: a per-CPU map value that only this program uses while it runs (see `Slot`); reads
    // of kernel memory fail softly and are bounded by the sizes of the fields.
    unsafe {
        let record = &raw mut (*scratch).record;
        (*record).tag = tag::EXEC;
        (*record).time_ns = bpf_ktime_get_ns();
        (*record).key = facts.key;
        (*record).count = facts.count;
        (*record).pid = (bpf_get_current_pid_tgid() >> 32) as u32;
        (*record).errno = facts.errno;
        bpf_get_current_comm(
            (&raw mut (*record).comm).cast(),
            size_of_val(&(*record).comm) as u32,
        );
        head(record, facts.head);
        interp(record, facts.interp);
        let len = path(scratch, facts.name);
        output(scratch, len)
    }
}

/// # Safety
/// `record` must be valid for writes.
#[inline(always)]
unsafe fn head(record: *mut Record, start: Start) {
    // SAFETY: the caller's; `buf` is longer than `head`, and a flight's is as long.
    unsafe {
        let head = &raw mut (*record).head;
        (*record).size = UNKNOWN_SIZE;
        match start {
            Start::Pass(bprm) => {
                let buf = bprm.add(config!(binprm_buf) as usize);
                bpf_probe_read_kernel(head.cast(), HEAD_LEN as u32, buf.cast());
                let file: *const u8 = Probed::get(bprm, config!(binprm_file));
                (*record).size = file_size(file);
            }
            Start::Flight(flight) => {
                let from = &raw const (*flight).head;
                bpf_probe_read_kernel(head.cast(), HEAD_LEN as u32, from.cast());
                (*record).size = (*flight).size;
            }
            Start::Unknown => (*head) = [0; HEAD_LEN],
        }
    }
}

/// # Safety
/// `record` must be valid for writes.
#[inline(always)]
unsafe fn interp(record: *mut Record, interp: *const u8) {
    // SAFETY: the caller's; the string is cut at the field's size and ends with a NUL.
    unsafe {
        (*record).interpreted = u8::from(!interp.is_null());
        (*record).interp_len = 0;
        if !interp.is_null() {
            let field = &raw mut (*record).interp;
            let got = bpf_probe_read_kernel_str(field.cast(), INTERP_LEN as u32, interp.cast());
            (*record).interp_len = if got > 0 { got as u32 - 1 } else { 0 };
        }
    }
}

/// Writes the guest's name behind the record; its length.
///
/// # Safety
/// `scratch` must be valid for writes.
#[inline(always)]
unsafe fn path(scratch: *mut Scratch, name: Name) -> usize {
    // SAFETY: the caller's; every read is bounded by the field it goes to.
    unsafe {
        let record = &raw mut (*scratch).record;
        let out: *mut u8 = (&raw mut (*scratch).path).cast();
        let (len, kind) = match name {
            Name::User(string) => {
                let got = bpf_probe_read_user_str(out.cast(), PATH_LEN as u32, string.cast());
                (without_nul(got), path_kind::GIVEN)
            }
            Name::Flight(flight) => {
                let len = (*flight).path_len as usize;
                let len = if len > size_of_val(&(*flight).path) {
                    0
                } else {
                    len
                };
                let size = size_of_val(&(*flight).path) as u32;
                bpf_probe_read_kernel(out.cast(), size, (&raw const (*flight).path).cast());
                (len, (*flight).path_kind)
            }
            Name::Kernel { string, file } => {
                let got = bpf_probe_read_kernel_str(out.cast(), PATH_LEN as u32, string.cast());
                let given = (without_nul(got), path_kind::GIVEN);
                if !needs_walk(out) || file.is_null() {
                    given
                } else {
                    let walked = walk::components::<PATH_LEN>(file, out);
                    if walked.kind == path_kind::NONE {
                        given
                    } else {
                        (walked.len, walked.kind)
                    }
                }
            }
        };
        // The last name of a walk may overshoot.
        let len = if len > PATH_LEN { PATH_LEN } else { len };
        (*record).path_len = len as u16;
        (*record).path_kind = kind;
        len
    }
}

/// Whether a name means nothing without the process that used it: it is relative, or leads
/// through `/proc` or `/dev/fd` (which is also how the kernel names `execveat` on a descriptor).
///
/// # Safety
/// `name` must point to at least 8 readable bytes.
#[inline(always)]
pub(crate) unsafe fn needs_walk(name: *const u8) -> bool {
    // SAFETY: the caller's.
    unsafe {
        let start = name.cast::<u64>().read_unaligned();
        const PROC: u64 = u64::from_le_bytes(*b"/proc/\0\0");
        const DEV_FD: u64 = u64::from_le_bytes(*b"/dev/fd/");
        start as u8 != b'/' || start & 0xffff_ffff_ffff == PROC || start == DEV_FD
    }
}

#[inline(always)]
fn without_nul(got: i64) -> usize {
    if got > 0 && got <= PATH_LEN as i64 {
        got as usize - 1
    } else {
        0
    }
}

#[inline(always)]
unsafe fn output(scratch: *mut Scratch, len: usize) -> bool {
    let mut len = len;
    if len > PATH_LEN {
        len = PATH_LEN;
    }
    // SAFETY: the record and its path are adjacent (`repr(C)`, and the record's size is a multiple
    // of its alignment), and `len` is within the path.
    let bytes =
        unsafe { core::slice::from_raw_parts(scratch.cast::<u8>(), size_of::<Record>() + len) };
    let sent = RECORDS.output::<[u8]>(bytes, 0).is_ok();
    count(if sent { stat::RECORDS } else { stat::LOST_RING });
    sent
}
