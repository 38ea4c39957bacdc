//! Following the changes of `binfmt_misc`.

use std::os::fd::OwnedFd;
use std::time::SystemTime;

use archtrace_facts::binfmt::Rule;
use archtrace_facts::fact::HandlerChangeKind;
use archtrace_facts::node::Handler;
use archtrace_facts::report::HandlerChange;
use nix::sys::inotify::Inotify;
use tokio::io::unix::AsyncFd;

use super::Watch;
use crate::readable;
use crate::source::registry;
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
        self.tell_handlers(registry.rules());
        describe_registry(&mut self.outbox.lock().preflight, &registry);
        self.sensor.registry = registry;
        self.tell_interpreters();
    }

    /// Tells which handlers came and went. One that is disabled is as good as gone.
    fn tell_handlers(&self, rules: &[Rule]) {
        let enabled = |rules: &[Rule]| -> Vec<Handler> {
            let enabled = rules.iter().filter(|rule| rule.enabled);
            enabled.map(Handler::from).collect()
        };
        let (before, after) = (enabled(self.sensor.registry.rules()), enabled(rules));
        // Whoever takes a handler out writes to it first, which changes its time.
        let same = |one: &Handler, other: &Handler| {
            let since = None;
            Handler {
                since,
                ..one.clone()
            } == Handler {
                since,
                ..other.clone()
            }
        };
        let is_among = |all: &[Handler], one: &Handler| all.iter().any(|other| same(one, other));
        let gone = before.iter().filter(|handler| !is_among(&after, handler));
        let come = after.iter().filter(|handler| !is_among(&before, handler));
        let changes = gone
            .map(|handler| (HandlerChangeKind::Removed, handler))
            .chain(come.map(|handler| (HandlerChangeKind::Added, handler)));
        let time = SystemTime::now();
        let mut contents = self.outbox.lock();
        for (kind, handler) in changes {
            tracing::info!(
                name = handler.name,
                interpreter = handler.interpreter,
                "{kind}"
            );
            contents.push_handler(HandlerChange {
                time,
                kind,
                handler: handler.clone(),
            });
        }
    }

    /// Tells the programs what interpreter strings stand for.
    pub(super) fn tell_interpreters(&mut self) {
        let table = self
            .interpreters
            .table(self.sensor.hash_seed, self.sensor.registry.rules());
        self.sensor.maps.set_interpreters(&table);
    }
}
