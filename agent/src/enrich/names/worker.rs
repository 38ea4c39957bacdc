//! The task that looks names up.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use archtrace_cri::{Client, CriError};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::entries::{Entries, Taken};
use super::found::Source;
use super::resolve::{Known, Resolved};
use super::socket::{Socket, sockets};
use super::{Ask, Config, News, State, logs};

/// When so many wait, everything is listed once instead of asking for each.
const MANY: usize = 16;
/// How old such a list must be to be asked for again.
const LISTS_REST: Duration = Duration::from_secs(1);
/// What is not looked at again before then: nobody waits for it.
const NEVER: Duration = Duration::from_secs(86_400);

/// Works until nobody asks any more.
pub(crate) async fn run(
    config: Config,
    mut asks: mpsc::Receiver<Ask>,
    news: mpsc::Sender<News>,
    state: watch::Sender<State>,
    lost: Arc<AtomicU64>,
) {
    let mut worker = Worker {
        next_check: Instant::now(),
        config,
        news,
        state,
        lost,
        client: None,
        entries: Entries::default(),
        known: Known::default(),
    };
    worker.check().await;
    loop {
        let due = worker.entries.next_due();
        let due = due.unwrap_or_else(|| Instant::now() + NEVER);
        let told = tokio::select! {
            ask = asks.recv() => match ask {
                Some(ask) => worker.take(ask).await,
                None => return,
            },
            () = sleep_until(worker.next_check) => {
                worker.check().await;
                Ok(())
            }
            () = sleep_until(due) => worker.work().await,
        };
        if told.is_err() {
            return;
        }
    }
}

/// Nobody listens any more.
struct Closed;

struct Worker {
    config: Config,
    news: mpsc::Sender<News>,
    state: watch::Sender<State>,
    lost: Arc<AtomicU64>,
    /// While the runtime answers.
    client: Option<Client>,
    /// When it is looked for, or looked whether it is still there.
    next_check: Instant,
    entries: Entries,
    known: Known,
}

