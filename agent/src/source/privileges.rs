//! What this process may do: what it lacks is told, and what it needs no more is given up.
//!
//! | capability | without it |
//! |---|---|
//! | `CAP_BPF`, `CAP_PERFMON` | nothing starts; needed until the programs are attached |
//! | `CAP_SYS_PTRACE`, `CAP_DAC_READ_SEARCH` | less is told of what was seen; needed for good |

use procfs::process::Process;
use rustix::io::{Errno, Result};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

/// Those that looking needs, and what is missing without each.
const LOOKING: [(CapabilitySet, &str, &str); 2] = [
    (
        CapabilitySet::SYS_PTRACE,
        "CAP_SYS_PTRACE",
        "of other users' processes neither files nor mappings can be looked at: images are not audited, emulators \
         that somebody starts by hand are not known, nor handlers of binfmt_misc that only the node has mounted",
    ),
    (
        CapabilitySet::DAC_READ_SEARCH,
        "CAP_DAC_READ_SEARCH",
        "files that root may not read by their mode are not looked at: audits of images leave them out, \
         and causes of failures may be missing",
    ),
];

/// Those that loading and attaching programs of tracing needs, unless there is `CAP_SYS_ADMIN`
/// (`bpf_prog_load`, kernel/bpf/syscall.c).
const LOADING: [(CapabilitySet, &str); 2] = [
    (CapabilitySet::BPF, "CAP_BPF"),
    (CapabilitySet::PERFMON, "CAP_PERFMON"),
];

/// The first Linux on which whoever has a map may use it without `CAP_BPF`, whatever
/// `kernel.unprivileged_bpf_disabled` says (`__sys_bpf`, kernel/bpf/syscall.c).
const MAPS_ARE_FREE: (u32, u32) = (5, 19);

/// What is in force; everything where the kernel does not say, since the lack of it is no reason then.
pub(crate) fn effective() -> CapabilitySet {
    capabilities(None).map_or(CapabilitySet::all(), |sets| sets.effective)
}

/// A line for each capability that is missing and without which less is told.
pub(crate) fn missing(effective: CapabilitySet) -> Vec<String> {
    let lacking = LOOKING
        .iter()
        .filter(|(capability, ..)| !effective.contains(*capability));
    lacking
        .map(|(_, name, without)| format!("{name} is missing: {without}"))
        .collect()
}

/// Which capabilities keep this process from loading programs: root in a container need not have them.
pub(crate) fn keeps_from_loading(effective: CapabilitySet) -> Option<String> {
    if effective.contains(CapabilitySet::SYS_ADMIN) {
        return None;
    }
    let lacking = LOADING
        .iter()
        .filter(|(capability, _)| !effective.contains(*capability));
    let names: Vec<_> = lacking.map(|(_, name)| *name).collect();
    match names.as_slice() {
        [] => None,
        [name] => Some(format!("{name} is missing")),
        names => Some(format!("{} are missing", names.join(" and "))),
    }
}

/// Whether a filter of seccomp is in force (`SECCOMP_MODE_FILTER`, seccomp(2)).
pub(crate) fn is_filtered() -> bool {
    const FILTER: u32 = 2;
    let status = Process::myself().and_then(|own| own.status());
    status.is_ok_and(|status| status.seccomp == Some(FILTER))
}

/// Gives up all capabilities but those that are still needed, and the ways to get any back. `works` says
/// whether what is loaded can be used. Capabilities are a thread's: this must be called before any other is
/// started. Returns what is kept.
///
/// # Errors
/// The kernel refuses to; then nothing, or not everything, was given up.
pub(crate) fn give_up(works: impl FnOnce() -> bool) -> Result<CapabilitySet> {
    let held = capabilities(None)?;
    let release = nix::sys::utsname::uname().map(|names| names.release().to_owned());
    let release = release.unwrap_or_default();
    let mut kept = held.permitted & needed(&release.to_string_lossy());
    if !kept.contains(CapabilitySet::BPF) {
        set_capabilities(None, sets(kept, held.permitted))?;
        if !works() {
            kept |= held.permitted & CapabilitySet::BPF;
        }
        set_capabilities(None, sets(held.permitted, held.permitted))?;
    }
    for capability in CapabilitySet::all().difference(kept).iter() {
        match remove_capability_from_bounding_set(capability) {
            // The kernel does not know it; or, in a container, this process may not. What follows is
            // enough then.
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
    }
    set_capabilities(None, sets(kept, kept))?;
    // Root would get everything in the bounding set back by an exec.
    set_no_new_privs(true)?;
    Ok(kept)
}

/// What is needed once everything is attached, on Linux `release`.
fn needed(release: &str) -> CapabilitySet {
    let looking = LOOKING
        .iter()
        .fold(CapabilitySet::empty(), |all, (one, ..)| all | *one);
    let mut parts = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= MAPS_ARE_FREE => looking,
        // Even where the setting allows it now: somebody may change it.
        _ => looking | CapabilitySet::BPF,
    }
}

