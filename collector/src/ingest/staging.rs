//! Parts of a snapshot, until it is complete.

use archtrace_facts::report::{NamedFact, StateUpdate};

use crate::store::Snapshot;

/// Facts per snapshot: some 400 bytes each, so 80 MB for one node at worst. Agents keep fewer.
const MAX_FACTS: usize = 200_000;

/// What was received of a snapshot.
#[derive(Debug, Default)]
pub(super) struct Staging {
    parts: Option<(u64, Vec<NamedFact>)>,
}

/// A part that cannot be taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum StagingError {
    /// The agent began another snapshot in the middle of one; only a whole one is applied.
    #[error("the snapshot ends at revision {end}, but began at {begun}")]
    OtherRevision { begun: u64, end: u64 },
    #[error("a snapshot holds more than {MAX_FACTS} facts")]
    TooLarge,
}

impl Staging {
    /// Forgets what is there; the next snapshot starts afresh.
    pub(super) fn clear(&mut self) {
        self.parts = None;
    }

    /// Adds a part. One of another revision begins another snapshot.
    pub(super) fn push(&mut self, update: StateUpdate) -> Result<(), StagingError> {
        let (_, facts) = match &mut self.parts {
            Some(parts) if parts.0 == update.revision => parts,
            parts => parts.insert((update.revision, Vec::new())),
        };
        if facts.len() + update.upserts.len() > MAX_FACTS {
            self.clear();
            return Err(StagingError::TooLarge);
        }
        facts.extend(update.upserts);
        Ok(())
    }

    /// Adds the last part and hands out the whole.
    pub(super) fn finish(&mut self, update: StateUpdate) -> Result<Snapshot, StagingError> {
        if let Some((begun, _)) = self.parts
            && begun != update.revision
        {
            self.clear();
            return Err(StagingError::OtherRevision {
                begun,
                end: update.revision,
            });
        }
        let (epoch, revision) = (update.epoch, update.revision);
        self.push(update)?;
        let facts = self
            .parts
            .take()
            .map(|(_, facts)| facts)
            .unwrap_or_default();
        Ok(Snapshot {
            epoch,
            revision,
            facts,
        })
    }
}
