//! What an agent says about the node it runs on, and how well it can watch it.

use std::time::SystemTime;

use crate::arch::Arch;
use crate::binfmt::Rule;
use crate::text::escape;

/// What the agent found on its node when it started. All texts are printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Name of the node, unique in its cluster.
    pub name: String,
    /// `metadata.uid` of the Kubernetes node; empty if not known.
    pub uid: String,
    /// Instruction set of the CPU.
    pub arch: Arch,
    /// `uname -r`.
    pub kernel_release: String,
    /// Model of the CPU, as `/proc/cpuinfo` tells it.
    pub cpu_model: String,
    /// In bytes.
    pub page_size: u32,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Version of the agent.
    pub agent_version: String,
    /// The generation of the CPU where its makers count them, such as `Graviton3`; empty elsewhere.
    pub cpu_generation: String,
    /// Extensions of the instruction set that the CPU has and the kernel lets processes use, in the
    /// kernel's words (`flags` or `Features` of `/proc/cpuinfo`).
    pub cpu_features: Vec<String>,
    /// Whether 32-bit programs of the CPU's family run here; `None` if that could not be tried.
    pub runs_32bit: Option<bool>,
    /// What `/sys/kernel/security/lockdown` says: `none`, `integrity`, `confidentiality`; empty where
    /// it says nothing.
    pub lockdown: String,
}

impl NodeInfo {
    /// A node of which nothing else is known.
    #[must_use]
    pub fn named(name: String, arch: Arch) -> Self {
        Self {
            name,
            uid: String::new(),
            arch,
            kernel_release: String::new(),
            cpu_model: String::new(),
            page_size: 0,
            boot_id: String::new(),
            agent_version: String::new(),
            cpu_generation: String::new(),
            cpu_features: Vec::new(),
            runs_32bit: None,
            lockdown: String::new(),
        }
    }
}

/// Which hooks run, and why others do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preflight {
    /// One entry per hook.
    pub hooks: Vec<HookReport>,
    /// What was missing on the node, and what that costs; one line each.
    pub missing: Vec<String>,
    /// Handlers of `binfmt_misc`, as last read.
    pub handlers: Vec<Handler>,
    /// `registered`, `none`, or why the registry cannot be seen.
    pub binfmt: String,
    /// Pods whose processes run under another kernel, so that nothing of them is seen.
    pub uncovered: Vec<Uncovered>,
    /// Where names of pods come from, or why from nowhere; a sentence.
    pub names: String,
}

/// Hooks without which execs go unseen; fork and free only count CPU time.
const SEEING: [&str; 3] = ["exec", "header", "failure"];

impl Preflight {
    /// Why what does not run natively may not be seen on the node, or be taken for native; empty if neither.
    #[must_use]
    pub fn blind_spots(&self) -> Vec<String> {
        // What an agent tells may be long, and this is told of each of its node's pods.
        const CHARS: usize = 200;
        let is_missing = |name: &&str| {
            let mut hooks = self.hooks.iter();
            hooks.any(|hook| hook.tier == 0 && hook.name == **name)
        };
        let missing: Vec<_> = SEEING.into_iter().filter(is_missing).collect();
        let mut spots = Vec::new();
        if !missing.is_empty() {
            spots.push(format!("has no hook for {}", missing.join(", ")));
        }
        let by_registry = self.hooks.iter().any(|hook| hook.mechanism == "registry");
        let sees_it = ["registered", "none"];
        if by_registry && !sees_it.iter().any(|word| self.binfmt.starts_with(word)) {
            // What the kernel puts in front of a file then is any program, unless its content gives it away.
            spots.push(format!(
                "knows emulators by the registry of binfmt_misc, which it cannot see: {}",
                self.binfmt.chars().take(CHARS).collect::<String>()
            ));
        }
        spots
    }
}

/// How an agent itself does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// CPU time that it used since it started, in nanoseconds.
    pub cpu_ns: u64,
    /// Records that wait to be acknowledged.
    pub queued_records: u64,
    /// How many bytes of them are on disk.
    pub spooled_bytes: u64,
    /// Where they are kept: `disk`, or why in memory only.
    pub spool: String,
}

/// A sandbox that hides what runs inside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// The cgroup of the sandbox.
    pub cgroup: String,
    /// `gvisor`, `kata`, `firecracker` or `virtual-machine`.
    pub runtime: String,
}

/// One hook: what it is for and how it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookReport {
    /// `header`, `failure`, `exec`, `fork` or `free`.
    pub name: String,
    /// `fentry`, `fexit`, `kprobe`, `kretprobe`, `tp_btf`, `raw_tp`, `tracepoint`, or `registry` (of
    /// `binfmt_misc`); empty if nothing serves it.
    pub mechanism: String,
    /// 1 (fentry/fexit), 2 (kprobe/kretprobe), 3 (tracepoints only); 0 if nothing serves it.
    pub tier: u32,
    /// Whether it is known to fire: header and failure were seen to, in a failing exec of the agent's
    /// own; exec, fork and free are tracepoints, which fire wherever they can be attached.
    pub proven: bool,
    /// Why better mechanisms are not used, one line each.
    pub reasons: Vec<String>,
}

/// One handler of `binfmt_misc`, as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// Name of its entry.
    pub name: String,
    /// Whether the kernel uses it.
    pub enabled: bool,
    /// The program put in front of the file.
    pub interpreter: String,
    /// The letters the kernel prints: `P`, `O`, `C`, `F`.
    pub flags: String,
    /// The machine whose ELF files it claims; `None` for handlers of other files.
    pub arch: Option<Arch>,
    /// When it was registered or last switched on or off: its entry's modification time.
    pub since: Option<SystemTime>,
}

impl Handler {
    /// About how many bytes it takes in a message.
    #[must_use]
    pub fn weight(&self) -> usize {
        100 + self.name.len() + self.interpreter.len()
    }
}

impl From<&Rule> for Handler {
    fn from(rule: &Rule) -> Self {
        Self {
            name: rule.name.clone(),
            enabled: rule.enabled,
            interpreter: escape(&rule.interpreter),
            flags: rule.flags.clone(),
            arch: rule.arch(),
            since: rule.since,
        }
    }
}
