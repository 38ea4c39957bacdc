//! Parts of a snapshot, until it is complete.

use archtrace_facts::report::StateUpdate;

use crate::store::Snapshot;

/// Facts, owners and images per snapshot: some 400 bytes each, so 80 MB for one node at worst. Agents
/// keep fewer.
const MAX_ITEMS: usize = 200_000;

/// What was received of a snapshot.
#[derive(Debug, Default)]
pub(super) struct Staging {
    parts: Option<Snapshot>,
}

/// A part that cannot be taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum StagingError {
    /// The agent began another snapshot in the middle of one; only a whole one is applied.
    #[error("the snapshot ends at revision {end}, but began at {begun}")]
    OtherRevision { begun: u64, end: u64 },
    #[error("a snapshot holds more than {MAX_ITEMS} facts, owners and images")]
    TooLarge,
}

impl Staging {
    /// Forgets what is there; the next snapshot starts afresh.
    pub(super) fn clear(&mut self) {
        self.parts = None;
    }

    /// Adds a part. One of another revision begins another snapshot.
    pub(super) fn push(&mut self, update: StateUpdate) -> Result<(), StagingError> {
        let StateUpdate {
            kind: _,
            epoch,
            base_revision: _,
            revision,
            upserts,
            removed: _,
            owners,
            images,
        } = update;
        let parts = match &mut self.parts {
            Some(parts) if parts.revision == revision => parts,
            parts => parts.insert(Snapshot {
                epoch,
                revision,
                facts: Vec::new(),
                owners: Vec::new(),
                images: Vec::new(),
            }),
        };
        let has = parts.facts.len() + parts.owners.len() + parts.images.len();
        if has + upserts.len() + owners.len() + images.len() > MAX_ITEMS {
            self.clear();
            return Err(StagingError::TooLarge);
        }
        parts.facts.extend(upserts);
        parts.owners.extend(owners);
        parts.images.extend(images);
        Ok(())
    }

    /// Adds the last part and hands out the whole.
    pub(super) fn finish(&mut self, update: StateUpdate) -> Result<Snapshot, StagingError> {
        let end = update.revision;
        if let Some(begun) = self.parts.as_ref().map(|parts| parts.revision)
            && begun != end
        {
            self.clear();
            return Err(StagingError::OtherRevision { begun, end });
        }
        self.push(update)?;
        // What was just pushed is there.
        self.parts.take().ok_or(StagingError::TooLarge)
    }
}
