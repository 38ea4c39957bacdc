//! What the agent tells the programs.

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

const _: () = assert!(size_of::<Config>() == 200);
