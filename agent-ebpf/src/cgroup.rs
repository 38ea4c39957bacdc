//! A cgroup is made: its name, before anything runs in it.

use archtrace_ebpf::abi::{Cgroup, PATH_LEN, stat, tag};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;

use crate::kernel::{Probed, Read as _};
use crate::state::{RECORDS, cgroup_scratch, config, count};

/// `cgroup` is the new `struct cgroup`, `path` its path in its hierarchy. Tells of those in the v2
/// hierarchy, which is the first that the kernel makes (`cgroup_init`, kernel/cgroup/cgroup.c).
#[inline(always)]
pub(crate) fn on_made(cgroup: *const u8, path: *const u8) {
    const V2: i32 = 0;
    // SAFETY: the tracepoint hands over a cgroup that lives, with its directory and root.
    let (hierarchy, id): (i32, u64) = unsafe {
        let root: *const u8 = Probed::get(cgroup, config!(cgroup_root));
        let directory: *const u8 = Probed::get(cgroup, config!(cgroup_kn));
        (
            Probed::get(root, config!(root_hierarchy)),
            Probed::get(directory, config!(kernfs_id)),
        )
    };
    if hierarchy != V2 {
        return;
    }
    let Some(scratch) = cgroup_scratch() else {
        return;
    };
    // SAFETY: a per-CPU map value that only this program uses while it runs; the string is read with
    // a bound, and `len` is within the path.
    unsafe {
        let out = &raw mut (*scratch).path;
        let got = bpf_probe_read_kernel_str(out.cast(), PATH_LEN as u32, path.cast());
        let mut len = if got > 0 { got as usize - 1 } else { 0 };
        if len > PATH_LEN {
            len = PATH_LEN;
        }
        (*scratch).made = Cgroup {
            tag: tag::CGROUP,
            path_len: len as u32,
            id,
        };
        let bytes = core::slice::from_raw_parts(scratch.cast::<u8>(), size_of::<Cgroup>() + len);
        let sent = RECORDS.output::<[u8]>(bytes, 0).is_ok();
        count(if sent { stat::RECORDS } else { stat::LOST_RING });
    }
}
