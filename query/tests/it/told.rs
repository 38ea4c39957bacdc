//! What agents tell.

use archtrace_facts::node::{HookReport, Preflight};

/// One of a kernel on which nothing serves this hook.
pub(crate) fn without(hook: &str) -> Preflight {
    Preflight {
        hooks: vec![HookReport {
            name: hook.to_owned(),
            mechanism: String::new(),
            tier: 0,
            proven: false,
            reasons: Vec::new(),
        }],
        ..Preflight::default()
    }
}
