//! One number for a set of facts: what an agent told, and what a collector holds, are compared by it.
//!
//! The digest of a set is the sum modulo 2^128 of one number per fact, so that both sides keep it up to
//! date with what changes and never walk over all. It catches what went wrong between honest peers; it
//! is no protection from forgery, which nobody but the node itself could gain from.

use sha2::{Digest as _, Sha256};

use crate::fact::{Fact, FactId};

/// The digest of a set of facts; that of none is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u128);

impl Digest {
    /// That of one fact, by what changes of it: its name and its numbers.
    #[must_use]
    pub fn of(id: FactId, count: u64, processes: u64, cpu_ns: u64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(id.0);
        for number in [count, processes, cpu_ns] {
            hasher.update(number.to_le_bytes());
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize()[..16]);
        Self(u128::from_le_bytes(bytes))
    }

    /// That of one fact.
    #[must_use]
    pub fn of_fact(fact: &Fact) -> Self {
        Self::of(fact.key.id(), fact.count, fact.processes, fact.cpu_ns)
    }

    /// Of a set that has `more` besides.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self(self.0.wrapping_add(more.0))
    }

    /// Of a set without `less`, which has to be in it.
    #[must_use]
    pub fn minus(self, less: Self) -> Self {
        Self(self.0.wrapping_sub(less.0))
    }

    /// As it goes over the wire and into stores.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// From there.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }
}

impl std::iter::Sum for Digest {
    fn sum<I: Iterator<Item = Self>>(digests: I) -> Self {
        digests.fold(Self::default(), Self::plus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_never_changes() {
        let digest = Digest::of(FactId([7; 16]), 1, 2, 3);
        assert_eq!(
            format!("{:032x}", digest.0),
            "72934e18f31bc4303cc7f3dafe2188bd"
        );
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_changes_can_be_taken_back(
            mut facts in prop::collection::vec((any::<[u8; 16]>(), any::<u64>(), any::<u64>()), 0..20),
            other: u64,
        ) {
            let of = |(id, count, cpu): &([u8; 16], u64, u64)| Digest::of(FactId(*id), *count, 0, *cpu);
            let sum: Digest = facts.iter().map(of).sum();
            facts.reverse();
            prop_assert_eq!(facts.iter().map(of).sum::<Digest>(), sum);
            let more = Digest::of(FactId([1; 16]), other, 1, 0);
            prop_assert_eq!(sum.plus(more).minus(more), sum);
            prop_assert_eq!(Digest::from_bytes(sum.to_bytes()), sum);
            if let Some(changed) = facts.first_mut() {
                changed.1 = changed.1.wrapping_add(1);
                prop_assert_ne!(facts.iter().map(of).sum::<Digest>(), sum);
            }
        }
    }
}
