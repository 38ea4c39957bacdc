//! What errors of the database and of the way to it mean.

use std::error::Error;

use archtrace_facts::text::with_causes;
use deadpool_postgres::PoolError;

use crate::store::sql::Failure;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("it has schema {found}, this version knows up to {known}")]
    Newer { found: i64, known: i64 },
    #[error(transparent)]
    Other(#[from] Told),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Other(Told::from(failure))
    }
}

impl Trouble {
    /// Whether it may pass.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Self::Newer { .. } => false,
            Self::Other(told) => is_away(&told.0),
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        let Self::Other(Told(failure)) = self else {
            return "use the newer archtrace-collector that brought it there, or another database";
        };
        match code(failure) {
            Some("28P01" | "28000") => {
                "check the user and the password: in the URL, --store-password-file, PGPASSWORD or ~/.pgpass"
            }
            Some("3D000") => "create the database first: CREATE DATABASE name",
            Some("42501") => "grant the user CREATE on the database's schema",
            _ if self.is_away() => "check that the database runs and can be reached from here",
            _ => "check the URL, and sslmode and sslrootcert in it",
        }
    }
}

/// An error with all of its causes in one line: those of the client name none of theirs.
#[derive(Debug)]
pub(super) struct Told(Failure);

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&with_causes(self.0.as_ref()))
    }
}

impl Error for Told {}

fn client_error(failure: &Failure) -> Option<&tokio_postgres::Error> {
    let error: &(dyn Error + 'static) = failure.as_ref();
    match error.downcast_ref::<PoolError>() {
        Some(PoolError::Backend(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

/// The SQLSTATE of an error, if the server said one
/// (<https://www.postgresql.org/docs/15/errcodes-appendix.html>).
pub(super) fn code(failure: &Failure) -> Option<&str> {
    client_error(failure)?
        .code()
        .map(tokio_postgres::error::SqlState::code)
}

/// Whether another transaction got in the way: serialization_failure, deadlock_detected, a row that was
/// referred to while it was deleted, and one that two made at the same time.
pub(super) fn can_be_repeated(failure: &Failure) -> bool {
    matches!(code(failure), Some("40001" | "40P01" | "23503" | "23505"))
}

/// Whether waiting may help: the server cannot be reached, is starting, ending, full, no primary, or too busy.
pub(super) fn is_away(failure: &Failure) -> bool {
    if let Some(code) = code(failure) {
        // Classes: connection exception, insufficient resources, operator intervention (a statement that took
        // too long included); a lock that was not had in time; a standby; and what was tried often enough.
        let classes = ["08", "53", "57"];
        return classes.iter().any(|class| code.starts_with(class))
            || matches!(code, "55P03" | "25006" | "40001" | "40P01" | "72000");
    }
    let error: &(dyn Error + 'static) = failure.as_ref();
    if let Some(error) = error.downcast_ref::<PoolError>() {
        return match error {
            PoolError::Timeout(_) => true,
            PoolError::Backend(error) => error.is_closed() || cannot_be_reached(error),
            _ => false,
        };
    }
    match error.downcast_ref::<tokio_postgres::Error>() {
        Some(error) => error.is_closed() || cannot_be_reached(error),
        // Nobody answered in time.
        None => failure.to_string().starts_with("no answer within"),
    }
}

/// Whether the network said no; what TLS says of certificates is no such thing.
fn cannot_be_reached(error: &tokio_postgres::Error) -> bool {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    let mut network = false;
    while let Some(error) = source {
        if error.is::<rustls::Error>() {
            return false;
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            let inner = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>());
            if inner.is_some() {
                return false;
            }
            network = true;
        }
        source = error.source();
    }
    network || error.to_string().contains("timeout")
}
