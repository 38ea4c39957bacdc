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
use super::{btf, offsets, privileges, tasks};

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
    /// What this process lacks, if more privileges would help.
    pub(crate) fn lacks(&self) -> Option<String> {
        match self {
            Self::Attach(_) => privileges::keeps_from_loading(privileges::effective()),
            Self::NoBtf { .. } | Self::Offsets(_) | Self::Maps(_) => None,
        }
    }

    /// What else may be the reason, where the kernel refuses everything.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        let refused = matches!(self, Self::Attach(AttachError::Load(_)));
        (refused && privileges::is_filtered()).then_some(
            "a profile of seccomp is in force: it has to allow bpf and perf_event_open, as files/seccomp.json of \
             the chart does, and RuntimeDefault of containerd from 1.7 on",
        )
    }

    /// Whether this kernel is the reason.
    pub(crate) fn is_kernel(&self) -> bool {
        matches!(self, Self::NoBtf { .. } | Self::Offsets(_))
    }
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
        let loader = hooks::loader(log);
        let path = PathBuf::from(btf::VMLINUX);
        let bytes = std::fs::read(&path).map_err(|error| SensorError::NoBtf { path, error })?;
        let offsets::Offsets {
            mut config,
            types,
            mut missing,
            sees_signals,
            sees_cgroups,
        } = offsets::resolve(&bytes, node)?;
        drop(bytes);
        config.hash_seed = archtrace_sink::random();
        let optional = Optional {
            signal: sees_signals,
            cgroup: sees_cgroups,
        };
        let attached = hooks::attach(loader, &config, &types, best_tier, &optional)?;
        let attached_at = SystemTime::now();
        let mut ebpf = attached.ebpf;
        missing.extend(attached.missing);
        missing.extend(privileges::missing(privileges::effective()));
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

    /// Gives up the privileges that only attaching needs. Must be called before any thread is started.
    pub(crate) fn give_up_privileges(&mut self) {
        let given_up = privileges::give_up(|| {
            self.maps.is_usable() && (!self.iterates || tasks::iterate(&mut self.ebpf).is_ok())
        });
        match given_up {
            Ok(kept) => tracing::info!(
                kept = privileges::names(kept),
                "all other capabilities are given up"
            ),
            // No reason to watch less.
            Err(error) => {
                tracing::warn!(%error, "capabilities that are needed no more cannot be given up");
            }
        }
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
