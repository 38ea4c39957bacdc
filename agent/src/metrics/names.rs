//! Every metric of the agent. docs/metrics.md lists them; a test holds it against a page.

use archtrace_metrics::Metric;

pub(super) static INFO: Metric = Metric::gauge(
    "agent_build_info",
    "Always 1; the version of this agent, and the kernel and architecture of its node.",
);
pub(super) static STARTED: Metric = Metric::gauge(
    "agent_start_time",
    "When the hooks were attached, since 1970.",
)
.seconds();
pub(super) static FACTS: Metric = Metric::gauge(
    "agent_facts",
    "Facts of this node now: a binary in a container, by how it runs.",
);
pub(super) static PROCESSES: Metric = Metric::gauge(
    "agent_processes",
    "Processes of this node alive that run emulated.",
);
pub(super) static EXECS: Metric = Metric::counter(
    "agent_execs",
    "Execs on this node since the agent started, as far as their binary has a name.",
);
pub(super) static EMULATED: Metric = Metric::counter(
    "agent_emulated_cpu",
    "CPU time of emulated tasks on this node since the agent started.",
)
.seconds();
pub(super) static EMULATORS: Metric = Metric::gauge(
    "agent_emulators",
    "Enabled handlers of binfmt_misc that claim ELF files, by the architecture of these.",
);
pub(super) static UNCOVERED: Metric = Metric::gauge(
    "agent_uncovered_sandboxes",
    "Sandboxes whose processes run under a kernel of their own, so that nothing of them is seen.",
);
pub(super) static TIER: Metric = Metric::gauge(
    "agent_hook_tier",
    "By what a hook is served: 1 fentry and fexit, 2 kprobes, 3 tracepoints, 0 nothing at all.",
);
pub(super) static PROVEN: Metric =
    Metric::gauge("agent_hook_proven", "Whether a hook is known to fire.");
pub(super) static MISSING: Metric = Metric::gauge(
    "agent_missing",
    "What this node lacks for everything to be seen; archtrace doctor names it.",
);
pub(super) static LOSSES: Metric = Metric::counter(
    "agent_losses",
    "Records and counts that were lost since the agent started, by where.",
);
pub(super) static QUEUED: Metric = Metric::gauge(
    "agent_queued_records",
    "Events, losses and changes of handlers that the collector has not acknowledged.",
);
pub(super) static SPOOLED: Metric =
    Metric::gauge("agent_spool", "How much of the disk these take.").bytes();
pub(super) static ON_DISK: Metric = Metric::gauge(
    "agent_spool_on_disk",
    "Whether they are kept on disk; else in memory only.",
);
pub(super) static CONNECTED: Metric = Metric::gauge(
    "agent_connected",
    "Whether a collector has welcomed this node and the stream to it is open.",
);
pub(super) static STREAMS: Metric = Metric::counter(
    "agent_streams",
    "Streams to a collector that began with its welcome.",
);
pub(super) static FAILURES: Metric = Metric::counter(
    "agent_stream_failures",
    "Streams that failed, or never came to be; those that ended as planned are none.",
);
pub(super) static RESYNCS: Metric = Metric::counter(
    "agent_resyncs",
    "How often a collector asked for all facts again.",
);
pub(super) static THROTTLES: Metric =
    Metric::counter("agent_throttles", "How often a collector asked to wait.");
pub(super) static STORED: Metric = Metric::gauge(
    "agent_last_stored_time",
    "When a collector last said that it has stored something, since 1970; 0 before the first time.",
)
.seconds();
pub(super) static RESIDENT: Metric =
    Metric::gauge("agent_resident_memory", "Memory of this process.").bytes();
pub(super) static USED: Metric =
    Metric::counter("agent_cpu", "CPU time of this process.").seconds();
pub(super) static SERIES: Metric = Metric::gauge(
    "agent_workload_series",
    "Combinations of namespace, workload, mode and architecture that have series of their own.",
);
pub(super) static OVERFLOW: Metric = Metric::counter(
    "agent_workload_overflow",
    "How often such a combination was summed up as other, each page anew.",
);
