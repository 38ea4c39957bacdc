//! Every metric of the collector. docs/metrics.md lists them; a test holds it against a page.

use archtrace_metrics::Metric;

pub(super) static FACTS: Metric = Metric::gauge(
    "fleet_facts",
    "Facts that agents keep now: a binary in a container, by how it runs.",
);
pub(super) static PODS: Metric = Metric::gauge(
    "fleet_pods",
    "Pods that have one of these facts; one is counted on each node that has facts of it.",
);
pub(super) static PROCESSES: Metric = Metric::gauge(
    "fleet_processes",
    "Processes alive that run emulated; those of nodes that do not report are left out.",
);
pub(super) static EXECS: Metric = Metric::counter(
    "fleet_execs",
    "Execs that the store heard of since this collector started.",
);
pub(super) static CPU: Metric = Metric::counter(
    "fleet_emulated_cpu",
    "CPU time of emulated tasks that the store heard of since this collector started.",
)
.seconds();
pub(super) static NODES: Metric = Metric::gauge(
    "fleet_nodes",
    "Nodes that should report, by whether they do: reporting, stale, or unknown, which never did.",
);
pub(super) static MANDATED: Metric = Metric::gauge(
    "fleet_mandated_agents",
    "Nodes on which an agent of the policy has to run, by how it is there, as archtrace coverage tells it.",
);
pub(super) static MANDATED_PROBLEM: Metric = Metric::gauge(
    "fleet_policy_outdated",
    "Whether the policy in force is not what its file says now; archtrace coverage tells why.",
);
pub(super) static FINDINGS: Metric = Metric::gauge(
    "fleet_findings",
    "Things that somebody should act on, each once, as archtrace findings lists them.",
);
pub(super) static LOSSES: Metric = Metric::counter(
    "fleet_losses",
    "Records and counts that were lost, by where, over all time that the store remembers.",
);
pub(super) static GAP: Metric = Metric::gauge(
    "fleet_unexplained_gap",
    "Events that are neither stored nor named by a loss; should be 0.",
);

pub(super) static INFO: Metric = Metric::gauge(
    "collector_build_info",
    "Always 1; the version of this collector.",
);
pub(super) static STARTED: Metric = Metric::gauge(
    "collector_start_time",
    "When this collector started, since 1970.",
)
.seconds();
pub(super) static CURRENT: Metric = Metric::gauge(
    "collector_view_current",
    "Whether this page tells of the fleet: 0 while facts are read or the store does not answer.",
);
pub(super) static RESIDENT: Metric =
    Metric::gauge("collector_resident_memory", "Memory of this process.").bytes();
pub(super) static USED: Metric =
    Metric::counter("collector_cpu", "CPU time of this process.").seconds();
pub(super) static CONNECTIONS: Metric = Metric::gauge(
    "collector_connections",
    "Connections of agents and readers that are open.",
);
pub(super) static MOST_CONNECTIONS: Metric = Metric::gauge(
    "collector_connections_limit",
    "Connections that there may be at once.",
);
pub(super) static AGENTS: Metric = Metric::gauge(
    "collector_agents",
    "Agents that report to this collector now.",
);
pub(super) static ATTACHED: Metric = Metric::counter(
    "collector_attached",
    "Streams of agents that were welcomed.",
);
pub(super) static UPDATES: Metric = Metric::counter(
    "collector_updates",
    "Updates of agents' facts, by kind and by what became of them.",
);
pub(super) static UPSERTS: Metric =
    Metric::counter("collector_upserts", "Facts in updates that were applied.");
pub(super) static RECORDS: Metric = Metric::counter(
    "collector_records",
    "Events, losses and changes of handlers in batches that were stored, repeated ones included.",
);
pub(super) static REFUSALS: Metric = Metric::counter(
    "collector_refusals",
    "What was refused, by reason, and events that exports could not pass on; the log tells the first of each.",
);
pub(super) static RESYNCS: Metric = Metric::counter(
    "collector_resyncs",
    "How often an agent was asked to tell all its facts again.",
);
pub(super) static THROTTLES: Metric = Metric::counter(
    "collector_throttles",
    "How often an agent was asked to wait, because nothing could be stored.",
);
pub(super) static FORGOTTEN: Metric = Metric::counter(
    "collector_forgotten_nodes",
    "Nodes that were silent for --keep-nodes, on no list, and are forgotten.",
);
pub(super) static COMMITS: Metric = Metric::durations(
    "collector_commit",
    "How long the store took to commit, waiting for others included.",
);
pub(super) static FAILURES: Metric = Metric::counter(
    "collector_commit_failures",
    "Commits that failed, by what was to be stored.",
);
pub(super) static REQUESTS: Metric = Metric::counter(
    "collector_requests",
    "Requests, by method and gRPC status; of answers that go on, the status that they began with.",
);
pub(super) static ANSWERS: Metric = Metric::durations(
    "collector_answer",
    "How long requests took, other than those whose answers go on.",
);
pub(super) static STORED: Metric = Metric::gauge("collector_store", "Size of the store.").bytes();
pub(super) static STORED_FACTS: Metric = Metric::gauge(
    "collector_store_facts",
    "Facts that the store holds, history included.",
);
pub(super) static STORED_EVENTS: Metric = Metric::gauge(
    "collector_store_events",
    "Events that the store holds, losses not included.",
);
pub(super) static SERIES: Metric = Metric::gauge(
    "collector_workload_series",
    "Combinations of namespace, workload, mode and architecture that have series of their own.",
);
pub(super) static MOST_SERIES: Metric = Metric::gauge(
    "collector_workload_series_limit",
    "How many may have; --metrics-max-series says it in series.",
);
pub(super) static OVERFLOW: Metric = Metric::counter(
    "collector_workload_overflow",
    "How often such a combination was summed up as other, each page anew.",
);

pub(crate) static KUBERNETES_PODS: Metric = Metric::gauge(
    "collector_kubernetes_pods",
    "Pods that --kubernetes-pods knows, those included that are gone for a few minutes.",
);
pub(crate) static KUBERNETES_NAMED: Metric = Metric::counter(
    "collector_kubernetes_named",
    "Containers and pods in the store whose workload the Kubernetes API told after their agent.",
);
pub(crate) static KUBERNETES_SKIPPED: Metric = Metric::counter(
    "collector_kubernetes_skipped",
    "Pods and what controls them that were left out, by why: their workloads are what labels say.",
);
pub(crate) static KUBERNETES_RESTARTS: Metric = Metric::counter(
    "collector_kubernetes_watch_restarts",
    "How often all objects were read again, because the watch of their changes was broken off for long.",
);
pub(crate) static KUBERNETES_ERRORS: Metric = Metric::counter(
    "collector_kubernetes_watch_errors",
    "How often the Kubernetes API did not list or watch; the log tells the first of each.",
);
pub(crate) static KUBERNETES_EVENTS: Metric = Metric::counter(
    "collector_kubernetes_events",
    "What --kubernetes-events made of what happened in pods; merged is what an Event says already.",
);
pub(crate) static KUBERNETES_DROPPED: Metric = Metric::counter(
    "collector_kubernetes_events_dropped",
    "What happened in pods and became no Event, by why.",
);
