//! Connections that only read. In WAL mode they never wait for the writer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::schema::STATEMENTS;
use super::writer::{Failure, failed};
use crate::store::StoreError;

/// Questions answered at the same time: more would only share the same disk and CPUs.
const READERS: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Readers {
    store: Arc<str>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path, store: &Arc<str>) -> rusqlite::Result<Self> {
        let open = |_| {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            Ok(connection)
        };
        let idle = (0..READERS)
            .map(open)
            .collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Self {
            store: Arc::clone(store),
            idle: Arc::new(Mutex::new(idle)),
            permits: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// Runs `question` on one of the connections, in one transaction, off the async threads.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        question: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Closed(Arc::clone(&self.store));
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| closed())?;
        let idle = Arc::clone(&self.idle);
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            // One permit per connection, so there is one; a poisoned list is still a list.
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut connection) = taken else {
                return Err("no idle connection".into());
            };
            let answer = connection
                .transaction()
                .map_err(Failure::from)
                .and_then(|transaction| question(&transaction));
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            answer
        });
        let answer = answer.await.map_err(|_| closed())?;
        answer.map_err(|reason| failed(&self.store, what, reason))
    }
}
