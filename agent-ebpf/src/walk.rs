//! From an open file to its path, as the process that executes it would name it.
//!
//! `bpf_d_path` may only be called from a few functions, and none of them is on the way of an
//! exec. So this walks as `prepend_path` (fs/d_path.c) does: from the file's directory entry to
//! the root of its mount, from there to the mount point, until the root of the process.

use archtrace_ebpf::abi::{INTERP_LEN, path_kind};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;

use crate::kernel::{Probed, Read as _, current};
use crate::state::config;

/// Deepest path that is walked, in directory entries and mounts.
const STEPS: usize = 40;

/// What the walk found out.
pub(crate) struct Walked {
    pub(crate) len: usize,
    pub(crate) kind: u8,
}

/// Writes the names from `file` up to the root of the current process to `out`, each with its NUL.
/// The buffer must be [`INTERP_LEN`] bytes longer than `LIMIT`, a power of two.
#[inline(always)]
pub(crate) fn components<const LIMIT: usize>(file: *const u8, out: *mut u8) -> Walked {
    let nothing = Walked {
        len: 0,
        kind: path_kind::NONE,
    };
    if config!(can_walk) == 0 {
        return nothing;
    }
    let mut len = 0_usize;
    // SAFETY: probe reads fail softly; the file is held by the exec that is going on, and with it
    // its directory entry and mount. Names are read with a bound and end with a NUL.
    unsafe {
        let fs: *const u8 = Probed::get(current() as *const u8, config!(task_fs));
        let root_mnt: *const u8 = Probed::get(fs, config!(fs_root_mnt));
        let root: *const u8 = Probed::get(fs, config!(fs_root_dentry));
        let mut mnt: *const u8 = Probed::get(file, config!(file_mnt));
        let mut dentry: *const u8 = Probed::get(file, config!(file_dentry));
        for _ in 0..STEPS {
            len = masked::<LIMIT>(len);
            if dentry == root && mnt == root_mnt {
                return Walked {
                    len,
                    kind: path_kind::COMPONENTS,
                };
            }
            let mnt_root: *const u8 = Probed::get(mnt, config!(vfsmount_root));
            if dentry == mnt_root {
                let mount = mnt.wrapping_sub(config!(mount_mnt) as usize);
                let parent: *const u8 = Probed::get(mount, config!(mount_parent));
                if parent == mount || parent.is_null() {
                    // The root of all, outside of the process's own: as far as it goes.
                    return Walked {
                        len,
                        kind: path_kind::COMPONENTS,
                    };
                }
                dentry = Probed::get(mount, config!(mount_mountpoint));
                mnt = parent.wrapping_add(config!(mount_mnt) as usize);
                continue;
            }
            let parent: *const u8 = Probed::get(dentry, config!(dentry_parent));
            let name: *const u8 = Probed::get(dentry, config!(dentry_name));
            let got =
                bpf_probe_read_kernel_str(out.add(len).cast(), INTERP_LEN as u32, name.cast());
            if got <= 0 || got > INTERP_LEN as i64 {
                break;
            }
            len += got as usize;
            // Its own parent, but no mount's root: a file of the kernel's own, such as a memfd, which
            // has a name and no path.
            if parent == dentry || parent.is_null() || len >= LIMIT {
                break;
            }
            dentry = parent;
        }
    }
    Walked {
        len,
        kind: path_kind::TRUNCATED,
    }
}

/// `len % LIMIT`, which is `len`: with the mask, the verifier knows the same of every iteration and
/// looks at each only once. In assembler, because the compiler would leave it out.
#[inline(always)]
fn masked<const LIMIT: usize>(len: usize) -> usize {
    const { assert!(LIMIT.is_power_of_two()) };
    let mut len = len;
    // SAFETY: arithmetic on one register.
    unsafe {
        core::arch::asm!(
            "{len} &= {mask}",
            len = inout(reg) len,
            mask = const LIMIT - 1,
            options(pure, nomem, nostack),
        );
    }
    len
}
