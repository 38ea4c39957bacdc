//! What people are told of the collector itself.

use std::sync::Arc;

use archtrace_export::Progress;
use archtrace_query::Counter;

use crate::metrics::Counting;
use crate::refusals::Refusals;
use crate::registry::Checks;
use crate::{exports, kubernetes};

/// What people may ask the server for.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) authenticated: bool,
    pub(super) refusals: Arc<Refusals>,
    pub(super) exports: Vec<Arc<Progress>>,
    pub(super) kubernetes: Arc<kubernetes::Counts>,
    pub(super) counting: Option<Arc<Counting>>,
    pub(super) registry: Option<Arc<Checks>>,
}

impl archtrace_query::Server for Known {
    fn authenticated(&self) -> bool {
        self.authenticated
    }

    fn refusals(&self) -> Vec<(String, u64)> {
        let mut counts = self.refusals.counts();
        counts.extend(exports::troubles(&self.exports).filter(|(_, count)| *count > 0));
        counts.extend(self.kubernetes.troubles());
        counts.extend(self.registry.iter().flat_map(|checks| checks.troubles()));
        counts
    }

    fn counter(&self) -> Option<Arc<dyn Counter>> {
        let counting = self.counting.clone()?;
        Some(counting)
    }

    fn registry(&self) -> Option<Arc<dyn archtrace_query::Registry>> {
        let checks = self.registry.clone()?;
        Some(checks)
    }
}
