//! The one connection that writes, on a thread of its own, with group commit.

use std::sync::Arc;
use std::thread;

use rusqlite::Connection;
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::sync::{mpsc, oneshot};

use crate::store::StoreError;

/// Jobs that wait. Each agent has at most one at a time, so this is reached when more agents write
/// at once than one commit takes in; then callers wait, which is how agents are slowed down.
const QUEUE: usize = 1024;

/// Jobs per commit. At 30 facts each these are some 8,000 rows, about 100 ms: the longest that one
/// agent's acknowledgement waits for the others.
const GROUP: usize = 256;

/// The writer's niceness: a third of the others' share of a processor that all want (sched(7)).
const NICE: i32 = 5;

/// What a job may fail with: SQLite's errors and those of values that do not read.
pub(super) use crate::store::sql::Failure;

/// Whether what a job wrote is to stay.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// It is.
    Keep(T),
    /// As if the job had written nothing.
    TakeBack(T),
}

/// Runs inside the group's transaction, if there is one, and returns what to do after the commit.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Finish + Send>;
type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

#[derive(Debug)]
pub(super) struct Writer {
    store: Arc<str>,
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(super) fn start(connection: Connection, store: &Arc<str>) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let name = Arc::clone(store);
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write(connection, &name, queue))?;
        Ok(Self {
            store: Arc::clone(store),
            jobs,
        })
    }

    /// Runs `change` and waits until it is committed. It sees all or nothing: what it wrote before
    /// it failed is taken back, without touching the other jobs of the group.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        change: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.try_run(what, |db| change(db).map(Outcome::Keep)).await
    }

    /// Like [`Writer::run`], for a change that may turn out not to be wanted.
    pub(super) async fn try_run<T: Send + 'static>(
        &self,
        what: &'static str,
        change: impl FnOnce(&Connection) -> Result<Outcome<T>, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let store = Arc::clone(&self.store);
        let job: Job = Box::new(move |db| {
            let result = db.and_then(|db| {
                savepoint(db, change).map_err(|reason| failed(&store, what, reason))
            });
            Box::new(move |committed| {
                // Nobody waits any more if the agent's stream ended: the change stays.
                let _ = answer.send(committed.and(result));
            })
        });
        self.jobs
            .send(job)
            .await
            .map_err(|_| StoreError::Closed(Arc::clone(&self.store)))?;
        answered
            .await
            .map_err(|_| StoreError::Closed(Arc::clone(&self.store)))?
    }

    pub(super) async fn ended(&self) -> StoreError {
        self.jobs.closed().await;
        StoreError::Closed(Arc::clone(&self.store))
    }
}

pub(super) fn failed(store: &Arc<str>, what: &'static str, reason: Failure) -> StoreError {
    let (store, may_pass) = (Arc::clone(store), may_pass(&reason));
    StoreError::of(store, what, reason.into(), may_pass)
}

/// Whether somebody else holds the file, or the disk is full: agents keep what they have meanwhile.
fn may_pass(reason: &Failure) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
    let code = reason
        .downcast_ref::<rusqlite::Error>()
        .and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(DatabaseBusy | DatabaseLocked | DiskFull))
}

/// Ends when the store is dropped.
fn write(mut connection: Connection, store: &Arc<str>, mut queue: mpsc::Receiver<Job>) {
    // Where there are few processors, answers come first: people wait for them, agents have time. It is
    // no harm where that is forbidden.
    let _ = setpriority_process(Some(gettid()), NICE);
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(job) = queue.try_recv()
        {
            group.push(job);
        }
        commit(&mut connection, store, group);
    }
}

/// One transaction for all, then the answers.
fn commit(connection: &mut Connection, store: &Arc<str>, group: Vec<Job>) {
    let not_stored = |error: rusqlite::Error| failed(store, "commit", error.into());
    let run = |db: Result<&Connection, StoreError>| -> Vec<Finish> {
        group.into_iter().map(|job| job(db.clone())).collect()
    };
    let begun = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate);
    let (finishes, committed) = match begun {
        Ok(transaction) => {
            let finishes = run(Ok(&transaction));
            (finishes, transaction.commit().map_err(not_stored))
        }
        Err(error) => (run(Err(not_stored(error))), Ok(())),
    };
    if let Err(error) = &committed {
        tracing::error!(%error, jobs = finishes.len(), "nothing of this group was stored");
    }
    for finish in finishes {
        finish(committed.clone());
    }
}

fn savepoint<T>(
    db: &Connection,
    change: impl FnOnce(&Connection) -> Result<Outcome<T>, Failure>,
) -> Result<T, Failure> {
    let run = |sql| db.prepare_cached(sql)?.execute([]);
    run("SAVEPOINT job")?;
    let outcome = change(db);
    if !matches!(outcome, Ok(Outcome::Keep(_))) {
        run("ROLLBACK TO job")?;
    }
    run("RELEASE job")?;
    outcome.map(|(Outcome::Keep(answer) | Outcome::TakeBack(answer))| answer)
}
