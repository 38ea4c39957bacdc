//! Parts of a snapshot, until it is complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use archtrace_facts::report::StateUpdate;

use crate::store::Snapshot;

/// Facts, owners and images per snapshot. Agents keep 16,384 facts, 4,096 owners and 1,024 images at most.
const MAX_ITEMS: usize = 65_536;

/// The same of all snapshots that are on their way. An item is some 600 bytes, so these are 160 MB. Most
/// nodes' snapshots are one message, which is never staged for long.
const MAX_STAGED: usize = 262_144;

/// How much all streams have staged.
#[derive(Debug, Default)]
pub(super) struct Staged(AtomicUsize);

/// What was received of a snapshot.
#[derive(Debug)]
pub(super) struct Staging {
    parts: Option<(Snapshot, Share)>,
    staged: Arc<Staged>,
}

/// What one snapshot takes of [`MAX_STAGED`], until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    staged: Arc<Staged>,
    items: usize,
}

/// A part that cannot be taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum StagingError {
    /// The agent began another snapshot in the middle of one; only a whole one is applied.
    #[error("the snapshot ends at revision {end}, but began at {begun}")]
    OtherRevision { begun: u64, end: u64 },
    #[error("a snapshot holds more than {MAX_ITEMS} facts, owners and images")]
    TooLarge,
    /// It has to be told again, later.
    #[error("too many other nodes send snapshots at the moment")]
    Busy,
}

impl Staging {
    pub(super) fn new(staged: Arc<Staged>) -> Self {
        Self {
            parts: None,
            staged,
        }
    }

    /// Forgets what is there; the next snapshot starts afresh.
    pub(super) fn clear(&mut self) {
        self.parts = None;
    }

    /// Adds a part. One of another revision begins another snapshot. What cannot be added is forgotten
    /// together with what came before it.
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
            digest,
        } = update;
        let begun = self.parts.take();
        let (mut parts, mut share) = begun
            .filter(|(parts, _)| parts.revision == revision)
            .unwrap_or_else(|| {
                let parts = Snapshot {
                    epoch,
                    revision,
                    ..Snapshot::default()
                };
                let share = Share {
                    staged: Arc::clone(&self.staged),
                    items: 0,
                };
                (parts, share)
            });
        share.grow(upserts.len() + owners.len() + images.len())?;
        parts.facts.extend(upserts);
        parts.owners.extend(owners);
        parts.images.extend(images);
        // The last part has it.
        parts.digest = digest;
        self.parts = Some((parts, share));
        Ok(())
    }

    /// Adds the last part and hands out the whole.
    pub(super) fn finish(
        &mut self,
        update: StateUpdate,
    ) -> Result<(Snapshot, Share), StagingError> {
        let end = update.revision;
        if let Some(begun) = self.parts.as_ref().map(|(parts, _)| parts.revision)
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

impl Share {
    fn grow(&mut self, items: usize) -> Result<(), StagingError> {
        if self.items + items > MAX_ITEMS {
            return Err(StagingError::TooLarge);
        }
        let before = self.staged.0.fetch_add(items, Ordering::Relaxed);
        // Counted before it is decided, so that whatever happens it is given back as one.
        self.items += items;
        if before + items > MAX_STAGED {
            return Err(StagingError::Busy);
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.staged.0.fetch_sub(self.items, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use archtrace_facts::report::{Owner, UpdateKind};

    use super::*;

    fn part(revision: u64, owners: usize) -> StateUpdate {
        let owner = |i: usize| Owner {
            cgroup: i.to_string(),
            identity: Default::default(),
        };
        StateUpdate {
            kind: UpdateKind::SnapshotChunk,
            epoch: 1,
            base_revision: 0,
            revision,
            upserts: Vec::new(),
            removed: Vec::new(),
            owners: (0..owners).map(owner).collect(),
            images: Vec::new(),
            digest: None,
        }
    }

    #[test]
    fn one_node_and_all_nodes_have_bounds_and_nothing_is_left() {
        let staged = Arc::new(Staged::default());
        let new = || Staging::new(Arc::clone(&staged));
        let mut large = new();
        assert_eq!(large.push(part(1, MAX_ITEMS)), Ok(()));
        assert_eq!(large.push(part(1, 1)), Err(StagingError::TooLarge));
        assert_eq!(staged.0.load(Ordering::Relaxed), 0);

        let mut many: Vec<_> = (0..MAX_STAGED / MAX_ITEMS).map(|_| new()).collect();
        for one in &mut many {
            assert_eq!(one.push(part(1, MAX_ITEMS)), Ok(()));
        }
        let mut late = new();
        assert_eq!(late.push(part(1, 1)), Err(StagingError::Busy));
        let (snapshot, share) = many[0].finish(part(1, 0)).expect("it is whole");
        assert_eq!(snapshot.owners.len(), MAX_ITEMS);
        assert_eq!(
            late.push(part(1, 1)),
            Err(StagingError::Busy),
            "not stored yet"
        );
        drop(share);
        assert_eq!(late.push(part(1, 1)), Ok(()));
        let ended = StagingError::OtherRevision { begun: 1, end: 2 };
        assert_eq!(late.finish(part(2, 0)).err(), Some(ended));
        drop((many, late));
        assert_eq!(staged.0.load(Ordering::Relaxed), 0);
    }
}
