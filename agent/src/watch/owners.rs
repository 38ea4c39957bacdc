//! Whose cgroups are: what their paths say at once, names as the container runtime tells them; and
//! what their images are.

use std::collections::HashMap;

use archtrace_audit::Launch;
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Stage;
use archtrace_facts::identity::{Identity, of_cgroup};
use archtrace_facts::image::Image;
use archtrace_facts::text::escape;

use super::Watch;
use crate::enrich::audits::{Job, Outcome};
use crate::enrich::cgroup::Found;
use crate::enrich::names::{self, News};

/// Images of which it is remembered how they are started, until one of their containers was looked at.
const MAX_LAUNCHES: usize = 256;

/// How images are started that were not looked at yet, and the architecture that they claim to be for.
pub(super) type Launches = HashMap<String, (Option<Arch>, Launch)>;

impl Watch {
    /// The path of the cgroup `id`, in which process `pid` was seen, and has asked whose it is. Empty, and
    /// counted, if nobody knows.
    pub(super) fn cgroup_of(&mut self, id: u64, pid: u32) -> String {
        let found = self.cgroups.path(id, pid);
        if !matches!(found, Some(Found::Surely(_))) {
            self.losses.add(Stage::Attribution, 1);
        }
        let path = found.map(Found::into_path).unwrap_or_default();
        self.ask_owner(&path);
        path
    }

    /// Has asked whose a cgroup is, unless that is known.
    pub(super) fn ask_owner(&mut self, path: &str) {
        if !self.outbox.lock().owners.knows(path) {
            self.names.ask(path, &of_cgroup(path));
        }
    }

    pub(super) fn take_news(&mut self, news: News) {
        match news {
            News::Identity { cgroup, identity } => self.take_identity(&cgroup, identity),
            News::Image(image) => self.take_image(image),
        }
        self.outbox.notify();
    }

    fn take_identity(&mut self, cgroup: &str, identity: Identity) {
        let image = identity.image_id.clone();
        let set = self.outbox.lock().owners.set(cgroup, identity);
        if set.is_err() {
            self.losses.add(Stage::FactTable, 1);
        }
        self.ask_audit(&image, cgroup);
    }

    fn take_image(&mut self, image: names::Image) {
        let names::Image {
            id,
            names,
            arch,
            os,
            variant,
            program,
            path,
            working_dir,
        } = image;
        let bytes = |text: String| (!text.is_empty()).then(|| text.into_bytes());
        let launch = Launch {
            argv: bytes(program).into_iter().collect(),
            path: bytes(path),
            dir: bytes(working_dir),
            ..Launch::default()
        };
        if self.audits.wants(&id) {
            if self.launches.len() >= MAX_LAUNCHES {
                let owners = &self.outbox.lock().owners;
                make_room(&mut self.launches, |image| {
                    owners.cgroup_of_image(image).is_some()
                });
            }
            if self.launches.len() < MAX_LAUNCHES {
                self.launches.insert(id.clone(), (arch, launch));
            }
        }
        let image = Image {
            id: id.clone(),
            names,
            arch,
            os,
            variant,
            audit: None,
        };
        let (set, cgroup) = {
            let owners = &mut self.outbox.lock().owners;
            let set = owners.set_image(image);
            (set, owners.cgroup_of_image(&id).map(ToOwned::to_owned))
        };
        if set.is_err() {
            self.losses.add(Stage::FactTable, 1);
        }
        if let Some(cgroup) = cgroup {
            self.ask_audit(&id, &cgroup);
        }
    }

    /// Has an image looked at where a container of it runs.
    fn ask_audit(&mut self, image: &str, cgroup: &str) {
        if !self.audits.wants(image) {
            return;
        }
        let (arch, launch) = match self.launches.get(image) {
            Some(known) => known.clone(),
            None => match self.outbox.lock().owners.image(image) {
                // It has given up its place: what it is there to run is not known any more.
                Some(image) if image.audit.is_none() => (image.arch, Launch::default()),
                _ => return,
            },
        };
        if let Some(procs) = self.cgroups.procs_at(cgroup) {
            self.audits.ask(Job {
                image: image.to_owned(),
                expected: arch.unwrap_or(self.node),
                launch,
                procs,
            });
        }
    }

    pub(super) fn take_audit(&mut self, image: &str, outcome: Outcome) {
        match outcome {
            Outcome::Done(audit) => {
                tracing::info!(
                    image,
                    files = audit.files,
                    foreign = audit.foreign.len(),
                    "audited"
                );
                self.launches.remove(image);
                self.outbox.lock().owners.set_audit(image, audit);
                self.outbox.notify();
            }
            // There will be another try.
            Outcome::Gone => {}
            Outcome::Failed(error) => {
                self.launches.remove(image);
                tracing::warn!(image, error, "the image was not audited");
                self.losses.add(Stage::Inspection, 1);
            }
        }
    }

    /// Tries the images again that were not looked at yet: their containers may have been too young.
    fn ask_audits(&mut self) {
        let images: Vec<_> = self.launches.keys().cloned().collect();
        for image in images {
            let cgroup = {
                let contents = self.outbox.lock();
                contents
                    .owners
                    .cgroup_of_image(&image)
                    .map(ToOwned::to_owned)
            };
            if let Some(cgroup) = cgroup {
                self.ask_audit(&image, &cgroup);
            }
        }
    }

    /// Asks how those containers ended whose cgroups are gone, and tells how it stands with names.
    pub(super) fn look_after_owners(&mut self) {
        let lost = self.names.lost();
        self.losses
            .add(Stage::Attribution, lost.saturating_sub(self.names_lost));
        self.names_lost = lost;
        let state = escape(self.names.state().to_string().as_bytes());
        let mut contents = self.outbox.lock();
        if contents.preflight.names != state {
            tracing::info!(state, "names of pods");
            contents.preflight.names = state;
        }
        let cgroups = &self.cgroups;
        let ended = contents.owners.note_ended(|cgroup| cgroups.exists(cgroup));
        drop(contents);
        for cgroup in ended {
            self.names.ended(&cgroup);
        }
        self.ask_audits();
    }
}

/// Forgets how images are started of which no container is there any more. The next container of one is
/// looked at all the same.
fn make_room(launches: &mut Launches, is_there: impl Fn(&str) -> bool) {
    launches.retain(|image, _| is_there(image));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_container_gives_up_its_place() {
        let mut owners = archtrace_sink::owners::Owners::default();
        let mut launches = Launches::new();
        for i in 0..4 {
            let identity = Identity {
                image_id: format!("sha256:{i}"),
                ..Identity::default()
            };
            launches.insert(identity.image_id.clone(), (None, Launch::default()));
            assert_eq!(owners.set(&format!("/{i}"), identity), Ok(()));
        }
        owners.note_ended(|cgroup| cgroup == "/2");
        make_room(&mut launches, |image| {
            owners.cgroup_of_image(image).is_some()
        });
        assert_eq!(launches.keys().collect::<Vec<_>>(), ["sha256:2"]);
    }
}
