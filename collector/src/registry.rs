//! Asks registries for the tags that pods ask for, and keeps what they told.
//!
//! In memory: what a registry has changes without anybody telling, so that an answer that is older than the
//! interval is worth little, and after a start all are asked again within minutes. Each replica asks for
//! itself. Answers to people never wait for a registry.

mod schedule;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use archtrace_facts::registry::{Check, Listing, Reference, Trouble};
use archtrace_query::{Query, Registry};
use archtrace_registry::credentials::CredentialsError;
use archtrace_registry::{Client, Credentials, RootsError, is_local_address, is_loopback, roots};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::store::Store;
use crate::watched::Watched;
use schedule::Schedule;

/// How often it is looked at what pods ask for, at most.
const ROUND: Duration = Duration::from_secs(2);
/// Tags that are asked for at once, each of another registry: what they hold of answers is bounded by this.
const AT_ONCE: usize = 4;
/// Tags that are begun with in a second, at most: 10,000 tags take half an hour if their registries answer
/// as fast, and no registry notices.
const PER_SECOND: u32 = 5;
/// Bytes of a `config.json`: a Secret of Kubernetes' is no larger.
const MAX_CONFIG: u64 = 1 << 20;

/// How registries are asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often each tag is asked for.
    pub every: Duration,
    /// A `config.json` of Docker's, with credentials.
    pub config: Option<PathBuf>,
    /// CAs of registries, PEM, besides the system's.
    pub ca: Option<PathBuf>,
    /// Hosts that may be spoken to without TLS, besides loopback.
    pub plaintext: Vec<String>,
    /// Hosts that are asked, and no others; all but this machine and its link if empty.
    pub only: Vec<String>,
}

