//! How large messages may be.

use archtrace_facts::node::Preflight;
use archtrace_facts::report::Welcome;

/// No message is ever larger, in bytes, whatever the collector takes.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;
/// A collector that takes less than this gets what does not fit all the same: a single fact may have
/// long names.
const LEAST_MESSAGE: usize = 16 * 1024;
/// What is told of handlers and sandboxes, in bytes: both are as many as somebody made.
const MAX_PREFLIGHT: usize = 256 * 1024;

/// What fits into one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of what it holds. Weights are about what things take, so that half of what the collector
    /// takes leaves room for the rest.
    pub(super) bytes: usize,
    /// Facts, owners, images and removals together, or records.
    pub(super) items: usize,
}

impl Limits {
    pub(super) fn of(welcome: &Welcome) -> Self {
        let bytes = match welcome.max_message_bytes {
            0 => MAX_MESSAGE,
            most => usize::try_from(most).unwrap_or(usize::MAX),
        };
        let items = match welcome.max_items {
            0 => usize::MAX,
            most => usize::try_from(most).unwrap_or(usize::MAX),
        };
        Self {
            bytes: bytes.clamp(LEAST_MESSAGE, MAX_MESSAGE) / 2,
            // A removal is two.
            items: items.max(2),
        }
    }
}

/// A preflight that fits into a message beside what else is said.
pub(super) fn trimmed(mut preflight: Preflight) -> Preflight {
    let mut rest = MAX_PREFLIGHT;
    let mut fits = |weight: usize| {
        let fits = weight <= rest;
        rest = rest.saturating_sub(weight);
        fits
    };
    let before = preflight.handlers.len() + preflight.uncovered.len();
    preflight.handlers.retain(|handler| fits(handler.weight()));
    preflight
        .uncovered
        .retain(|pod| fits(20 + pod.cgroup.len() + pod.runtime.len()));
    let left_out = before - preflight.handlers.len() - preflight.uncovered.len();
    if left_out > 0 {
        preflight.missing.push(format!(
            "{left_out} handlers and sandboxes are not listed here: there are too many"
        ));
    }
    preflight
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_facts::node::Uncovered;
    use std::time::Duration;

    fn welcome(max_message_bytes: u32, max_items: u32) -> Welcome {
        Welcome {
            heartbeat_interval: Duration::ZERO,
            max_message_bytes,
            next_sequence: 1,
            resume: false,
            earlier_next_sequences: Vec::new(),
            max_items,
        }
    }

    #[test]
    fn limits_without_sense_become_some_that_have() {
        for (bytes, items, limits) in [
            (0, 0, (MAX_MESSAGE / 2, usize::MAX)),
            (1, 1, (LEAST_MESSAGE / 2, 2)),
            (u32::MAX, u32::MAX, (MAX_MESSAGE / 2, u32::MAX as usize)),
            (100_000, 500, (50_000, 500)),
        ] {
            let found = Limits::of(&welcome(bytes, items));
            assert_eq!((found.bytes, found.items), limits, "{bytes} {items}");
        }
    }

    #[test]
    fn a_preflight_of_any_size_fits() {
        let pod = Uncovered {
            cgroup: "x".repeat(10_000),
            runtime: "gvisor".to_owned(),
        };
        let preflight = Preflight {
            uncovered: vec![pod; 4096],
            ..Preflight::default()
        };
        let trimmed = trimmed(preflight);
        assert_eq!(trimmed.uncovered.len(), 26);
        assert!(
            trimmed.missing[0].starts_with("4070 "),
            "{:?}",
            trimmed.missing
        );
    }
}
