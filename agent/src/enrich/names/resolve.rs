//! What the container runtime tells of one container.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use archtrace_cri::{Client, Container, CriError, Exit, Sandbox, State};
use archtrace_facts::arch::Arch;
use archtrace_facts::identity::LastExit;
use archtrace_facts::platform::Platform;
use tokio::time::Instant;

use super::Image;
use super::found::{Found, MAX_TEXT, Place, Source, short};
use super::pod::Pod;

/// Images that are remembered, so that each is asked for once: a node has some hundred (the kubelet
/// removes them when the disk is full). Beyond this it starts anew.
const MAX_IMAGES: usize = 512;
/// Names of an image that are told, as many as a collector takes.
const MAX_NAMES: usize = 64;
/// Pods whose entries may be stale before they are swept out.
const MAX_PODS: usize = 1024;
/// Longest path that is told (PATH_MAX, limits.h); nothing longer can be looked up.
const MAX_PATH: usize = 4096;
/// How long lists are worth something: what starts or ends meanwhile is not in them.
const LISTS_LAST: Duration = Duration::from_secs(10);

/// What the kubelet's own container in each pod is called.
const PAUSE: &str = "pause";

/// What is remembered between questions.
#[derive(Default)]
pub(crate) struct Known {
    /// By their sandbox's id, as long as a container of theirs is remembered.
    pods: HashMap<String, Weak<Pod>>,
    /// By what they were asked by: an id, or a name.
    images: HashMap<String, KnownImage>,
    lists: Option<Lists>,
    /// Images that are not told yet.
    pub(crate) told: Vec<Image>,
}

/// What is remembered of an image.
#[derive(Clone, Debug, Default)]
struct KnownImage {
    id: String,
    arch: Option<Arch>,
    /// The first of its names.
    name: String,
}

/// What there is, all at once: one answer instead of thousands when the agent starts, and when many
/// containers do.
struct Lists {
    at: Instant,
    containers: HashMap<String, Container>,
    pods: HashMap<String, Arc<Pod>>,
}

/// What is known now.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) found: Found,
    /// Whether the container has ended, so that nothing will change any more.
    pub(crate) over: bool,
}

impl Known {
    /// When everything was listed last, and it is still remembered.
    pub(crate) fn listed(&self) -> Option<Instant> {
        self.lists.as_ref().map(|lists| lists.at)
    }

    /// Lists everything.
    pub(crate) async fn list(&mut self, client: &Client) -> Result<(), CriError> {
        self.lists = None;
        let at = Instant::now();
        let pods = (client.sandboxes().await?.into_iter())
            .map(|sandbox| (sandbox.id.clone(), Arc::new(Pod::from(&sandbox))))
            .collect();
        let containers = (client.containers().await?.into_iter())
            .map(|container| (container.id.clone(), container))
            .collect();
        self.lists = Some(Lists {
            at,
            containers,
            pods,
        });
        Ok(())
    }

    /// Forgets the lists once what they say is old.
    pub(crate) fn forget_old_lists(&mut self) {
        if self.listed().is_some_and(|at| at.elapsed() > LISTS_LAST) {
            self.lists = None;
        }
    }

    /// What the runtime tells of what is at `place`; `None` if it does not know it (yet).
    pub(crate) async fn look(
        &mut self,
        client: &Client,
        place: &Place,
    ) -> Result<Option<Resolved>, CriError> {
        self.forget_old_lists();
        if place.container_id.is_empty() {
            return self.pod_by_uid(client, &place.pod_uid).await;
        }
        let id = &*place.container_id;
        let listed = self
            .lists
            .as_mut()
            .and_then(|lists| lists.containers.remove(id));
        let container = match listed {
            Some(container) => Some(container),
            None => client.container(id).await?,
        };
        match container {
            Some(container) => self.container(client, container).await.map(Some),
            None => self.pause(client, id).await,
        }
    }

    /// How what was found before has ended; `None` if the runtime does not know it any more.
    pub(crate) async fn end(
        &mut self,
        client: &Client,
        id: &str,
        before: &Found,
    ) -> Result<Option<Resolved>, CriError> {
        let Some(status) = known(client.container_status(id).await)? else {
            return Ok(None);
        };
        let mut found = before.clone();
        let over = status.exit.is_some();
        if let Some(exit) = status.exit {
            found.last_exit = Some(last_exit(&exit));
        }
        Ok(Some(Resolved { found, over }))
    }

    async fn container(&mut self, client: &Client, told: Container) -> Result<Resolved, CriError> {
        let pod = self.pod(client, &told.sandbox_id).await?;
        let status = if pod.is_none() || told.state == State::Exited {
            known(client.container_status(&told.id).await)?
        } else {
            None
        };
        let pod = match (pod, &status) {
            (Some(pod), _) => pod,
            // Its sandbox was removed meanwhile.
            (None, Some(status)) => Arc::new(Pod::of_container(status)),
            (None, None) => Arc::default(),
        };
        let mut exit = status.and_then(|status| status.exit);
        let over = exit.is_some();
        if exit.is_none() && told.attempt > 0 {
            exit = previous_exit(client, &told).await?;
        }
        let asked = match &*told.image_id {
            "" => &told.image,
            id => id,
        };
        let image = self.image(client, asked).await?.unwrap_or_default();
        // What the kubelet asks containerd for is an id, and before 2.0 it tells no more. Then a name
        // that the image has here must do, as it does for containerd itself (`toCRIContainerStatus`,
        // pkg/cri/server/container_status.go).
        let name = match &*told.image {
            id if id.is_empty() || id.starts_with("sha256:") => image.name,
            name => short(name),
        };
        Ok(Resolved {
            found: Found {
                source: Source::Runtime,
                pod,
                container: short(&told.name),
                image: name,
                image_id: match image.id {
                    id if id.is_empty() => told.image_id,
                    id => id,
                },
                image_arch: image.arch,
                attempt: told.attempt,
                last_exit: exit.as_ref().map(last_exit),
            },
            over,
        })
    }