/// Why registries cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryCheckError {
    /// The file with credentials cannot be read.
    #[error("cannot read --registry-config {}: {reason}", path.display())]
    Config {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        reason: std::io::Error,
    },
    /// It is something else.
    #[error("--registry-config {}: {reason}; docker login writes such a file", path.display())]
    Credentials {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        reason: CredentialsError,
    },
    /// The CA cannot be used.
    #[error(
        "--registry-ca: {0}; it is a PEM file of the CA that signed the registry's certificate"
    )]
    Roots(#[from] RootsError),
    /// TLS cannot be set up.
    #[error("cannot ask registries by TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What registries told.
#[derive(Debug)]
pub(crate) struct Checks {
    client: Client,
    only: Vec<String>,
    credentials: ArcSwap<Credentials>,
    schedule: Mutex<Schedule>,
    /// How often each trouble was met, in the order of [`Trouble::ALL`].
    troubles: [AtomicU64; Trouble::ALL.len()],
}

impl Checks {
    /// Reads what is needed. Nothing is asked yet.
    ///
    /// # Errors
    /// If a file cannot be used.
    pub(crate) async fn start(
        options: Options,
        over: &CancellationToken,
    ) -> Result<Arc<Self>, RegistryCheckError> {
        let Options {
            every,
            config,
            ca,
            plaintext,
            only,
        } = options;
        let roots = roots(ca.as_deref())?;
        let client = Client::new(archtrace_registry::Options {
            plaintext,
            local: only.clone(),
            roots,
        })?;
        let mut credentials = Credentials::default();
        let mut watched = None;
        if let Some(path) = config {
            let mut file = Watched::new(path.clone(), MAX_CONFIG);
            let text = file.read().await;
            let text = text.map_err(|reason| RegistryCheckError::Config {
                path: path.clone(),
                reason,
            })?;
            credentials = Credentials::parse(&text)
                .map_err(|reason| RegistryCheckError::Credentials { path, reason })?;
            say(&credentials);
            watched = Some(file);
        }
        let checks = Arc::new(Self {
            client,
            only: only.iter().map(|host| host.to_ascii_lowercase()).collect(),
            credentials: ArcSwap::from_pointee(credentials),
            schedule: Mutex::new(Schedule::new(every)),
            troubles: Default::default(),
        });
        if let Some(file) = watched {
            let following = Arc::clone(&checks).follow(file);
            tokio::spawn(over.clone().run_until_cancelled_owned(following));
        }
        Ok(checks)
    }

    /// What people are shown besides the log: numbers that should be 0.
    pub(crate) fn troubles(&self) -> Vec<(String, u64)> {
        let counts = Trouble::ALL.iter().zip(&self.troubles);
        let counts =
            counts.map(|(trouble, count)| (trouble.as_str(), count.load(Ordering::Relaxed)));
        let left_out = ("left_out", self.schedule().left_out());
        let all = counts.chain(std::iter::once(left_out));
        all.filter(|(_, count)| *count > 0)
            .map(|(what, count)| (format!("registry_{what}"), count))
            .collect()
    }

    /// Takes over credentials whenever the file is another one.
    async fn follow(self: Arc<Self>, mut file: Watched) {
        loop {
            let read = file.next().await;
            let parsed = match read.text {
                Ok(text) => Credentials::parse(&text).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            file.was_good(parsed.is_ok());
            match parsed {
                Ok(credentials) => {
                    say(&credentials);
                    self.credentials.store(Arc::new(credentials));
                    self.schedule().again(Trouble::Denied, Instant::now());
                }
                Err(error) if read.is_other => {
                    let path = file.path().display();
                    warn!(%path, error, "the credentials of registries that were read before stay in force");
                }
                Err(_) => {}
            }
        }
    }

    async fn ask(self: Arc<Self>, reference: Reference, known: Option<Listing>) {
        let credentials = self.credentials.load_full();
        let asked = self.client.ask(&reference, &credentials, known.as_ref());
        let told = asked.await;
        let after = told
            .as_ref()
            .err()
            .and_then(archtrace_registry::RegistryError::retry_after);
        let check = Check {
            reference: reference.to_string(),
            checked_at: Some(SystemTime::now()),
            told: told.map_err(|error| (&error).into()),
        };
        if let Err(problem) = &check.told {
            self.troubles[problem.trouble as usize].fetch_add(1, Ordering::Relaxed);
        }
        let random = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
        let now = Instant::now();
        let is_news = self.schedule().told(&reference, &check, after, now, random);
        if let (Err(problem), true) = (&check.told, is_news) {
            let trouble = problem.trouble.as_str();
            warn!(%reference, trouble, "{}; more of the same is counted only", problem.message);
        }
    }

    /// Why this registry is not asked, if it is not.
    fn left_alone(&self, reference: &Reference) -> Option<&'static str> {
        let host = &reference.registry;
        if self.only.contains(host) {
            return None;
        }
        if !self.only.is_empty() {
            return Some("its registry is none of --registry-only");
        }
        // What is here is not what a node has under the same name.
        if is_loopback(host) {
            return Some(
                "loopback is a registry of each node's own, and here another; --registry-only asks it all the same",
            );
        }
        is_local_address(host).then_some(
            "an address of a network link is another machine on each node; --registry-only asks it all the same",
        )
    }

    /// It cannot be left half changed, so that a panic elsewhere does not matter here.
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry for Checks {
    fn check(&self, reference: &str) -> Arc<Check> {
        let not_asked = |why: &str| Arc::new(Check::without(reference, Trouble::NotAsked, why));
        let parsed = match reference.parse::<Reference>() {
            Ok(parsed) => parsed,
            Err(error) => {
                let why = error.to_string();
                return Arc::new(Check::without(reference, Trouble::NoReference, why));
            }
        };
        if let Some(why) = self.left_alone(&parsed) {
            return not_asked(why);
        }
        let schedule = self.schedule();
        match schedule.check(&parsed) {
            Some(check) => check,
            None if schedule.has(&parsed) => {
                let whole = parsed.to_string();
                let why = "its turn comes within minutes";
                Arc::new(Check::without(&whole, Trouble::NotAsked, why))
            }
            None if schedule.left_out() > 0 => not_asked("there are more tags than are asked for"),
            None => not_asked("it is not known to be deployed"),
        }
    }
}

/// Runs until `shutdown` is cancelled: then nothing is to be asked any more. Does not return.
pub(crate) async fn run<S: Store>(
    checks: Arc<Checks>,
    query: Query<S>,
    shutdown: CancellationToken,
) {
    shutdown
        .run_until_cancelled(ask_for_ever(checks, query))
        .await;
    std::future::pending::<()>().await;
}

/// What is being asked ends with this.
async fn ask_for_ever<S: Store>(checks: Arc<Checks>, query: Query<S>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut pace = interval(Duration::from_secs(1) / PER_SECOND);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut asking, mut failing) = (JoinSet::new(), false);
    loop {
        let begun = Instant::now();
        match query.references().await {
            Ok(references) => {
                failing = false;
                let parsed = references.iter().filter_map(|text| text.parse().ok());
                let deployed: BTreeSet<_> = parsed
                    .filter(|reference| checks.left_alone(reference).is_none())
                    .collect();
                checks.schedule().take(deployed, Instant::now());
            }
            Err(status) => {
                if !failing {
                    warn!(%status, "it is not known which tags to ask registries for; trying again");
                }
                failing = true;
            }
        }
        while begun.elapsed() < ROUND {
            pace.tick().await;
            // Nobody closes it.
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let due = checks.schedule().due(Instant::now());
            let Some((reference, known)) = due else {
                continue;
            };
            let turn = Turn {
                checks: Arc::clone(&checks),
                registry: reference.registry.clone(),
            };
            let asked = Arc::clone(&checks).ask(reference, known);
            asking.spawn(async move {
                asked.await;
                drop((turn, permit));
            });
        }
        while let Some(ended) = asking.try_join_next() {
            if let Err(error) = ended {
                // Its turn comes again.
                error!(%error, "asking a registry failed");
            }
        }
    }
}

/// A registry that is being asked; it may be asked for its next tag when this is dropped, whatever became of it.
struct Turn {
    checks: Arc<Checks>,
    registry: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.checks.schedule().over(&self.registry);
    }
}

/// What is used, and what is not although somebody may think so.
fn say(credentials: &Credentials) {
    info!(
        logins = credentials.logins(),
        "credentials of registries are in force"
    );
    for (registry, why) in credentials.unused() {
        warn!(registry, "no credentials: {why}");
    }
}
