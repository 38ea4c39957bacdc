//! `/proc/<pid>/mountinfo`, and a path that is looked up there; a NUL is between the two.
#![no_main]

use archtrace_facts::mounts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mountinfo, path) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b"/var/lib/x"[..]),
    };
    let all = mounts::parse(mountinfo).count();
    let way = mounts::on_the_way(mountinfo, path);
    assert!(way.len() <= all);
    for mount in way {
        let _ = mount.may_hang();
    }
});
