//! What the programs must know of this kernel and this node before they are loaded.

use archtrace_ebpf::abi::Config;
use archtrace_facts::arch::Arch;

use super::btf::{Btf, BtfError};

/// Why the programs cannot be told where things are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OffsetsError {
    /// The BTF itself.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// aya's reading of it.
    #[error("the kernel's BTF: {0}")]
    Aya(#[from] aya::BtfError),
    /// Nothing works without this one.
    #[error("this kernel has no {0}")]
    Missing(&'static str),
}

/// The configuration, and what had to be left out.
pub(crate) struct Offsets {
    pub(crate) config: Config,
    /// What aya needs to know of the kernel's types.
    pub(crate) types: aya::Btf,
    pub(crate) missing: Vec<String>,
    /// Whether the signal hook has what it needs.
    pub(crate) sees_signals: bool,
    /// The same for the cgroup hook.
    pub(crate) sees_cgroups: bool,
}

/// Resolves every offset from `btf`, the content of [`super::btf::VMLINUX`].
///
/// # Errors
/// Malformed BTF, or a field without which no exec can be told from another.
pub(crate) fn resolve(btf: &[u8], node: Arch) -> Result<Offsets, OffsetsError> {
    let btf = Btf::parse(btf, &WANTED)?;
    let need = |path| btf.offset(path).ok_or(OffsetsError::Missing(path));
    let mut missing = Vec::new();
    let binprm_buf = need("linux_binprm.buf")?;
    if !binprm_buf.is_multiple_of(8) {
        return Err(OffsetsError::Missing("linux_binprm.buf at a multiple of 8"));
    }
    let mut config = Config {
        binprm_buf,
        binprm_file: need("linux_binprm.file")?,
        binprm_filename: need("linux_binprm.filename")?,
        binprm_interp: need("linux_binprm.interp")?,
        file_inode: need("file.f_inode")?,
        inode_ino: need("inode.i_ino")?,
        inode_sb: need("inode.i_sb")?,
        inode_size: need("inode.i_size")?,
        sb_dev: need("super_block.s_dev")?,
        task_pid: need("task_struct.pid")?,
        task_tgid: need("task_struct.tgid")?,
        task_real_parent: need("task_struct.real_parent")?,
        task_runtime: need("task_struct.se.sum_exec_runtime")?,
        bprm_execve_args: btf.arguments("bprm_execve").unwrap_or(0),
        agent_tgid: std::process::id(),
        native_machine: u32::from(node.machine()),
        native_class: 2,
        has_task_pt_regs: u32::from(btf.has_function("bpf_task_pt_regs")),
        ..Config::default()
    };
    match fields(&btf, walk(&mut config)) {
        Ok(()) => config.can_walk = 1,
        Err(path) => missing.push(format!(
            "this kernel has no {path}: relative names are shown as they were given"
        )),
    }
    let sees_signals = match fields(&btf, signal(&mut config)) {
        Ok(()) => true,
        Err(path) => {
            missing.push(format!(
                "this kernel has no {path}: deaths by SIGILL are not seen"
            ));
            false
        }
    };
    let sees_cgroups = match fields(&btf, cgroup(&mut config)) {
        Ok(()) => true,
        Err(path) => {
            missing.push(format!(
                "this kernel has no {path}: what ran in a cgroup that is gone may have no cgroup"
            ));
            false
        }
    };
    let reduced = btf.reduced(&ATTACHED).ok_or(BtfError::Malformed(0))?;
    let types = aya::Btf::parse(&reduced, aya::Endianness::default())?;
    drop(reduced);
    Ok(Offsets {
        config,
        types,
        missing,
        sees_signals,
        sees_cgroups,
    })
}

/// A field of the configuration, and what it is the offset of.
type Field<'a> = (&'a mut u32, &'static str);

/// What the walk from a file to its path needs: all or nothing.
fn walk(config: &mut Config) -> [Field<'_>; 11] {
    [
        (&mut config.file_mnt, "file.f_path.mnt"),
        (&mut config.file_dentry, "file.f_path.dentry"),
        (&mut config.task_fs, "task_struct.fs"),
        (&mut config.fs_root_mnt, "fs_struct.root.mnt"),
        (&mut config.fs_root_dentry, "fs_struct.root.dentry"),
        (&mut config.dentry_parent, "dentry.d_parent"),
        (&mut config.dentry_name, "dentry.d_name.name"),
        (&mut config.vfsmount_root, "vfsmount.mnt_root"),
        (&mut config.mount_mnt, "mount.mnt"),
        (&mut config.mount_parent, "mount.mnt_parent"),
        (&mut config.mount_mountpoint, "mount.mnt_mountpoint"),
    ]
}

/// What a death by SIGILL needs.
fn signal(config: &mut Config) -> [Field<'_>; 12] {
    [
        (&mut config.task_mm, "task_struct.mm"),
        (&mut config.mm_exe_file, "mm_struct.exe_file"),
        (&mut config.mm_start_code, "mm_struct.start_code"),
        (&mut config.mm_end_code, "mm_struct.end_code"),
        (&mut config.siginfo_code, "kernel_siginfo.si_code"),
        (
            &mut config.siginfo_addr,
            "kernel_siginfo._sifields._sigfault._addr",
        ),
        (
            &mut config.siginfo_pid,
            "kernel_siginfo._sifields._kill._pid",
        ),
        (&mut config.sigaction_handler, "k_sigaction.sa.sa_handler"),
        (&mut config.task_signal, "task_struct.signal"),
        (&mut config.signal_pids, "signal_struct.pids"),
        (&mut config.pid_level, "pid.level"),
        (&mut config.pid_numbers, "pid.numbers"),
    ]
}

/// What the name of a new cgroup needs.
fn cgroup(config: &mut Config) -> [Field<'_>; 4] {
    [
        (&mut config.cgroup_kn, "cgroup.kn"),
        (&mut config.kernfs_id, "kernfs_node.id"),
        (&mut config.cgroup_root, "cgroup.root"),
        (&mut config.root_hierarchy, "cgroup_root.hierarchy_id"),
    ]
}

/// Looks fields up; the first that this kernel has not.
fn fields<'a>(
    btf: &Btf<'_>,
    fields: impl IntoIterator<Item = Field<'a>>,
) -> Result<(), &'static str> {
    for (field, path) in fields {
        *field = btf.offset(path).ok_or(path)?;
    }
    Ok(())
}

/// What programs are attached to: functions, typedefs of tracepoints, the iterator.
const ATTACHED: [&str; 6] = [
    "security_bprm_check",
    "bprm_execve",
    "btf_trace_sched_process_exec",
    "btf_trace_sched_process_fork",
    "btf_trace_sched_process_free",
    "bpf_iter_task",
];

const WANTED: [&str; 20] = [
    "linux_binprm",
    "file",
    "inode",
    "super_block",
    "task_struct",
    "mm_struct",
    "signal_struct",
    "pid",
    "cgroup",
    "cgroup_root",
    "kernfs_node",
    "kernel_siginfo",
    "k_sigaction",
    "fs_struct",
    "dentry",
    "vfsmount",
    "mount",
    "bprm_execve",
    "bpf_task_pt_regs",
    "security_bprm_check",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_all_of_them() {
        let bytes = std::fs::read(super::super::btf::VMLINUX).expect("a kernel with BTF");
        let offsets = resolve(&bytes, Arch::Amd64).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(offsets.missing, Vec::<String>::new());
        assert_eq!(offsets.config.can_walk, 1);
    }
}
