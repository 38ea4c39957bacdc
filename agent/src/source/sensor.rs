//! Everything that watches the kernel, started and ready to be read.

use std::path::PathBuf;
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::node::{Handler, Preflight};
use aya::Ebpf;

use super::hooks::{self, AttachError, Optional};
use super::maps::{Maps, MapsError};
use super::offsets::OffsetsError;
use super::registry::{self, Registry};
use super::{btf, offsets, tasks};

/// Why the agent cannot watch this node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SensorError {
    /// No BTF, or not readable.
    #[error("{}: {error}; archtrace needs a kernel with CONFIG_DEBUG_INFO_BTF", .path.display())]
    NoBtf {
        /// The file.
        path: PathBuf,
        /// What reading it said.
        error: std::io::Error,
    },
    /// BTF without what is needed.
    #[error("this kernel cannot be watched: {0}")]
    Offsets(#[from] OffsetsError),
    /// The programs.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The maps.
    #[error(transparent)]
    Maps(#[from] MapsError),
}

impl SensorError {
    /// Whether more privileges would help.
    pub(crate) fn is_privilege(&self) -> bool {
        matches!(self, Self::Attach(_)) && !may_load_programs()
    }

    /// Whether this kernel is the reason.
    pub(crate) fn is_kernel(&self) -> bool {
        matches!(self, Self::NoBtf { .. } | Self::Offsets(_))
    }
}

/// Whether this process may load programs of tracing: root in a container need not.
fn may_load_programs() -> bool {
    let own = procfs::process::Process::myself().and_then(|own| own.status());
    // Not readable: then it is not that.
    own.map_or(true, |status| has_capabilities(status.capeff))
}

/// `CAP_SYS_ADMIN`, or `CAP_BPF` and `CAP_PERFMON` (`bpf_prog_load` in kernel/bpf/syscall.c; numbers in
/// include/uapi/linux/capability.h).
const fn has_capabilities(effective: u64) -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    const PERFMON_AND_BPF: u64 = 1 << 38 | 1 << 39;
    effective & SYS_ADMIN != 0 || effective & PERFMON_AND_BPF == PERFMON_AND_BPF
}

/// What watches. Dropping it detaches everything.
pub(crate) struct Sensor {
    pub(crate) ebpf: Ebpf,
    pub(crate) maps: Maps,
    pub(crate) registry: Registry,
    pub(crate) preflight: Preflight,
    pub(crate) attached_at: SystemTime,
    pub(crate) hash_seed: u64,
    /// Whether tasks can be iterated: needed for what ran before, and for CPU time of live tasks.
    pub(crate) iterates: bool,
}

impl Sensor {
    /// Attaches the best hooks, from `best_tier` on, that work. With `log`, the programs say what
    /// they do.
    ///
    /// # Errors
    /// A kernel without BTF, a missing privilege, or no way to see an exec at all.
    pub(crate) fn start(node: Arch, best_tier: u32, log: bool) -> Result<Self, SensorError> {
        let path = PathBuf::from(btf::VMLINUX);
        let bytes = std::fs::read(&path).map_err(|error| SensorError::NoBtf { path, error })?;
        let offsets::Offsets {
            mut config,
            types,
            mut missing,
            sees_signals,
            sees_cgroups,
        } = offsets::resolve(&bytes, node)?;
        config.hash_seed = archtrace_sink::random();
        let optional = Optional {
            signal: sees_signals,
            cgroup: sees_cgroups,
        };
        let attached = hooks::attach(&config, &types, best_tier, &optional, log)?;
        let attached_at = SystemTime::now();
        let mut ebpf = attached.ebpf;
        missing.extend(attached.missing);
        let iterates = match tasks::load(&mut ebpf, &types) {
            Ok(()) => true,
            Err(reason) => {
                missing.push(format!(
                    "tasks cannot be iterated ({reason}): processes older than the agent are not \
                     seen, and CPU time of emulated processes is told when they end"
                ));
                false
            }
        };
        if !in_initial_pid_namespace() {
            missing.push(
                "the agent runs in a pid namespace of its own (hostPID is not set): it cannot look at \
                 processes, and failed execs of the children of pid 1 are taken for its own"
                    .to_owned(),
            );
        }
        let maps = Maps::take(&mut ebpf)?;
        let registry = registry::read();
        let mut preflight = Preflight {
            hooks: attached.hooks,
            missing,
            handlers: Vec::new(),
            binfmt: String::new(),
            uncovered: Vec::new(),
            names: String::new(),
        };
        describe_registry(&mut preflight, &registry);
        Ok(Self {
            ebpf,
            maps,
            registry,
            preflight,
            attached_at,
            hash_seed: config.hash_seed,
            iterates,
        })
    }
}

/// Whether process ids mean here what they mean in the kernel: `PROC_PID_INIT_INO`,
/// include/linux/proc_ns.h.
fn in_initial_pid_namespace() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]")
}

/// Puts what is known of the registry into the preflight report.
pub(crate) fn describe_registry(preflight: &mut Preflight, registry: &Registry) {
    preflight.handlers = registry.rules().iter().map(Handler::from).collect();
    preflight.binfmt = registry.describe();
}

#[cfg(test)]
mod tests {
    use super::has_capabilities;

    #[test]
    fn root_in_a_container_may_not_be_enough() {
        for (effective, has) in [
            (0x01ff_ffff_ffff, true),
            (0x0020_0000, true),
            (0x00c0_0000_0000, true),
            (0x0080_0000_0000, false),
            (0x0040_0000_0000, false),
            // Docker's default.
            (0xa804_25fb, false),
            (0, false),
        ] {
            assert_eq!(has_capabilities(effective), has, "{effective:#x}");
        }
    }
}
