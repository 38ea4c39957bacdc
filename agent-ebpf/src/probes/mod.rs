//! One hook per file: a thin entry that reads its arguments and calls what the hooks share.

mod cgroup;
mod exec;
mod failure_fexit;
mod failure_kretprobe;
mod failure_syscall;
mod fork;
mod free;
mod header_fentry;
mod header_kprobe;
mod iter_tasks;
mod signal;
