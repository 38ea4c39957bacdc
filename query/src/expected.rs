//! Which nodes should report.

use std::sync::Arc;

use archtrace_facts::fleet::ExpectedNodes;

/// Knows which nodes should report, as far as anybody does.
pub trait Expected: Send + Sync + 'static {
    /// They, as of now. Asked several times a second, so that it has to be at hand.
    fn nodes(&self) -> Arc<ExpectedNodes>;
}

/// Those that ever reported should.
#[derive(Clone, Debug)]
pub struct Seen(Arc<ExpectedNodes>);

impl Default for Seen {
    fn default() -> Self {
        Self(Arc::new(ExpectedNodes::seen()))
    }
}

impl Expected for Seen {
    fn nodes(&self) -> Arc<ExpectedNodes> {
        Arc::clone(&self.0)
    }
}
