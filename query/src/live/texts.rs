//! Texts and combinations of texts, each kept once and known by a number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Mode;

/// New entries until it is worth while to look for those that nothing names any more.
const SWEEP_AFTER: usize = 10_000;

/// Things that are each kept once.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    numbers: HashMap<T, u32>,
    things: Vec<Option<T>>,
    free: Vec<u32>,
    /// Since the last sweep.
    new: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            things: Vec::new(),
            free: Vec::new(),
            new: 0,
        }
    }
}

impl<T: Clone + Eq + Hash> Pool<T> {
    /// Its number, if it is there.
    fn find<Q>(&self, thing: &Q) -> Option<u32>
    where
        T: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.numbers.get(thing).copied()
    }

    fn add(&mut self, thing: T) -> u32 {
        self.new += 1;
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.things.push(None);
                // Four thousand million things do not fit into memory.
                u32::try_from(self.things.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.things.get_mut(index(number)) {
            *place = Some(thing.clone());
        }
        self.numbers.insert(thing, number);
        number
    }

    /// What has this number.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.things.get(index(number))?.as_ref()
    }

    /// Every one, with gaps where numbers are free.
    pub(crate) fn all(&self) -> &[Option<T>] {
        &self.things
    }

    /// Whether many came in since unused ones were last dropped.
    pub(crate) fn wants_sweep(&self) -> bool {
        self.new > SWEEP_AFTER.max(self.numbers.len() / 2)
    }

    /// Drops all that is not marked.
    pub(crate) fn sweep(&mut self, used: &[bool]) {
        self.new = 0;
        for (i, place) in self.things.iter_mut().enumerate() {
            if used.get(i).copied().unwrap_or(false) {
                continue;
            }
            if let Some(thing) = place.take() {
                self.numbers.remove(&thing);
                self.free.push(u32::try_from(i).unwrap_or(u32::MAX));
            }
        }
        self.numbers.shrink_to_fit();
    }
}

/// A number as an index.
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Texts.
pub(crate) type Texts = Pool<Arc<str>>;

impl Texts {
    /// The number of this text.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        match self.find(text) {
            Some(number) => number,
            None => self.add(text.into()),
        }
    }

    /// The text with this number.
    pub(crate) fn text(&self, number: u32) -> &str {
        self.get(number).map_or("", |text| text)
    }
}

/// What sums may be taken by, of one fact; texts are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) namespace: u32,
    pub(crate) workload: u32,
    pub(crate) image: u32,
    pub(crate) arch: Arch,
    pub(crate) mode: Mode,
}

/// Combinations: a few thousand where there are hundreds of thousands of facts.
pub(crate) type Kinds = Pool<Kind>;

impl Kinds {
    /// The number of this combination.
    pub(crate) fn number(&mut self, kind: Kind) -> u32 {
        match self.find(&kind) {
            Some(number) => number,
            None => self.add(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_until_nobody_names_them_and_are_used_again() {
        let mut texts = Texts::default();
        let (a, b) = (texts.number("a"), texts.number("b"));
        assert_eq!((texts.number("a"), texts.text(b)), (a, "b"));
        assert!(!texts.wants_sweep());
        texts.sweep(&[false, true]);
        assert_eq!((texts.text(a), texts.text(b)), ("", "b"));
        assert_eq!(texts.number("c"), a);
        assert_eq!((texts.number("b"), texts.text(a)), (b, "c"));
        for i in 0..=SWEEP_AFTER {
            texts.number(&i.to_string());
        }
        assert!(texts.wants_sweep());
        texts.sweep(&[]);
        assert_eq!(texts.all().iter().flatten().count(), 0);
    }
}
