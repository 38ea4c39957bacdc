//! Connections that only read. In WAL mode they never wait for the writer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::sync::Semaphore;

use super::schema::{READER_CACHE_KIB, STATEMENTS};
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
            connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
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
        // One permit per connection, so there is one; a poisoned list is still a list.
        let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = taken.ok_or_else(closed)?;
        let asked = Asked {
            connection: connection.get_interrupt_handle(),
            runs: Arc::new(Mutex::new(true)),
        };
        let runs = Arc::clone(&asked.runs);
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let answer = connection
                .transaction()
                .map_err(Failure::from)
                .and_then(|transaction| question(&transaction));
            *runs.lock().unwrap_or_else(PoisonError::into_inner) = false;
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            answer
        });
        let answer = answer.await.map_err(|_| closed())?;
        drop(asked);
        answer.map_err(|reason| failed(&self.store, what, reason))
    }
}

/// A question that somebody waits for: when nobody does any more, it stops.
struct Asked {
    connection: InterruptHandle,
    /// While it does, the connection is this question's and no other's.
    runs: Arc<Mutex<bool>>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if *runs {
            self.connection.interrupt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_question_stops_when_nobody_waits_for_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store.db");
        drop(Connection::open(&path).expect("created"));
        let readers = Readers::open(&path, &"test".into()).expect("opens");
        let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
        let endless = || {
            readers.run("count for ever", |db| {
                Ok(db.query_row(sql, [], |row| row.get::<_, i64>(0))?)
            })
        };
        for _ in 0..2 * READERS {
            let counted = tokio::time::timeout(Duration::from_millis(100), endless()).await;
            assert!(counted.is_err(), "{counted:?}");
        }
        let one = readers.run("answer", |db| {
            Ok(db.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))?)
        });
        let one = tokio::time::timeout(Duration::from_secs(60), one).await;
        assert_eq!(one.expect("a connection is free").expect("works"), 1);
    }
}
