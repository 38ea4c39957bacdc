//! What agents tell.

use std::time::{Duration, SystemTime};

use archtrace_facts::fact::{Cause, Event, EventKind, FactKey, IllegalInstruction, Mode, Origin};
use archtrace_facts::identity::Identity;
use archtrace_facts::node::{HookReport, Preflight};
use archtrace_query::read::NodeId;

use super::memory::{Memory, fact};

/// A death of SIGILL, just now.
pub(crate) fn death(key: FactKey) -> Event {
    Event {
        time: SystemTime::now(),
        kind: EventKind::IllegalInstruction,
        pid: 1,
        comm: "falcon".to_owned(),
        key,
        errno: 0,
        count: 1,
        instruction: Some(IllegalInstruction {
            mnemonic: Some("ptrue".to_owned()),
            extension: Some("SVE".to_owned()),
            cpu_has: Some(false),
            ..IllegalInstruction::unread(Origin::Cpu)
        }),
    }
}

/// Execs that are refused in a loop, later than anything else.
pub(crate) fn refused_in_a_loop(store: &Memory, node: NodeId) {
    for _ in 0..5000 {
        let refused = Event {
            time: SystemTime::now() + Duration::from_secs(1),
            kind: EventKind::FailedExec,
            key: FactKey {
                cause: Some(Cause::ForeignElf),
                ..fact("/refused", Mode::Failed, 1).key
            },
            errno: 8,
            instruction: None,
            ..death(fact("/refused", Mode::Failed, 1).key)
        };
        store.tell(node, refused, Identity::default());
    }
}

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