impl Worker {
    async fn take(&mut self, ask: Ask) -> Result<(), Closed> {
        let now = Instant::now();
        match ask {
            Ask::Whose { cgroup, place } => {
                let (key, taken) = self.entries.ask(cgroup.clone(), place, now);
                match taken {
                    Taken::Known => self.tell_of(&key, cgroup).await?,
                    Taken::Waits => {}
                    Taken::Full => {
                        self.lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            Ask::Ended(cgroup) => self.entries.end(&cgroup, now),
        }
        Ok(())
    }

    /// Looks for a runtime, or whether it is still there.
    async fn check(&mut self) {
        if let Some(client) = &self.client {
            let answer = client.version().await;
            self.next_check = Instant::now() + self.config.pace.check;
            self.known.forget_old_lists();
            match answer {
                Ok(_) => return,
                Err(error) => self.lose(&error),
            }
        }
        let state = self.search().await;
        if let State::Up { .. } = state {
            tracing::info!("names come from {state}");
            self.list().await;
            self.entries.retry(Instant::now());
        }
        let wait = match state {
            State::Up { .. } => self.config.pace.check,
            State::Off => NEVER,
            _ => self.config.pace.search,
        };
        self.next_check = Instant::now() + wait;
        self.say(state);
    }

    async fn search(&mut self) -> State {
        if self.config.socket == Socket::Off {
            return State::Off;
        }
        let candidates = self.config.socket.candidates();
        let mut reason = None;
        for path in sockets(&candidates) {
            match self.connect(path).await {
                Ok(state) => return state,
                Err(error) => reason = reason.or(Some(error.to_string())),
            }
        }
        reason.map_or(State::NoSocket(candidates), State::Silent)
    }

    async fn connect(&mut self, socket: PathBuf) -> Result<State, CriError> {
        let client = Client::new(&socket)?.with_patience(self.config.pace.patience);
        let runtime = client.version().await?;
        self.client = Some(client);
        Ok(State::Up { runtime, socket })
    }

    /// The runtime is gone or hangs: it is looked for again.
    fn lose(&mut self, error: &CriError) {
        self.client = None;
        self.next_check = Instant::now() + self.config.pace.search;
        self.say(State::Silent(error.to_string()));
    }

    fn say(&self, state: State) {
        self.state.send_if_modified(|known| {
            // Said once when it begins; the rest is for who asks.
            if known.is_up() && !state.is_up() {
                tracing::warn!("the container runtime {state}; names come later");
            }
            let is_new = *known != state;
            *known = state;
            is_new
        });
    }

    async fn list(&mut self) {
        let Some(client) = &self.client else { return };
        if let Err(error) = self.known.list(client).await {
            // Too large, perhaps: each is asked for then.
            tracing::debug!(%error, "containers were not listed");
            if error.is_outage() {
                self.lose(&error);
            }
        }
    }

    /// Looks at one that is due.
    async fn work(&mut self) -> Result<(), Closed> {
        let now = Instant::now();
        if self.client.is_some()
            && self.known.listed().is_none_or(|at| now - at > LISTS_REST)
            && self.entries.due(now, MANY) >= MANY
        {
            self.list().await;
        }
        let Some(key) = self.entries.take_due(now, self.config.pace.hold) else {
            return Ok(());
        };
        let resolved = self.ask_runtime(&key).await;
        while let Some(image) = self.known.told.pop() {
            self.send(News::Image(image)).await?;
        }
        match resolved {
            Some(resolved) => self.settle(&key, resolved).await,
            None => self.fall_back(&key).await,
        }
    }

    async fn ask_runtime(&mut self, key: &str) -> Option<Resolved> {
        let client = self.client.as_ref()?;
        let entry = self.entries.get(key)?;
        let before = (entry.found.as_ref())
            .filter(|found| entry.ended.is_some() && found.source == Source::Runtime);
        let answer = match before {
            Some(before) => {
                self.known
                    .end(client, &entry.place.container_id, before)
                    .await
            }
            None => self.known.look(client, &entry.place).await,
        };
        match answer {
            Ok(resolved) => resolved.filter(|resolved| resolved.found.fits(&entry.place)),
            Err(error) => {
                tracing::debug!(%error, "a container was not looked up");
                if error.is_outage() {
                    self.lose(&error);
                }
                None
            }
        }
    }

    /// Tells what the runtime knows.
    async fn settle(&mut self, key: &str, resolved: Resolved) -> Result<(), Closed> {
        let Some(entry) = self.entries.get_mut(key) else {
            return Ok(());
        };
        let is_new = entry.found.as_ref() != Some(&resolved.found);
        entry.found = Some(resolved.found);
        entry.settled = entry.ended.is_none() || resolved.over;
        if entry.settled {
            let forget = entry.ended.map(|ended| ended + self.config.pace.hold);
            entry.tries = 0;
            self.entries.schedule(key, forget);
        } else {
            // Its cgroup goes before the runtime knows that it has ended.
            self.try_again(key);
        }
        if is_new {
            self.tell(key).await?;
        }
        Ok(())
    }

    /// The runtime does not know it, or cannot be asked.
    async fn fall_back(&mut self, key: &str) -> Result<(), Closed> {
        let Some(entry) = self.entries.get_mut(key) else {
            return Ok(());
        };
        let is_new = entry.found.is_none();
        if is_new {
            entry.found = logs::look(&self.config.logs, &entry.place);
        }
        let is_known = entry.found.is_some();
        self.try_again(key);
        if is_new && is_known {
            self.tell(key).await?;
        }
        Ok(())
    }

    /// Tries again later, a few times.
    fn try_again(&mut self, key: &str) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        // Once the names are known and the runtime is not there, only its return changes anything.
        let is_idle = entry.found.is_some() && self.client.is_none();
        let next = self
            .config
            .pace
            .retries
            .get(entry.tries)
            .filter(|_| !is_idle);
        entry.tries += 1;
        let at = match (next, entry.ended) {
            (Some(wait), _) => Some(Instant::now() + *wait),
            (None, Some(ended)) => Some(ended + self.config.pace.hold),
            (None, None) => None,
        };
        self.entries.schedule(key, at);
    }

    /// Tells whose all cgroups of an entry are.
    async fn tell(&self, key: &str) -> Result<(), Closed> {
        let cgroups = self.entries.get(key).map(|entry| &entry.cgroups);
        for (cgroup, _) in cgroups.into_iter().flatten() {
            self.tell_of(key, cgroup.clone()).await?;
        }
        Ok(())
    }

    async fn tell_of(&self, key: &str, cgroup: String) -> Result<(), Closed> {
        let Some(entry) = self.entries.get(key) else {
            return Ok(());
        };
        let Some(found) = &entry.found else {
            return Ok(());
        };
        let identity = found.identity(&entry.place);
        self.send(News::Identity { cgroup, identity }).await
    }

    async fn send(&self, news: News) -> Result<(), Closed> {
        self.news.send(news).await.map_err(|_| Closed)
    }
}