fn sets(effective: CapabilitySet, permitted: CapabilitySet) -> CapabilitySets {
    CapabilitySets {
        effective,
        permitted,
        inheritable: CapabilitySet::empty(),
    }
}

/// Their names, for the log.
pub(crate) fn names(set: CapabilitySet) -> String {
    let names: Vec<_> = set.iter_names().map(|(name, _)| name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bits: u64) -> CapabilitySet {
        CapabilitySet::from_bits_retain(bits)
    }

    #[test]
    fn root_in_a_container_may_not_be_enough() {
        for (effective, keeps) in [
            (0x01ff_ffff_ffff, None),
            (0x0020_0000, None),
            (0x00c0_0000_0000, None),
            (0x0080_0000_0000, Some("CAP_PERFMON is missing")),
            (0x0040_0000_0000, Some("CAP_BPF is missing")),
            // Docker's default.
            (0xa804_25fb, Some("CAP_BPF and CAP_PERFMON are missing")),
            (0, Some("CAP_BPF and CAP_PERFMON are missing")),
        ] {
            let told = keeps_from_loading(of(effective));
            assert_eq!(told.as_deref(), keeps, "{effective:#x}");
        }
    }

    #[test]
    fn what_looking_lacks_is_told() {
        let both = CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH;
        assert_eq!(missing(both), Vec::<String>::new());
        let told = missing(CapabilitySet::SYS_PTRACE);
        assert!(
            matches!(&*told, [line] if line.starts_with("CAP_DAC_READ_SEARCH is missing")),
            "{told:?}"
        );
        assert_eq!(missing(CapabilitySet::BPF).len(), 2);
    }

    #[test]
    fn maps_need_a_capability_on_older_kernels() {
        for (release, needs) in [
            ("5.10.0-28-cloud-amd64", true),
            ("5.18.19", true),
            ("5.19.0", false),
            ("6.1.0-18-arm64", false),
            ("10.0", false),
            ("", true),
            ("six", true),
        ] {
            assert_eq!(
                needed(release).contains(CapabilitySet::BPF),
                needs,
                "{release}"
            );
        }
    }

    /// A thread's capabilities end with it, so that this is safe whoever runs it.
    #[test]
    fn what_is_given_up_does_not_come_back() {
        let given_up = std::thread::spawn(|| {
            let held = capabilities(None)?.permitted;
            let kept = give_up(|| true)?;
            let now = capabilities(None)?;
            let back = set_capabilities(None, sets(held, held));
            Ok::<_, Errno>((held, kept, now, back))
        });
        let (held, kept, now, back) = given_up.join().expect("no panic").expect("given up");
        assert_eq!(
            (now.effective, now.permitted, now.inheritable),
            (kept, kept, CapabilitySet::empty())
        );
        assert!(!kept.intersects(CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN));
        if held != kept {
            assert_eq!(back, Err(Errno::PERM));
        }
    }

    #[test]
    fn what_does_not_work_without_is_kept() {
        let kept = std::thread::spawn(|| {
            let held = capabilities(None)?.permitted;
            Ok::<_, Errno>((held, give_up(|| false)?))
        });
        let (held, kept) = kept.join().expect("no panic").expect("given up");
        assert_eq!(kept & CapabilitySet::BPF, held & CapabilitySet::BPF);
        assert!(!kept.contains(CapabilitySet::PERFMON));
    }
}
