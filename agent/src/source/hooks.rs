//! Loads the programs and attaches the best hooks that this kernel lets us have.
//!
//! | hook | tier 1 | tier 2 | tier 3 |
//! |---|---|---|---|
//! | header (each pass of an exec) | fentry | kprobe | none: the registry of `binfmt_misc` tells |
//! | failure (an exec's return) | fexit | kretprobe | syscall tracepoints |
//! | exec, fork, free | tp_btf, else raw_tp | | |
//! | signal, cgroup | raw_tp | | |
//!
//! Header and failure fall back independently of each other. That a hook attaches does not mean
//! that it fires (a compiler may have split or inlined the function), so each is proven by a
//! failing exec of our own, and replaced by the next if it stays silent.

use archtrace_ebpf::abi::{Config, stat};
use archtrace_facts::node::HookReport;
use archtrace_facts::text::with_causes;
use aya::{Btf, Ebpf, EbpfLoader};

use super::prove::{self, Proof};
use super::{programs, stats};

/// Why the agent cannot watch at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    /// The kernel does not even take the maps: usually a privilege is missing.
    #[error("the kernel refuses the programs: {0}")]
    Load(String),
    /// Every way to serve a hook failed.
    #[error("no way to serve the {hook} hook: {reasons}")]
    NoHook {
        /// Its name.
        hook: &'static str,
        /// What was tried, and how it failed.
        reasons: String,
    },
}

/// What is loaded and attached. Dropping it detaches everything.
pub(crate) struct Attached {
    pub(crate) ebpf: Ebpf,
    pub(crate) hooks: Vec<HookReport>,
    /// What could not be proven, and why.
    pub(crate) missing: Vec<String>,
}

/// One way to serve a hook.
struct Way {
    mechanism: &'static str,
    tier: u32,
    programs: &'static [&'static str],
}

const HEADER: [Way; 2] = [
    Way {
        mechanism: "fentry",
        tier: 1,
        programs: &["header_fentry"],
    },
    Way {
        mechanism: "kprobe",
        tier: 2,
        programs: &["header_kprobe"],
    },
];
const FAILURE: [Way; 3] = [
    Way {
        mechanism: "fexit",
        tier: 1,
        programs: &["failure_fexit"],
    },
    Way {
        mechanism: "kretprobe",
        tier: 2,
        programs: &["failure_kprobe", "failure_kretprobe"],
    },
    Way {
        mechanism: "tracepoint",
        tier: 3,
        programs: &["failure_execve", "failure_execveat"],
    },
];
const EXEC: [Way; 2] = [
    Way {
        mechanism: "tp_btf",
        tier: 1,
        programs: &["exec_typed"],
    },
    Way {
        mechanism: "raw_tp",
        tier: 2,
        programs: &["exec_probed"],
    },
];
const FORK: [Way; 2] = [
    Way {
        mechanism: "tp_btf",
        tier: 1,
        programs: &["fork_typed"],
    },
    Way {
        mechanism: "raw_tp",
        tier: 2,
        programs: &["fork_probed"],
    },
];
const FREE: [Way; 2] = [
    Way {
        mechanism: "tp_btf",
        tier: 1,
        programs: &["free_typed"],
    },
    Way {
        mechanism: "raw_tp",
        tier: 2,
        programs: &["free_probed"],
    },
];

// On every kernel the best there is.
const SIGNAL: [Way; 1] = [Way {
    mechanism: "raw_tp",
    tier: 1,
    programs: &["signal"],
}];

const CGROUP: [Way; 1] = [Way {
    mechanism: "raw_tp",
    tier: 1,
    programs: &["cgroup"],
}];

/// Hooks without which some of what is told is missing: who they are, whether this kernel has what they
/// need, and what is missing without them.
pub(crate) struct Optional {
    /// Deaths by SIGILL.
    pub(crate) signal: bool,
    /// Names of cgroups before anything runs in them.
    pub(crate) cgroup: bool,
}

