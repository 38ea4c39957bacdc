//! Following the changes of `binfmt_misc`.

use std::os::fd::OwnedFd;

use nix::sys::inotify::Inotify;
use tokio::io::unix::AsyncFd;

use super::Watch;
use crate::readable;
use crate::source::registry::{self, Registry};
use crate::source::sensor::describe_registry;

/// A handle that tells of changes of the registry, where the kernel does.
pub(super) struct Changes {
    inotify: Inotify,
    readable: AsyncFd<OwnedFd>,
}

impl Changes {
    /// `None` as long as there is no registry.
    pub(super) fn watch() -> Option<Self> {
        let inotify = registry::watch()?;
        let readable = readable::watch(&inotify).ok()?;
        Some(Self { inotify, readable })
    }

    /// Takes what was told; whether it was anything. What changed does not matter: all is read.
    fn take(&self) -> bool {
        let mut any = false;
        while self
            .inotify
            .read_events()
            .is_ok_and(|events| !events.is_empty())
        {
            any = true;
        }
        any
    }
}

/// Waits until the registry was written to; for ever where that is not told.
pub(super) async fn changed(changes: Option<&Changes>) {
    let Some(changes) = changes else {
        return std::future::pending().await;
    };
    if let Ok(mut ready) = changes.readable.readable().await {
        changes.take();
        ready.clear_ready();
    }
}

impl Watch {
    /// Reads the registry, unless it is known to be as it was. For questions whose answer must not
    /// be older than they are.
    pub(super) fn refresh_registry(&mut self) {
        if self.changes.as_ref().is_none_or(Changes::take) {
            self.read_registry();
        }
    }

    /// Reads the registry, and tells the programs what has changed.
    pub(super) fn read_registry(&mut self) {
        if self.changes.is_none() {
            self.changes = Changes::watch();
        }
        let registry = registry::read();
        if registry == self.sensor.registry {
            return;
        }
        if let Registry::Seen(rules) = &registry {
            tracing::info!(handlers = rules.len(), "binfmt_misc changed");
        }
        describe_registry(&mut self.outbox.lock().preflight, &registry);
        self.sensor.registry = registry;
        self.tell_interpreters();
    }

    /// Tells the programs what interpreter strings stand for.
    pub(super) fn tell_interpreters(&mut self) {
        let table = self
            .interpreters
            .table(self.sensor.hash_seed, self.sensor.registry.rules());
        self.sensor.maps.set_interpreters(&table);
    }
}
