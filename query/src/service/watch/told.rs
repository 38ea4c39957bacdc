//! What somebody who watches was told of.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use archtrace_facts::fact::FactId;
use archtrace_facts::select::Selection;
use tonic::Status;

use crate::read::NodeId;

/// Facts that all who watch with conditions may have been told of, together: each takes some 16 bytes.
const MAX_TOLD: usize = 2_000_000;

/// How many facts everybody was told of.
pub(in crate::service) type Count = Arc<AtomicUsize>;

/// Of these it has to be known, to tell when a condition does not hold any more. Who asked for everything
/// was told of everything.
#[derive(Debug)]
pub(super) struct ToldFacts {
    of_all: Count,
    /// Numbers that stand for facts, other ones each time, so that nobody can choose facts which look
    /// the same; by chance two do with one in some million million.
    facts: Option<HashSet<u64>>,
    hasher: RandomState,
}

impl ToldFacts {
    pub(super) fn new(selection: &Selection, of_all: &Count) -> Self {
        Self {
            of_all: Arc::clone(of_all),
            facts: (!selection.is_everything()).then(HashSet::new),
            hasher: RandomState::new(),
        }
    }

    /// Notes that it was told of.
    ///
    /// # Errors
    /// If that are too many for those who watch together.
    pub(super) fn insert(&mut self, node: NodeId, id: FactId) -> Result<(), Status> {
        let hash = self.hasher.hash_one((node, id));
        let Some(facts) = &mut self.facts else {
            return Ok(());
        };
        if facts.insert(hash) && self.of_all.fetch_add(1, Ordering::Relaxed) >= MAX_TOLD {
            return Err(Status::resource_exhausted(
                "those who watch facts with conditions watch too many; ask for fewer, or for all",
            ));
        }
        Ok(())
    }

    /// Notes that it is no more; whether it was told of.
    pub(super) fn remove(&mut self, node: NodeId, id: FactId) -> bool {
        let hash = self.hasher.hash_one((node, id));
        let Some(facts) = &mut self.facts else {
            return true;
        };
        let was_told = facts.remove(&hash);
        if was_told {
            self.of_all.fetch_sub(1, Ordering::Relaxed);
        }
        was_told
    }
}

impl Drop for ToldFacts {
    fn drop(&mut self) {
        let count = self.facts.as_ref().map_or(0, HashSet::len);
        self.of_all.fetch_sub(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_facts::select::Filter;

    #[test]
    fn it_is_known_what_was_told_and_counted_for_all() {
        let (count, id) = (Count::default(), FactId([1; 16]));
        let everything = Selection::default();
        let some = Selection {
            deny: vec![Filter::default()],
            ..Selection::default()
        };
        for (selection, is_known, counted) in [(&everything, true, 0), (&some, false, 1)] {
            let mut told = ToldFacts::new(selection, &count);
            assert_eq!(told.remove(NodeId(1), id), is_known);
            for _ in 0..2 {
                told.insert(NodeId(1), id).expect("room");
                assert_eq!(count.load(Ordering::Relaxed), counted);
            }
            assert!(told.remove(NodeId(1), id));
            assert_eq!(count.load(Ordering::Relaxed), 0);
            told.insert(NodeId(2), id).expect("room");
        }
        assert_eq!(count.load(Ordering::Relaxed), 0);
        count.store(MAX_TOLD, Ordering::Relaxed);
        let mut told = ToldFacts::new(&some, &count);
        let status = told.insert(NodeId(1), id).expect_err("too many");
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    }
}
