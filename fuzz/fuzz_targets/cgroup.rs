//! The path of a cgroup, and the names of a process in it; NULs are between the three. All of it is also
//! read as what /proc tells of a process's cgroups.
#![no_main]

use archtrace_facts::identity::{of_cgroup, path_of_process};
use archtrace_facts::sandbox::{Seen, runtime_of};
use archtrace_facts::text::{escape, is_printable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let cgroup = escape(part());
    assert!(cgroup.chars().all(is_printable));
    let _ = of_cgroup(&cgroup);
    let best = path_of_process(bytes).unwrap_or_default();
    assert!(best.chars().all(is_printable));
    let _ = runtime_of(&Seen {
        comm: part(),
        exe: part(),
        cgroup: &cgroup,
    });
});
