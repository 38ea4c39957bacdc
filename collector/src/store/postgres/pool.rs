//! Connections, transactions, and what errors of theirs mean.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::connect::Connector;
use super::errors::{Told, can_be_repeated, is_away};
use crate::store::StoreError;
use crate::store::sql::{Failure, Statement, Value};

/// Connections of this replica. A database takes about a hundred from all; more than a few per CPU of
/// its only wait for each other.
const CONNECTIONS: usize = 16;

/// Of these, those that may write at the same time: answers never wait for agents only.
const WRITERS: usize = 12;

/// How long one statement may take; the server ends it then. A replica that hangs must not keep a row
/// of a node locked for the others.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long one operation may take, waiting for a connection included: beyond it the database is taken
/// to be away, and agents are told to come back.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a transaction is made again that another one got in the way of.
const TRIES: u32 = 8;

/// A database, reached by a bounded number of connections.
#[derive(Debug)]
pub(super) struct Database {
    name: Arc<str>,
    pool: Pool,
    writers: Semaphore,
}

/// A change that is made in one transaction, and made again if another one got in its way.
pub(super) trait Change: Sync {
    /// What it finds out.
    type Answer: Send;

    /// Makes the change; it is committed if this succeeds with [`Outcome::Keep`].
    fn make(
        &self,
        tx: &Transaction,
    ) -> impl Future<Output = Result<Outcome<Self::Answer>, Failure>> + Send;
}

/// Whether what a change wrote is to stay.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// It is.
    Keep(T),
    /// As if it had written nothing.
    TakeBack(T),
}

impl Database {
    /// Nothing is connected yet.
    pub(super) fn new(name: Arc<str>, connector: Connector) -> Result<Self, Failure> {
        let config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let settings = connector.settings();
        let manager = Manager::from_connect(settings, connector, config);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(OPERATION_TIMEOUT))
            .create_timeout(Some(OPERATION_TIMEOUT))
            .build()?;
        Ok(Self {
            name,
            pool,
            writers: Semaphore::new(WRITERS),
        })
    }

    /// What people see of it.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Makes a change.
    pub(super) async fn change<C: Change>(
        &self,
        what: &'static str,
        change: C,
    ) -> Result<C::Answer, StoreError> {
        let made = async {
            let _permit = self.writers.acquire().await?;
            let mut tries = 0;
            loop {
                match self.attempt(&change).await {
                    Err(failure) if tries < TRIES && can_be_repeated(&failure) => {
                        tries += 1;
                        tracing::debug!(what, %failure, "trying again");
                        sleep(backoff(tries)).await;
                    }
                    done => return done,
                }
            }
        };
        self.told(what, timeout(OPERATION_TIMEOUT, made).await)
    }

    async fn attempt<C: Change>(&self, change: &C) -> Result<C::Answer, Failure> {
        let tx = self.begin().await?;
        match change.make(&tx).await? {
            Outcome::Keep(answer) => {
                tx.commit().await?;
                Ok(answer)
            }
            Outcome::TakeBack(answer) => {
                tx.take_back().await?;
                Ok(answer)
            }
        }
    }

    /// Asks one question.
    pub(super) async fn ask(
        &self,
        what: &'static str,
        question: &Statement,
    ) -> Result<Vec<Row>, StoreError> {
        let values: Vec<_> = question.values.iter().map(typed).collect();
        self.ask_typed(what, &question.text, &values).await
    }

    /// Asks one question with values of these types.
    pub(super) async fn ask_typed(
        &self,
        what: &'static str,
        text: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        let answered = async {
            let mut again = true;
            loop {
                let client = self.connection().await?;
                // Not prepared: there are as many texts as combinations of conditions.
                match client.query_typed(text, values).await {
                    // The server went away while the connection was idle.
                    Err(error) if again && error.is_closed() => again = false,
                    done => return done.map_err(Failure::from),
                }
            }
        };
        self.told(what, timeout(OPERATION_TIMEOUT, answered).await)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction, Failure> {
        let client = self.connection().await?;
        let tx = Transaction {
            client: Some(client),
        };
        tx.batch("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        Ok(tx)
    }

    async fn connection(&self) -> Result<Object, Failure> {
        Ok(self.pool.get().await?)
    }

    fn told<T>(
        &self,
        what: &'static str,
        result: Result<Result<T, Failure>, tokio::time::error::Elapsed>,
    ) -> Result<T, StoreError> {
        let reason = match result {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(reason)) => reason,
            Err(_) => format!("no answer within {OPERATION_TIMEOUT:?}").into(),
        };
        let store = Arc::clone(&self.name);
        let away = is_away(&reason);
        let reason: Arc<dyn Error + Send + Sync> = Arc::new(Told::from(reason));
        Err(StoreError::of(store, what, reason, away))
    }
}

fn typed(value: &Value) -> (&(dyn ToSql + Sync), Type) {
    match value {
        Value::Integer(number) => (number, Type::INT8),
        Value::Text(text) => (text, Type::TEXT),
    }
}

/// A transaction on a connection of its own. Unless it was ended, its connection is closed with it: no
/// one else gets one in an unknown state.
#[derive(Debug)]
pub(super) struct Transaction {
    client: Option<Object>,
}

/// A value for a statement.
pub(super) type Param<'a> = &'a (dyn ToSql + Sync);

impl Transaction {
    fn client(&self) -> Result<&Object, Failure> {
        self.client
            .as_ref()
            .ok_or_else(|| "the transaction has ended".into())
    }

    /// The rows of a statement that stays prepared, so of constant text.
    pub(super) async fn rows(
        &self,
        text: &'static str,
        values: &[Param<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let client = self.client()?;
        let statement = client.prepare_cached(text).await?;
        Ok(client.query(&statement, values).await?)
    }

    /// The one row of a statement.
    pub(super) async fn row(
        &self,
        text: &'static str,
        values: &[Param<'_>],
    ) -> Result<Row, Failure> {
        let client = self.client()?;
        let statement = client.prepare_cached(text).await?;
        Ok(client.query_one(&statement, values).await?)
    }

    /// Runs a statement and returns how many rows it touched.
    pub(super) async fn execute(
        &self,
        text: &'static str,
        values: &[Param<'_>],
    ) -> Result<u64, Failure> {
        let client = self.client()?;
        let statement = client.prepare_cached(text).await?;
        Ok(client.execute(&statement, values).await?)
    }

    /// Prepares statements, so that those which follow can be sent behind each other in their order.
    pub(super) async fn prepare(&self, texts: &[&'static str]) -> Result<(), Failure> {
        let client = self.client()?;
        for text in texts {
            client.prepare_cached(text).await?;
        }
        Ok(())
    }

    /// Runs statements without values.
    pub(super) async fn batch(&self, text: &str) -> Result<(), Failure> {
        Ok(self.client()?.batch_execute(text).await?)
    }

    pub(super) async fn commit(self) -> Result<(), Failure> {
        self.end("COMMIT").await
    }

    pub(super) async fn take_back(self) -> Result<(), Failure> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, how: &str) -> Result<(), Failure> {
        self.batch(how).await?;
        // From here on the connection is as good as new: it goes back.
        drop(self.client.take());
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

/// Full jitter: replicas that got in each other's way come back at different times.
fn backoff(tries: u32) -> Duration {
    let most = 10_u64 << tries.min(7);
    let random = getrandom::u64().unwrap_or(most);
    Duration::from_millis(random % most)
}