/// Loads the object with `config` and attaches; no hook of a tier below `best_tier` is tried.
///
/// # Errors
/// The kernel refuses the object, or nothing serves exec, fork or free.
pub(crate) fn attach(
    loader: EbpfLoader<'_>,
    config: &Config,
    btf: &Btf,
    best_tier: u32,
    optional: &Optional,
) -> Result<Attached, AttachError> {
    let [with_header, without_header] = [1, 0].map(|header_hook| Config {
        header_hook,
        ..*config
    });
    // From here on for no longer than it has what it is told.
    let mut loader = loader;
    let mut ebpf = load(loader.override_global("CONFIG", &with_header, true))?;
    let mut missing = Vec::new();
    // What ends and inherits first: a task that begins to count must not end unseen.
    let mut ends = attach_ends(&mut ebpf, btf, &mut missing)?;
    let header = first_that_works(&mut ebpf, btf, "header", &HEADER, best_tier, &mut missing);
    let header = match header {
        Ok(report) => report,
        Err(reasons) => {
            // The programs are told at load, so that the verifier drops what is not needed.
            ebpf = load(loader.override_global("CONFIG", &without_header, true))?;
            ends = attach_ends(&mut ebpf, btf, &mut missing)?;
            HookReport {
                name: "header".to_owned(),
                mechanism: "registry".to_owned(),
                tier: 3,
                proven: false,
                reasons,
            }
        }
    };
    let mut hooks = vec![header];
    match first_that_works(&mut ebpf, btf, "failure", &FAILURE, best_tier, &mut missing) {
        Ok(report) => hooks.push(report),
        Err(reasons) => {
            missing.push("failed execs are not seen".to_owned());
            hooks.push(HookReport {
                name: "failure".to_owned(),
                mechanism: String::new(),
                tier: 0,
                proven: false,
                reasons,
            });
        }
    }
    hooks.push(required(&mut ebpf, btf, "exec", &EXEC, &mut missing)?);
    hooks.extend(ends);
    for (wanted, name, ways, without) in [
        (
            optional.signal,
            "signal",
            &SIGNAL,
            "deaths by SIGILL are not seen",
        ),
        (
            optional.cgroup,
            "cgroup",
            &CGROUP,
            "what ran in a cgroup that is gone may have no cgroup",
        ),
    ] {
        if !wanted {
            continue;
        }
        match first_that_works(&mut ebpf, btf, name, ways, 1, &mut missing) {
            Ok(report) => hooks.push(report),
            Err(reasons) => missing.push(format!("{without}: {}", reasons.join("; "))),
        }
    }
    Ok(Attached {
        ebpf,
        hooks,
        missing,
    })
}

fn attach_ends(
    ebpf: &mut Ebpf,
    btf: &Btf,
    missing: &mut Vec<String>,
) -> Result<[HookReport; 2], AttachError> {
    let free = required(ebpf, btf, "free", &FREE, missing)?;
    Ok([required(ebpf, btf, "fork", &FORK, missing)?, free])
}

/// A hook without which nothing works.
fn required(
    ebpf: &mut Ebpf,
    btf: &Btf,
    hook: &'static str,
    ways: &[Way],
    missing: &mut Vec<String>,
) -> Result<HookReport, AttachError> {
    first_that_works(ebpf, btf, hook, ways, 1, missing).map_err(|reasons| AttachError::NoHook {
        hook,
        reasons: reasons.join("; "),
    })
}

/// What loads the object. With `log`, the programs say what they do.
///
/// To make one reads and takes apart the types of the kernel, 15 MB, whether or not they are wanted: so it is
/// made first, once, and lets go of them.
pub(crate) fn loader(log: bool) -> EbpfLoader<'static> {
    let mut loader = EbpfLoader::new();
    // rustc emits no relocations against the kernel's types; ours are in the configuration.
    loader.btf(None);
    // Level 0 is below all levels: the verifier drops every log statement.
    let level = if log { &u8::MAX } else { &0 };
    loader.override_global("AYA_LOG_LEVEL", level, true);
    if !log {
        loader.map_max_entries("AYA_LOGS", SMALLEST_RING);
    }
    loader
}

fn load(loader: &mut EbpfLoader<'_>) -> Result<Ebpf, AttachError> {
    let object = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/programs.o"));
    let loaded = loader.load(object);
    loaded.map_err(|error| AttachError::Load(with_causes(&error)))
}

/// A ring buffer is at least a page, the largest of which is 64 KiB.
const SMALLEST_RING: u32 = 64 * 1024;

fn first_that_works(
    ebpf: &mut Ebpf,
    btf: &Btf,
    hook: &'static str,
    ways: &[Way],
    best_tier: u32,
    missing: &mut Vec<String>,
) -> Result<HookReport, Vec<String>> {
    let proof = match hook {
        "header" => Some(stat::PROVEN_HEADER),
        "failure" => Some(stat::PROVEN_FAILURE),
        _ => None,
    };
    let mut reasons = Vec::new();
    for Way {
        mechanism,
        tier,
        programs: names,
    } in ways
    {
        if *tier < best_tier {
            reasons.push(format!("{mechanism}: not tried, as asked for"));
            continue;
        }
        if let Err(reason) = names
            .iter()
            .try_for_each(|name| programs::attach(ebpf, btf, name))
        {
            reasons.push(format!("{mechanism}: {reason}"));
            programs::detach(ebpf, names);
            continue;
        }
        let proven = match proof.map(|stat| prove::try_out(|| stats::read_one(ebpf, stat))) {
            None | Some(Proof::Fired) => true,
            Some(Proof::Silent) => {
                reasons.push(format!("{mechanism}: attached, but did not fire"));
                programs::detach(ebpf, names);
                continue;
            }
            Some(Proof::Impossible(reason)) => {
                missing.push(format!("the {hook} hook could not be tried out: {reason}"));
                false
            }
        };
        let name = hook.to_owned();
        return Ok(HookReport {
            name,
            mechanism: (*mechanism).to_owned(),
            tier: *tier,
            proven,
            reasons,
        });
    }
    Err(reasons)
}
