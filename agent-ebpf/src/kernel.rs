//! Reads of kernel memory, typed where the verifier knows the type, probed elsewhere.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_probe_read_kernel};

use crate::state::config;

/// How kernel memory is read. Typed loads cost a fifth of probe reads, but only programs with BTF
/// (tp_btf, fentry, fexit, iterators) may do them.
pub(crate) trait Read {
    /// Reads a `T` at `offset` bytes behind `base`; zeros where that is not mapped.
    ///
    /// # Safety
    /// `T` must be an integer or pointer, or for [`Probed`] an array of these. For [`Typed`], `base`
    /// must come from the context or from another typed read, and `offset` from the configuration.
    unsafe fn get<T: Copy>(base: *const u8, offset: u32) -> T;

    /// The first eight bytes at `offset` behind `base`, and the four behind the first 16.
    ///
    /// # Safety
    /// As for [`Read::get`]; 24 bytes must be there.
    #[inline(always)]
    unsafe fn head(base: *const u8, offset: u32) -> (u64, u32) {
        // SAFETY: the caller's.
        unsafe { (Self::get(base, offset), Self::get(base, offset + 16)) }
    }
}

/// Direct loads through a pointer whose type the verifier knows.
pub(crate) struct Typed;
/// `bpf_probe_read_kernel`.
pub(crate) struct Probed;

impl Read for Typed {
    #[inline(always)]
    unsafe fn get<T: Copy>(base: *const u8, offset: u32) -> T {
        // SAFETY: the verifier proves the access, or rejects the program; a fault reads as zero.
        // Volatile keeps the width that the verifier checks against the type.
        unsafe { base.add(offset as usize).cast::<T>().read_volatile() }
    }
}

impl Read for Probed {
    #[inline(always)]
    unsafe fn get<T: Copy>(base: *const u8, offset: u32) -> T {
        // Zeros here would be written a byte at a time.
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the destination is as large as said; the helper checks the source, and writes all of the
        // destination: zeros if it cannot be read (bpf_probe_read_kernel_common, kernel/trace/bpf_trace.c).
        unsafe {
            bpf_probe_read_kernel(
                value.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                base.add(offset as usize).cast(),
            );
            value.assume_init()
        }
    }

    /// In one call: it costs more than what it copies.
    #[inline(always)]
    unsafe fn head(base: *const u8, offset: u32) -> (u64, u32) {
        // SAFETY: the caller's; an array of integers is as good as one.
        let [start, _, machine]: [u64; 3] = unsafe { Self::get(base, offset) };
        // The node's byte order is little-endian.
        (start, machine as u32)
    }
}

/// Which file: the inode's number and its device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) inode: u64,
    pub(crate) dev: u32,
}

/// The identity of a `struct file`.
#[inline(always)]
pub(crate) fn file_id<R: Read>(file: *const u8) -> FileId {
    // SAFETY: pointers that the kernel keeps valid while the exec that holds the file is going on.
    unsafe {
        let inode: *const u8 = R::get(file, config!(file_inode));
        let sb: *const u8 = R::get(inode, config!(inode_sb));
        FileId {
            inode: R::get(inode, config!(inode_ino)),
            dev: R::get(sb, config!(sb_dev)),
        }
    }
}

/// `inode.i_size` of an open file, in bytes.
#[inline(always)]
pub(crate) fn file_size(file: *const u8) -> u64 {
    // SAFETY: as in `file_id`, by probe reads.
    unsafe {
        let inode: *const u8 = Probed::get(file, config!(file_inode));
        Probed::get(inode, config!(inode_size))
    }
}

/// What the first 20 bytes of a file say.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    /// First four bytes, as a little-endian number.
    pub(crate) magic: u32,
    /// Class and byte order as in `abi::ident`; 0 if it is not ELF.
    pub(crate) ident: u8,
    /// In the node's byte order; 0 if it is not ELF.
    pub(crate) machine: u16,
}

const ELF_MAGIC: u32 = u32::from_le_bytes(*b"\x7fELF");

impl Head {
    /// Reads `linux_binprm.buf`, which the agent made sure is aligned to 8 bytes.
    #[inline(always)]
    pub(crate) fn of<R: Read>(bprm: *const u8) -> Self {
        let buf = config!(binprm_buf);
        // SAFETY: `buf` is 256 bytes long (`BINPRM_BUF_SIZE`).
        let (start, machine) = unsafe { R::head(bprm, buf) };
        let magic = start as u32;
        if magic != ELF_MAGIC {
            return Self {
                magic,
                ident: 0,
                machine: 0,
            };
        }
        let class = (start >> 32) as u8;
        let data = (start >> 40) as u8;
        // e_type and e_machine share this word, in the byte order that EI_DATA names.
        let machine = (machine >> 16) as u16;
        Self {
            magic,
            ident: (class & 3) | ((data & 3) << 2),
            machine: if data == 2 {
                machine.swap_bytes()
            } else {
                machine
            },
        }
    }

    #[inline(always)]
    pub(crate) fn is_elf(self) -> bool {
        self.magic == ELF_MAGIC
    }

    #[inline(always)]
    pub(crate) fn is_script(self) -> bool {
        self.magic as u16 == u16::from_le_bytes(*b"#!")
    }

    /// Whether the CPU runs it in the mode that the kernel itself runs in.
    #[inline(always)]
    pub(crate) fn is_native(self) -> bool {
        u32::from(self.machine) == config!(native_machine)
            && u32::from(self.ident) == (config!(native_class) | (1 << 2))
    }
}

/// The current task's address: what an exec in flight is known by, because its tid may change
/// under it (`de_thread`).
#[inline(always)]
pub(crate) fn current() -> u64 {
    // SAFETY: no arguments, no preconditions.
    unsafe { bpf_get_current_task() }
}

/// Whether the current task is a child of the agent: one that tries the hooks out.
#[inline(always)]
pub(crate) fn is_childs_of_agent() -> bool {
    // SAFETY: the current task and its parent are alive while a program runs in it.
    unsafe {
        let parent: *const u8 = Probed::get(current() as *const u8, config!(task_real_parent));
        let tgid: u32 = Probed::get(parent, config!(task_tgid));
        tgid == config!(agent_tgid)
    }
}

/// Adds to a number that other CPUs add to as well.
///
/// In assembler, because the compiler offers no atomic arithmetic for BPF targets. Without a
/// result it is `BPF_ATOMIC | BPF_ADD`, which every kernel has; with one it would need Linux 5.12.
///
/// # Safety
/// `value` must point into a map value, aligned to 8 bytes.
#[inline(always)]
pub(crate) unsafe fn add(value: *mut u64, by: u64) {
    // SAFETY: the caller's; the instruction touches nothing else.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({value} + 0) += {by}",
            value = in(reg) value,
            by = in(reg) by,
            options(nostack),
        );
    }
}
