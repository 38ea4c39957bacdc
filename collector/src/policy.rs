//! Which agents have to run: from a file that people change.
//!
//! | module | what |
//! |---|---|
//! | `document` | how a policy is written |
//! | `read` | from a text to a policy, or the line that is wrong and the remedy |

mod document;
mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use archtrace_facts::coverage::InForce;
use archtrace_facts::text::escape;
use archtrace_query::{Mandated, Mandates, Policies};
use tokio_util::sync::CancellationToken;

use crate::watched::{Read, Watched};

/// Bytes of a policy: a hundred agents of ten thousand.
const MAX_BYTES: u64 = 1 << 20;

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("cannot read the policy {path}: {reason}; check --policy", path = path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What went wrong.
        reason: std::io::Error,
    },
    /// The file is no policy.
    #[error("{path}:{line}: {what}", path = path.display())]
    Wrong {
        /// Which one.
        path: PathBuf,
        /// Where.
        line: u64,
        /// What is wrong, and the remedy.
        what: String,
    },
}

/// The policy in force, which a task keeps up to date.
#[derive(Debug)]
struct File {
    policy: ArcSwap<Mandated>,
    problem: ArcSwap<String>,
}

impl Policies for File {
    fn policy(&self) -> Arc<Mandated> {
        self.policy.load_full()
    }

    fn problem(&self) -> String {
        self.problem.load().as_str().to_owned()
    }
}

/// What to do where there is no policy.
const NOBODY: Mandates = Mandates::Nobody(
    "this collector knows of no agents that have to run: name them in a file and start it with --policy \
     FILE",
);

/// Reads the policy, if there is to be one, and keeps it up to date until `over` is cancelled.
///
/// # Errors
/// If it cannot be read, or is none.
pub(crate) async fn start(
    path: Option<PathBuf>,
    over: CancellationToken,
) -> Result<Mandates, PolicyError> {
    let Some(path) = path else {
        return Ok(NOBODY);
    };
    let mut watched = Watched::new(path, MAX_BYTES);
    let text = watched.read().await;
    let policy = mandated(watched.path(), text)?;
    tracing::info!(path = %watched.path().display(), agents = policy.in_force.agents, "read the policy");
    let file = Arc::new(File {
        policy: ArcSwap::from_pointee(policy),
        problem: ArcSwap::default(),
    });
    let keeps = keep(watched, Arc::clone(&file));
    tokio::spawn(async move { over.run_until_cancelled(keeps).await });
    Ok(Mandates::Of(file))
}

/// What is in this file, if it is a policy.
///
/// # Errors
/// If it cannot be read, or is none.
pub async fn check(path: &Path) -> Result<Mandated, PolicyError> {
    let text = Watched::new(path.to_owned(), MAX_BYTES).read().await;
    mandated(path, text)
}

/// Reads the policy again whenever the file changes. One that is wrong leaves the one before it in force.
async fn keep(mut watched: Watched, file: Arc<File>) {
    loop {
        let Read { text, is_other } = watched.next().await;
        let path = watched.path().display();
        let read = mandated(watched.path(), text);
        let is_good = read.is_ok();
        match read {
            Ok(policy) => {
                tracing::info!(%path, agents = policy.in_force.agents, "read the policy again");
                file.policy.store(Arc::new(policy));
                file.problem.store(Arc::default());
            }
            Err(error) => {
                if is_other {
                    tracing::warn!(%error, "the policy stays as it was");
                }
                // Paths may hold anything, and people's terminals will see it.
                let problem = escape(error.to_string().as_bytes());
                file.problem.store(Arc::new(problem));
            }
        }
        watched.was_good(is_good);
    }
}

fn mandated(path: &Path, text: std::io::Result<String>) -> Result<Mandated, PolicyError> {
    let text = text.map_err(|reason| PolicyError::Read {
        path: path.to_owned(),
        reason,
    })?;
    let policy = read::policy(&text).map_err(|wrong| PolicyError::Wrong {
        path: path.to_owned(),
        line: wrong.line,
        what: wrong.what,
    })?;
    Ok(Mandated {
        in_force: InForce {
            source: escape(path.as_os_str().as_encoded_bytes()),
            agents: u64::try_from(policy.agents.len()).unwrap_or(u64::MAX),
            loaded_at: Some(SystemTime::now()),
            problem: String::new(),
        },
        policy,
    })
}

#[cfg(test)]
mod tests;
