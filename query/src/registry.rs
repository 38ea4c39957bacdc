//! What registries have.

use std::sync::Arc;

use archtrace_facts::registry::Check;

/// Knows what registries told of the references that pods ask for.
pub trait Registry: Send + Sync + 'static {
    /// What is known of a reference, as pods ask for it. Nobody is asked for it now: answers do not wait for
    /// registries.
    fn check(&self, reference: &str) -> Arc<Check>;
}
