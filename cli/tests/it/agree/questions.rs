//! Every question, and where each form has its values.

use super::ask::{self, Asker, Rows};

/// How a question's table is read.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A head, and rows up to an empty line.
    Rows,
    /// A name and a value in each line.
    Pairs,
    /// The answer in a line; behind an empty line rows, of which these are meant.
    Below(fn(&str) -> bool),
    /// That answer: a verdict, and how many of how many pods.
    Verdict,
}

/// A question in each form.
pub(super) struct Question {
    pub(super) command: &'static [&'static str],
    pub(super) code: i32,
    pub(super) shape: Shape,
    /// Where rows are within an object of JSON; a row is an object if empty.
    pub(super) rows: &'static str,
    pub(super) ask: fn(&mut Asker) -> Rows,
    /// Of each value by gRPC: its column, and where it is in JSON; empty where a form does not have it.
    pub(super) fields: &'static [(&'static str, &'static str)],
}

const FACT: [(&str, &str); 8] = [
    ("NODE", "/node"),
    ("IMAGE", "/image"),
    ("BINARY", "/binary"),
    ("ARCH", "/arch"),
    ("EMULATOR", "/emulator"),
    ("EXECS", "/count"),
    ("ALIVE", "/processes"),
    ("", "/last_seen"),
];

const ROWS: Question = Question {
    command: &[],
    code: 0,
    shape: Shape::Rows,
    rows: "",
    ask: ask::facts,
    fields: &[],
};

const VERIFY: &[&str] = &["verify", "-n", "pay", "--arch", "amd64", "--for", "0s"];

pub(super) const QUESTIONS: [Question; 14] = [
    Question {
        command: &["emulated"],
        ask: ask::emulated,
        fields: &[
            FACT[0],
            FACT[1],
            FACT[2],
            FACT[3],
            FACT[4],
            FACT[5],
            FACT[6],
            FACT[7],
            ("CPU", "/cpu_seconds"),
        ],
        ..ROWS
    },
    Question {
        command: &["facts"],
        ask: ask::facts,
        fields: &[
            FACT[0],
            FACT[1],
            // With a remark if it is not resolved.
            ("", "/binary"),
            FACT[3],
            ("MODE", "/mode"),
            FACT[5],
            FACT[6],
            FACT[7],
        ],
        ..ROWS
    },
    Question {
        command: &["events"],
        ask: ask::events,
        fields: &[
            ("NODE", "/node"),
            ("KIND", "/kind"),
            ("COMM", "/comm"),
            ("", "/binary"),
            ("ARCH", "/arch"),
            ("", "/time"),
            ("PID", ""),
        ],
        ..ROWS
    },
    Question {
        command: &["findings"],
        ask: ask::findings,
        fields: &[
            ("SEVERITY", "/severity"),
            ("FINDING", "/finding"),
            ("BINARY", "/binary"),
            ("ARCH", "/arch"),
            ("NODES", "/nodes"),
            ("ALIVE", "/processes"),
            ("", "/last_seen"),
        ],
        ..ROWS
    },
    Question {
        command: &["images"],
        ask: ask::images,
        fields: &[
            ("IMAGE", "/images/0"),
            ("CLAIMS", "/image_arch"),
            ("", "/last_seen"),
        ],
        ..ROWS
    },
    Question {
        command: &["nodes"],
        ask: ask::nodes,
        fields: &[
            ("NODE", "/node"),
            ("STATE", "/state"),
            ("ARCH", "/node_arch"),
            ("KERNEL", "/kernel_release"),
            ("HANDLERS", "/preflight/handlers"),
            ("NOT COVERED", "/preflight/uncovered"),
            ("FACTS", "/facts"),
            ("EMULATED", "/emulated_facts"),
            ("FAILED", "/failed_facts"),
            ("ALIVE", "/emulated_processes"),
        ],
        ..ROWS
    },
    Question {
        command: &["summary", "--by", "node,mode"],
        ask: ask::summary,
        fields: &[
            ("NODE", "/node"),
            ("MODE", "/mode"),
            ("FACTS", "/facts"),
            ("NODES", "/nodes"),
            ("PODS", "/pods"),
            ("ALIVE", "/processes"),
            ("EXECS", "/count"),
            ("CPU", "/cpu_seconds"),
        ],
        ..ROWS
    },
    Question {
        command: &["status"],
        shape: Shape::Pairs,
        ask: ask::status,
        fields: &[
            ("version", "/version"),
            ("nodes reporting", "/nodes_reporting"),
            ("nodes stale", "/nodes_stale"),
            ("nodes unknown", "/coverage/unknown"),
            ("facts", "/facts"),
            ("emulated facts", "/emulated_facts"),
            ("failed facts", "/failed_facts"),
            ("events", "/events"),
            ("unexplained gap", "/unexplained_gap"),
            ("", "/started_at"),
            ("policy agents", "/policy/agents"),
            ("policy", "/policy/source"),
            ("", "/policy/loaded_at"),
        ],
        ..ROWS
    },
    Question {
        command: &["cost", "--slowdown", "4", "--since", "all", "--prices"],
        ask: ask::cost,
        fields: &[
            ("NAMESPACE", "/namespace"),
            ("WORKLOAD", "/workload"),
            ("CPU", "/cpu_seconds"),
            ("AVOIDABLE", "/avoidable_cpu_seconds"),
            ("MACHINES", "/machine_seconds"),
            ("UNPRICED", "/unpriced_cpu_seconds"),
            ("EUR", "/cost"),
            ("AVOIDABLE EUR", "/avoidable_cost"),
        ],
        ..ROWS
    },
    Question {
        command: &["coverage", "-o", "wide"],
        code: 5,
        ask: ask::coverage,
        fields: &[
            ("AGENT", "/agent"),
            ("CLUSTER", "/cluster"),
            ("NODE", "/node"),
            ("ARCH", "/node_arch"),
            ("STATUS", "/status"),
            ("WORKLOAD", "/workload"),
            ("BINARY", "/binary"),
            ("IMAGE", "/image"),
            ("", "/seen"),
            ("WHY", "/reason"),
        ],
        ..ROWS
    },
    Question {
        command: &["matrix"],
        code: 2,
        rows: "/rows",
        ask: ask::matrix,
        fields: &[
            ("", "/namespace"),
            ("LAYER", "/layer"),
            ("COMPONENT", "/component"),
            ("STATUS", "/status"),
            ("WHY", "/why"),
            ("SUCH AS", "/evidence/0/what"),
        ],
        ..ROWS
    },
    Question {
        command: VERIFY,
        code: 2,
        shape: Shape::Verdict,
        ask: ask::verdict,
        fields: &[
            ("verdict", "/verdict"),
            ("native", "/native_pods"),
            ("pods", "/pods"),
        ],
        ..ROWS
    },
    Question {
        command: VERIFY,
        code: 2,
        shape: Shape::Below(|why| !why.starts_with("died")),
        rows: "/not_native",
        ask: ask::not_native,
        fields: &[
            ("NODE", "/node"),
            ("", "/binary"),
            ("ARCH", "/arch"),
            ("MODE", "/mode"),
            ("WHY", ""),
        ],
    },
    Question {
        command: VERIFY,
        code: 2,
        shape: Shape::Below(|why| why.starts_with("died of SIGILL: vpaddd")),
        rows: "/died",
        ask: ask::died,
        fields: &[
            ("NODE", "/node"),
            ("BINARY", "/binary"),
            ("ARCH", "/arch"),
            ("MODE", ""),
            ("", "/time"),
        ],
    },
];