    /// The container that keeps the namespaces of its pod: it has the sandbox's id.
    async fn pause(&mut self, client: &Client, id: &str) -> Result<Option<Resolved>, CriError> {
        let Some(pod) = self.pod(client, id).await? else {
            return Ok(None);
        };
        let found = Found {
            container: PAUSE.to_owned(),
            ..Found::pod(Source::Runtime, pod)
        };
        // How it ends is not told.
        Ok(Some(Resolved { found, over: true }))
    }

    async fn pod(&mut self, client: &Client, sandbox: &str) -> Result<Option<Arc<Pod>>, CriError> {
        if let Some(pod) = self.pods.get(sandbox).and_then(Weak::upgrade) {
            return Ok(Some(pod));
        }
        let listed = self
            .lists
            .as_ref()
            .and_then(|lists| lists.pods.get(sandbox));
        let pod = match listed {
            Some(pod) => Arc::clone(pod),
            None => match known(client.sandbox_status(sandbox).await)? {
                Some(told) => Arc::new(Pod::from(&told)),
                None => return Ok(None),
            },
        };
        if self.pods.len() >= MAX_PODS {
            self.pods.retain(|_, pod| pod.strong_count() > 0);
        }
        self.pods.insert(sandbox.to_owned(), Arc::downgrade(&pod));
        Ok(Some(pod))
    }

    async fn pod_by_uid(
        &mut self,
        client: &Client,
        uid: &str,
    ) -> Result<Option<Resolved>, CriError> {
        let listed = (self.lists.as_ref())
            .and_then(|lists| lists.pods.values().find(|pod| pod.uid == uid).cloned());
        let pod = match listed {
            Some(pod) => Some(pod),
            None => (client.sandboxes_of(uid).await?.iter())
                .max_by_key(|sandbox| sandbox.created_at)
                .map(|sandbox: &Sandbox| Arc::new(Pod::from(sandbox))),
        };
        Ok(pod.map(|pod| Resolved {
            found: Found::pod(Source::Runtime, pod),
            over: true,
        }))
    }

    /// What is remembered of an image, which is told when it is seen for the first time.
    async fn image(
        &mut self,
        client: &Client,
        asked: &str,
    ) -> Result<Option<KnownImage>, CriError> {
        if asked.is_empty() || asked.len() > MAX_TEXT {
            return Ok(None);
        }
        if let Some(known) = self.images.get(asked) {
            return Ok(Some(known.clone()));
        }
        let Some(told) = known(client.image_status(asked).await)?.flatten() else {
            // It may have been removed; the next container of it asks again.
            return Ok(None);
        };
        let image = image(told);
        let known = KnownImage {
            id: image.id.clone(),
            arch: image.arch,
            name: image.names.first().cloned().unwrap_or_default(),
        };
        if self.images.len() >= MAX_IMAGES {
            self.images.clear();
        }
        let is_new = !self.images.values().any(|other| other.id == image.id);
        self.images.insert(asked.to_owned(), known.clone());
        if is_new && !image.id.is_empty() {
            self.told.push(image);
        }
        Ok(Some(known))
    }
}

/// How the attempt before this one ended, which the kubelet leaves there until there is a newer one.
async fn previous_exit(client: &Client, told: &Container) -> Result<Option<Exit>, CriError> {
    let siblings = client.containers_of(&told.sandbox_id).await?;
    let previous = (siblings.iter())
        .filter(|other| other.name == told.name && other.attempt < told.attempt)
        .max_by_key(|other| other.attempt);
    let Some(previous) = previous else {
        return Ok(None);
    };
    let status = known(client.container_status(&previous.id).await)?;
    Ok(status.and_then(|status| status.exit))
}

/// What is not known is no error.
fn known<T>(answer: Result<T, CriError>) -> Result<Option<T>, CriError> {
    match answer {
        Ok(told) => Ok(Some(told)),
        Err(CriError::Unknown { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn last_exit(exit: &Exit) -> LastExit {
    LastExit {
        code: exit.code,
        reason: short(&exit.reason),
    }
}

fn image(told: archtrace_cri::Image) -> Image {
    let config = told.config.unwrap_or_default();
    let platform = Platform::named(&config.os, &config.architecture, &config.variant);
    let names = told.tags.iter().chain(&told.digests);
    Image {
        id: short(&told.id),
        names: names.take(MAX_NAMES).map(|name| short(name)).collect(),
        arch: platform.arch.parse().ok(),
        os: short(&config.os),
        variant: short(&config.variant),
        // These are looked up, and so stay as they are.
        program: path(config.program),
        path: path(config.path),
        working_dir: path(config.working_dir),
    }
}

fn path(mut told: String) -> String {
    if told.len() > MAX_PATH {
        told.clear();
    }
    told
}
