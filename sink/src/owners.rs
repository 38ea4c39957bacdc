//! Whose cgroups are, and the images of containers: what the collector knows of them, and what not yet.

use std::collections::HashMap;

use archtrace_facts::audit::Audit;
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;
use archtrace_facts::report::Owner;

/// Containers of one node: a kubelet takes 250 pods at most unless told otherwise, each with a few
/// containers, and those that ended are kept until the collector knows of them.
const MAX_OWNERS: usize = 4096;
/// Images of one node: several times as many as its disk holds.
const MAX_IMAGES: usize = 1024;

/// Bytes of what is told of one image's files: their paths are as long as somebody likes.
const MAX_AUDIT: usize = 256 * 1024;

/// What is there to tell of containers. Like facts, it goes out when it changed, and whole in a snapshot.
#[derive(Debug, Default)]
pub struct Owners {
    owners: HashMap<String, Entry<Box<Identity>>>,
    images: HashMap<String, Entry<Image>>,
    /// How many of both are [`Told::Not`].
    untold: usize,
    /// How often one of them came or changed.
    version: u64,
}

#[derive(Debug)]
struct Entry<T> {
    what: T,
    told: Told,
    /// The cgroup is gone: not needed any more once the collector knows.
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Not,
    Sent,
    Confirmed,
}

/// There is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What goes out together.
#[derive(Debug, Default, PartialEq)]
pub struct Batch {
    /// Whose cgroups are.
    pub owners: Vec<Owner>,
    /// Images.
    pub images: Vec<Image>,
}

impl Owners {
    /// Takes over whose a cgroup is.
    ///
    /// # Errors
    /// If there is no room for another.
    pub fn set(&mut self, cgroup: &str, identity: Identity) -> Result<(), Full> {
        if let Some(entry) = self.owners.get_mut(cgroup) {
            if *entry.what != identity {
                *entry.what = identity;
                entry.is_news(&mut self.untold);
                self.version += 1;
            }
            return Ok(());
        }
        if self.owners.len() >= MAX_OWNERS {
            return Err(Full);
        }
        let entry = Entry::new(Box::new(identity));
        self.owners.insert(cgroup.to_owned(), entry);
        self.untold += 1;
        self.version += 1;
        Ok(())
    }

    /// Takes over what is known of an image, beside what was known before.
    ///
    /// # Errors
    /// If there is no room for another.
    pub fn set_image(&mut self, image: Image) -> Result<(), Full> {
        if let Some(entry) = self.images.get_mut(&image.id) {
            let merged = entry.what.clone().merged(&image);
            if entry.what != merged {
                entry.what = merged;
                entry.is_news(&mut self.untold);
                self.version += 1;
            }
            return Ok(());
        }
        if self.images.len() >= MAX_IMAGES {
            return Err(Full);
        }
        self.images.insert(image.id.clone(), Entry::new(image));
        self.untold += 1;
        self.version += 1;
        Ok(())
    }

    /// Whose a cgroup is, if that is known.
    #[must_use]
    pub fn owner(&self, cgroup: &str) -> Option<&Identity> {
        self.owners.get(cgroup).map(|entry| &*entry.what)
    }

    /// The images of containers.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.images.values().map(|entry| &entry.what)
    }

    /// A number that another is as soon as an owner or an image came or changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether it is known whose a cgroup is.
    #[must_use]
    pub fn knows(&self, cgroup: &str) -> bool {
        self.owners.contains_key(cgroup)
    }

    /// Takes over what an image's files were found to be, without those that would not fit into a
    /// message.
    pub fn set_audit(&mut self, id: &str, mut audit: Audit) {
        if let Some(entry) = self.images.get_mut(id) {
            while audit.weight() > MAX_AUDIT && audit.foreign.pop().is_some() {
                audit.more_foreign += 1;
            }
            entry.what.audit = Some(audit);
            entry.is_news(&mut self.untold);
            self.version += 1;
        }
    }

    /// What is known of an image.
    #[must_use]
    pub fn image(&self, id: &str) -> Option<&Image> {
        self.images.get(id).map(|entry| &entry.what)
    }

    /// A cgroup whose container is of this image, and is there.
    #[must_use]
    pub fn cgroup_of_image(&self, id: &str) -> Option<&str> {
        let mut owners = self.owners.iter();
        let is_of = |entry: &Entry<Box<Identity>>| !entry.ended && entry.what.image_id == id;
        let found = owners.find(|(_, entry)| is_of(entry));
        found.map(|(cgroup, _)| cgroup.as_str())
    }

    /// Notes which cgroups are gone, and returns those that were not before.
    pub fn note_ended(&mut self, exists: impl Fn(&str) -> bool) -> Vec<String> {
        let mut ended = Vec::new();
        for (cgroup, entry) in &mut self.owners {
            if !entry.ended && !exists(cgroup) {
                entry.ended = true;
                ended.push(cgroup.clone());
            }
        }
        ended
    }

    /// Forgets the owners whose cgroups are gone, once the collector knows of them.
    pub fn sweep(&mut self) {
        self.owners
            .retain(|_, entry| !(entry.ended && entry.told == Told::Confirmed));
    }

    /// Whether [`Owners::take_changes`] would return anything.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.untold > 0
    }

    /// Changes of about `bytes` bytes and at most `items`, which are not told again, and how many bytes
    /// they are.
    pub fn take_changes(&mut self, bytes: usize, items: usize) -> (Batch, usize) {
        let mut batch = Batch::default();
        if self.untold == 0 {
            return (batch, 0);
        }
        let (mut weight, mut taken) = (0, 0);
        // One at least goes, whatever its size.
        let mut fits = |more: usize| {
            let fits = weight == 0 || (weight + more <= bytes && taken < items);
            weight += if fits { more } else { 0 };
            taken += usize::from(fits);
            fits
        };
        for (cgroup, entry) in &mut self.owners {
            if entry.told == Told::Not && fits(cgroup.len() + entry.what.weight()) {
                entry.told = Told::Sent;
                batch.owners.push(owner(cgroup, &entry.what));
            }
        }
        for entry in self.images.values_mut() {
            if entry.told == Told::Not && fits(entry.what.weight()) {
                entry.told = Told::Sent;
                batch.images.push(entry.what.clone());
            }
        }
        self.untold -= taken;
        (batch, weight)
    }

    /// Everything; nothing counts as changed afterwards.
    pub fn take_snapshot(&mut self) -> Batch {
        self.untold = 0;
        let mut owners = Vec::with_capacity(self.owners.len());
        for (cgroup, entry) in &mut self.owners {
            entry.told = Told::Sent;
            owners.push(owner(cgroup, &entry.what));
        }
        let mut images = Vec::with_capacity(self.images.len());
        for entry in self.images.values_mut() {
            entry.told = Told::Sent;
            images.push(entry.what.clone());
        }
        Batch { owners, images }
    }

    /// What was told so far has arrived.
    pub fn confirm(&mut self) {
        let owners = self.owners.values_mut().map(|entry| &mut entry.told);
        let images = self.images.values_mut().map(|entry| &mut entry.told);
        for told in owners.chain(images) {
            if *told == Told::Sent {
                *told = Told::Confirmed;
            }
        }
    }
}

