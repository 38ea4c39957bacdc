//! One connection: how it is made, secured, and set up.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use deadpool_postgres::Connect;
use tokio::task::JoinHandle;
use tokio_postgres::tls::{MakeTlsConnect, NoTls};
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::pool::STATEMENT_TIMEOUT;

/// Makes connections. The password is read again for each, so that one that was changed is found.
#[derive(Debug)]
pub(super) struct Connector {
    settings: Config,
    tls: Option<MakeTls>,
    password_file: Option<PathBuf>,
}

/// `MakeRustlsConnect` has no `Debug`.
#[derive(Clone)]
struct MakeTls(MakeRustlsConnect);

impl std::fmt::Debug for MakeTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rustls")
    }
}

type Made = Result<(Client, JoinHandle<()>), tokio_postgres::Error>;

impl Connector {
    pub(super) fn new(
        mut settings: Config,
        tls: Option<rustls::ClientConfig>,
        password_file: Option<PathBuf>,
    ) -> Self {
        settings
            .application_name("archtrace-collector")
            .keepalives(true)
            // A database that vanished without a word, as in a failover, is noticed within half a minute.
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(20));
        if settings.get_connect_timeout().is_none() {
            settings.connect_timeout(Duration::from_secs(5));
        }
        Self {
            settings,
            tls: tls.map(|tls| MakeTls(MakeRustlsConnect::new(tls))),
            password_file,
        }
    }

    pub(super) fn settings(&self) -> Config {
        self.settings.clone()
    }
}

impl Connect for Connector {
    fn connect(&self, settings: &Config) -> Pin<Box<dyn Future<Output = Made> + Send + '_>> {
        let mut settings = settings.clone();
        Box::pin(async move {
            if let Some(password) = self.password_file.as_deref().and_then(password_in) {
                settings.password(password);
            }
            let (client, connection) = match &self.tls {
                Some(MakeTls(tls)) => spawn(&settings, tls.clone()).await?,
                None => spawn(&settings, NoTls).await?,
            };
            client.batch_execute(&session()).await?;
            Ok((client, connection))
        })
    }
}

async fn spawn<T>(settings: &Config, tls: T) -> Made
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection): (_, Connection<Socket, T::Stream>) = settings.connect(tls).await?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            // Whoever uses it is told, too.
            tracing::debug!(%error, "a connection to the database ended");
        }
    });
    Ok((client, task))
}

/// The first line of a file, without its end. A file that cannot be read leaves the other ways to a
/// password, and the server says what it misses.
fn password_in(path: &Path) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Some(text.lines().next().unwrap_or_default().to_owned()),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read --store-password-file");
            None
        }
    }
}

/// Settings of each connection. A lock is waited for less long than a statement may take, and a
/// transaction that nobody goes on with is ended by the server, so that no row stays locked for ever.
/// `synchronous_commit`: what was acknowledged survives a crash even where the default is otherwise.
fn session() -> String {
    let statement = STATEMENT_TIMEOUT.as_millis();
    format!(
        "SET statement_timeout = {statement}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {statement}; SET synchronous_commit = on",
        statement / 2
    )
}
