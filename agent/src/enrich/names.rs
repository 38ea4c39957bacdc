//! From containers' ids to names: pod, container, image, and how it ended.
//!
//! The watching side asks and goes on; a task of its own asks the container runtime, and the answers
//! come when they come. A runtime that hangs or is gone delays names and nothing else.

mod entries;
mod found;
mod logs;
mod pod;
mod resolve;
mod socket;
mod state;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use archtrace_facts::arch::Arch;
use archtrace_facts::identity::Identity;
use tokio::sync::{mpsc, watch};

use found::Place;
pub(crate) use socket::Socket;
pub(crate) use state::State;

/// Questions that wait to be taken: every cgroup of a busy node at once, at some 400 bytes.
const MAX_WAITING: usize = 4096;
/// Questions and answers on their way; the one side takes them as fast as the other makes them.
const ON_THE_WAY: usize = 64;

/// Where names come from.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The container runtime's socket.
    pub(crate) socket: Socket,
    /// `/var/log` of the node, where the kubelet keeps a directory for each pod.
    pub(crate) logs: PathBuf,
    /// How long what takes.
    pub(crate) pace: Pace,
}

/// How long what takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long an answer of the runtime is waited for. One that answers at all does so in
    /// milliseconds, and only names wait.
    pub(crate) patience: Duration,
    /// How often a socket is looked for while none answers.
    pub(crate) search: Duration,
    /// How often a runtime that nobody asks is asked whether it is there.
    pub(crate) check: Duration,
    /// When what is not known is asked for again. A sandbox becomes known only after its first
    /// program runs (containerd 1.6, `RunPodSandbox`), and a log after the kubelet has looked.
    pub(crate) retries: &'static [Duration],
    /// How long what has ended is remembered: events that come late still get its names.
    pub(crate) hold: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        const RETRIES: [Duration; 5] = [
            Duration::from_millis(100),
            Duration::from_millis(400),
            Duration::from_millis(1600),
            Duration::from_secs(6),
            Duration::from_secs(25),
        ];
        Self {
            patience: Duration::from_secs(5),
            search: Duration::from_secs(3),
            check: Duration::from_secs(15),
            retries: &RETRIES,
            hold: Duration::from_secs(60),
        }
    }
}

/// What became known. Texts are printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Whose a cgroup is; again whenever more is known.
    Identity {
        /// As it was asked.
        cgroup: String,
        /// What was known, and what came to it.
        identity: Identity,
    },
    /// An image of a container; once.
    Image(Image),
}

/// What an image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// As [`Identity::image_id`].
    pub(crate) id: String,
    /// References with tags or digests.
    pub(crate) names: Vec<String>,
    /// The architecture it claims to be for.
    pub(crate) arch: Option<Arch>,
    /// The operating system it claims to be for.
    pub(crate) os: String,
    /// The variant of the architecture.
    pub(crate) variant: String,
    /// What it is there to run: a path, or a name to be looked for in `path`.
    pub(crate) program: String,
    /// `PATH` of its environment.
    pub(crate) path: String,
    /// Where a relative `program` starts from.
    pub(crate) working_dir: String,
}

/// What the watching side holds of it.
pub(crate) struct Names {
    config: Config,
    waiting: VecDeque<Ask>,
    lost: Arc<AtomicU64>,
    worker: Worker,
}

/// The ends of what leads to the task. It ends when they are dropped.
struct Worker {
    asks: mpsc::Sender<Ask>,
    news: mpsc::Receiver<News>,
    state: watch::Receiver<State>,
}

enum Ask {
    /// Whose is this cgroup?
    Whose { cgroup: String, place: Place },
    /// This cgroup is gone.
    Ended(String),
}

impl Names {
    /// Starts to look for a runtime. To be called within a runtime of tokio.
    pub(crate) fn start(config: Config) -> Self {
        let lost = Arc::new(AtomicU64::new(0));
        let worker = start(&config, &lost);
        Self {
            config,
            waiting: VecDeque::new(),
            lost,
            worker,
        }
    }

    /// Asks whose a cgroup is, of which `path` is what its path says. Does not wait, and does nothing
    /// for what is in no pod or container. Answers come from [`Names::next`], if there are any.
    pub(crate) fn ask(&mut self, cgroup: &str, path: &Identity) {
        if path.pod_uid.is_empty() && path.container_id.is_empty() {
            return;
        }
        let cgroup = cgroup.to_owned();
        let place = Place::from(path);
        self.wait(Ask::Whose { cgroup, place });
    }

    /// The cgroup is gone: how its container ended is asked for once more.
    pub(crate) fn ended(&mut self, cgroup: &str) {
        self.wait(Ask::Ended(cgroup.to_owned()));
    }

    /// What is known next. Waits for ever while there is nothing, and must be waited for, so that
    /// questions get on. May be dropped at any time without losing anything.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            let Worker { asks, news, .. } = &mut self.worker;
            let told = tokio::select! {
                place = asks.reserve(), if !self.waiting.is_empty() => {
                    if let (Ok(place), Some(ask)) = (place, self.waiting.pop_front()) {
                        place.send(ask);
                        continue;
                    }
                    None
                }
                told = news.recv() => told,
            };
            match told {
                Some(told) => return told,
                None => self.start_anew().await,
            }
        }
    }

    /// How it stands with the runtime.
    pub(crate) fn state(&self) -> State {
        self.worker.state.borrow().clone()
    }

    /// Questions that were dropped so far because there were too many.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn wait(&mut self, ask: Ask) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(ask);
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The task has died of something that it must not die of. Names are worth another try, but not
    /// one after the other.
    async fn start_anew(&mut self) {
        tracing::error!("the task that looks names up has died; it is started anew");
        tokio::time::sleep(self.config.pace.search).await;
        self.worker = start(&self.config, &self.lost);
    }
}

fn start(config: &Config, lost: &Arc<AtomicU64>) -> Worker {
    let (asks, asked) = mpsc::channel(ON_THE_WAY);
    let (telling, news) = mpsc::channel(ON_THE_WAY);
    let (stating, state) = watch::channel(State::Starting);
    let (config, lost) = (config.clone(), Arc::clone(lost));
    tokio::spawn(worker::run(config, asked, telling, stating, lost));
    Worker { asks, news, state }
}
