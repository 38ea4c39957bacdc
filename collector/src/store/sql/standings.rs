//! How a change of how it is with a mandated agent is noted, whichever store does it.

use std::time::{Duration, SystemTime};

use archtrace_facts::coverage::{Change, Standing, Status};

/// What is to be written.
pub(in crate::store) struct Step {
    /// What is over now.
    pub(in crate::store) closes: Option<Standing>,
    /// What is instead.
    pub(in crate::store) status: Option<Status>,
    /// From when on.
    pub(in crate::store) at: SystemTime,
}

/// What a change comes to, where this is `noted`: nothing if it is noted already.
///
/// # Errors
/// If what is noted is neither what it was nor what it is: then somebody else saw something else since.
pub(in crate::store) fn step(noted: Option<Standing>, change: &Change) -> Result<Option<Step>, ()> {
    let status = noted.map(|noted| noted.status);
    if status == change.is {
        return Ok(None);
    }
    if status != change.was {
        return Err(());
    }
    // Clocks of two collectors may differ: what comes later was later.
    let after = noted.map(|noted| noted.since + Duration::from_nanos(1));
    Ok(Some(Step {
        closes: noted,
        status: change.is,
        at: after.map_or(change.at, |after| after.max(change.at)),
    }))
}