impl<T> Entry<T> {
    fn new(what: T) -> Self {
        Self {
            what,
            told: Told::Not,
            ended: false,
        }
    }

    /// It is to be told again; `untold` counts those that are.
    fn is_news(&mut self, untold: &mut usize) {
        *untold += usize::from(self.told != Told::Not);
        self.told = Told::Not;
    }
}

fn owner(cgroup: &str, identity: &Identity) -> Owner {
    Owner {
        cgroup: cgroup.to_owned(),
        identity: identity.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pod: &str) -> Identity {
        Identity {
            pod: pod.to_owned(),
            ..Identity::default()
        }
    }

    fn cgroups(batch: &Batch) -> Vec<&str> {
        let mut cgroups: Vec<_> = batch.owners.iter().map(|owner| &*owner.cgroup).collect();
        cgroups.sort_unstable();
        cgroups
    }

    #[test]
    fn only_what_is_new_is_told_and_all_of_it_in_a_snapshot() {
        let mut owners = Owners::default();
        for cgroup in ["/a", "/b"] {
            assert_eq!(owners.set(cgroup, named("p")), Ok(()));
        }
        assert_eq!(
            cgroups(&owners.take_changes(10_000, usize::MAX).0),
            ["/a", "/b"]
        );
        assert!(!owners.has_changes());
        assert_eq!(owners.set("/a", named("p")), Ok(()));
        assert!(!owners.has_changes(), "it is the same");
        assert_eq!(owners.set("/a", named("q")), Ok(()));
        assert_eq!(cgroups(&owners.take_changes(10_000, usize::MAX).0), ["/a"]);
        assert_eq!(owners.take_snapshot().owners.len(), 2);
        assert!(!owners.has_changes());
    }

    #[test]
    fn a_small_message_takes_one() {
        let mut owners = Owners::default();
        for cgroup in ["/a", "/b"] {
            assert_eq!(owners.set(cgroup, named("p")), Ok(()));
        }
        assert_eq!(owners.take_changes(1, usize::MAX).0.owners.len(), 1);
        assert_eq!(owners.take_changes(1, usize::MAX).0.owners.len(), 1);
        assert_eq!(owners.take_changes(1, usize::MAX), (Batch::default(), 0));
    }

    #[test]
    fn what_ended_stays_until_the_collector_knows() {
        let mut owners = Owners::default();
        assert_eq!(owners.set("/a", named("p")), Ok(()));
        assert_eq!(owners.note_ended(|_| false), ["/a"]);
        assert!(owners.note_ended(|_| false).is_empty(), "told once");
        owners.sweep();
        assert!(owners.knows("/a"));
        owners.take_changes(10_000, usize::MAX);
        owners.sweep();
        assert!(owners.knows("/a"));
        owners.confirm();
        owners.sweep();
        assert!(!owners.knows("/a"));
    }

    #[test]
    fn there_is_room_for_a_node() {
        let mut owners = Owners::default();
        for i in 0..MAX_OWNERS {
            assert_eq!(owners.set(&format!("/{i}"), named("p")), Ok(()));
        }
        assert_eq!(owners.set("/more", named("p")), Err(Full));
        assert_eq!(owners.set("/1", named("q")), Ok(()));
    }
}
