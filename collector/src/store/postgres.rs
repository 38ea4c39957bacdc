//! PostgreSQL, and what speaks its protocol: several collectors over one database.
//!
//! Each change is one transaction that first locks its node's row of `node_state`. So changes of one node
//! come one after the other, whichever collector makes them; `version` counts them without a gap; and
//! whoever holds a node waits for no other. What a transaction needs is read at once, decided here, and
//! written at once, as arrays: a handful of round trips however many facts there are.
//!
//! A database that is away is no reason to end: callers are told [`StoreError::Away`] and try again, and
//! connections are made anew when it is back. Nothing is kept here that it does not have.

mod apply;
mod connect;
mod cost;
mod errors;
mod events;
mod events_after;
mod expire;
mod facts;
mod forget;
mod images;
mod nodes;
mod owners;
mod passfile;
mod pool;
mod read;
mod schema;
mod standings;
mod tls;
mod url;
mod writes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::cost::CostPart;
use archtrace_facts::coverage::{Change, Past, Place, Standing, Status};
use archtrace_facts::fleet::{FleetImage, Machine, NodeEvent, NodeFact, NodeStatus, Totals};
use archtrace_facts::report::{EventBatch, Hello};
use archtrace_query::Read;
use archtrace_query::read::{
    CostQuery, EventCursor, EventPlace, EventQuery, FactChange, FactCursor, FactQuery, Head,
    ImageCursor, ImageQuery, NodeQuery, Version,
};
use tokio::time::{Instant, sleep};

use super::sql::Failure;
use super::{
    Applied, Attached, Beat, Delta, Keep, Lease, NamedPod, NodeId, Snapshot, Store, StoreError,
};
use apply::Update;
use connect::Connector;
use errors::Trouble;
use pool::Database;
pub use url::{PostgresUrl, UrlError};

/// How long the database may be away when the collector starts: what starts a cluster starts both at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// A store in a database.
#[derive(Debug)]
pub struct PostgresStore {
    database: Database,
}

impl PostgresStore {
    /// Connects to the database, waits up to `patience` for one that is away, and brings it to this
    /// version's schema. The password is the first line of `password_file`, if there is one; else the URL's;
    /// else that of `PGPASSWORD` or of libpq's password file.
    ///
    /// # Errors
    /// If the URL or the certificates do not read; if the database does not let this user in, cannot be
    /// changed, was brought to a newer schema, or stays away.
    pub async fn connect(
        url: &PostgresUrl,
        password_file: Option<PathBuf>,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let settings = url::settings(url, |name| std::env::var(name).ok());
        let settings = settings.map_err(|error| StoreError::Open {
            store: "postgres".to_owned(),
            reason: Arc::new(error),
            hint: "see archtrace-collector --help",
        })?;
        let name = settings.name;
        let open = |trouble: Trouble| StoreError::Open {
            store: name.to_string(),
            hint: trouble.hint(),
            reason: Arc::new(trouble),
        };
        let failed = |failure: Failure| open(failure.into());
        let tls = settings.tls.client().map_err(failed)?;
        let connector = Connector::new(settings.config, tls, password_file);
        let database = Database::new(Arc::clone(&name), connector).map_err(failed)?;
        let deadline = Instant::now() + patience;
        loop {
            match schema::migrate(&database).await {
                Ok(()) => return Ok(Self { database }),
                Err(trouble) if trouble.is_away() && Instant::now() < deadline => {
                    tracing::warn!(store = %name, reason = %trouble, "the database is away; trying again");
                    sleep(PAUSE).await;
                }
                Err(trouble) => return Err(open(trouble)),
            }
        }
    }

    /// What people see of it: without user and secret.
    #[must_use]
    pub fn name(&self) -> &str {
        self.database.name()
    }
}

impl Store for PostgresStore {
    async fn attach(&self, hello: Hello, now: SystemTime) -> Result<Attached, StoreError> {
        let attach = nodes::Attach { hello, now };
        self.database.change("take in a node", attach).await
    }

    async fn apply_snapshot(
        &self,
        lease: Lease,
        snapshot: Snapshot,
        now: SystemTime,
    ) -> Result<Applied, StoreError> {
        let update = Update::of_snapshot(lease, snapshot, now);
        self.database.change("apply a snapshot", update).await
    }

    async fn apply_delta(
        &self,
        lease: Lease,
        delta: Delta,
        now: SystemTime,
    ) -> Result<Applied, StoreError> {
        let update = Update::of_delta(lease, delta, now);
        self.database.change("apply a delta", update).await
    }

    async fn append_events(
        &self,
        node: NodeId,
        batch: EventBatch,
        now: SystemTime,
    ) -> Result<u64, StoreError> {
        let append = events::Append { node, batch, now };
        self.database.change("append events", append).await
    }

    async fn heartbeats(&self, beats: Vec<Beat>) -> Result<(), StoreError> {
        if beats.is_empty() {
            return Ok(());
        }
        self.database
            .change("note heartbeats", nodes::Heartbeats(beats))
            .await
    }

    async fn name_pods(&self, pods: Vec<NamedPod>) -> Result<u64, StoreError> {
        if pods.is_empty() {
            return Ok(0);
        }
        let name = owners::Name(pods);
        self.database.change("name pods", name).await
    }

    async fn note_standings(&self, changes: Vec<Change>) -> Result<u64, StoreError> {
        if changes.is_empty() {
            return Ok(0);
        }
        let note = standings::Note(changes);
        self.database
            .change("note how it is with agents", note)
            .await
    }

    async fn all_standings(&self) -> Result<Vec<(Place, Status)>, StoreError> {
        standings::all(&self.database).await
    }

    async fn expire(&self, keep: Keep, now: SystemTime) -> Result<u64, StoreError> {
        self.database
            .change("delete what is old", expire::Expire { keep, now })
            .await
    }

    async fn forget(
        &self,
        nodes: Vec<NodeId>,
        silent_since: SystemTime,
    ) -> Result<u64, StoreError> {
        if nodes.is_empty() {
            return Ok(0);
        }
        let forget = forget::Forget {
            nodes,
            silent_since,
        };
        self.database.change("forget nodes", forget).await
    }

    async fn note_machines(&self, machines: Vec<(NodeId, Machine)>) -> Result<(), StoreError> {
        if machines.is_empty() {
            return Ok(());
        }
        self.database
            .change("note what machines nodes are", cost::NoteMachines(machines))
            .await
    }

    async fn count_events_after(
        &self,
        nodes: Vec<(NodeId, EventPlace)>,
        before: SystemTime,
    ) -> Result<u64, StoreError> {
        events_after::count(&self.database, &nodes, before).await
    }

    /// Never: whatever keeps the database away may end.
    async fn failed(&self) -> StoreError {
        std::future::pending().await
    }
}

impl Read for PostgresStore {
    async fn facts(&self, query: FactQuery) -> Result<Vec<(FactCursor, NodeFact)>, StoreError> {
        read::facts(&self.database, &query).await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<(EventCursor, NodeEvent)>, StoreError> {
        read::events(&self.database, &query).await
    }

    async fn images(
        &self,
        query: ImageQuery,
    ) -> Result<Vec<(ImageCursor, FleetImage)>, StoreError> {
        read::images(&self.database, &query).await
    }

    async fn nodes(&self, query: NodeQuery) -> Result<Vec<(NodeId, NodeStatus)>, StoreError> {
        read::nodes(&self.database, &query).await
    }

    async fn totals(&self, alive_since: SystemTime) -> Result<Totals, StoreError> {
        read::totals(&self.database, alive_since).await
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        read::heads(&self.database).await
    }

    async fn facts_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> Result<Vec<FactChange>, StoreError> {
        read::facts_since(&self.database, &nodes).await
    }

    async fn events_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> Result<Vec<(NodeId, Version, NodeEvent)>, StoreError> {
        read::events_since(&self.database, &nodes).await
    }

    async fn standings(&self, places: Vec<Place>) -> Result<Vec<Option<Standing>>, StoreError> {
        standings::standings(&self.database, &places).await
    }

    async fn past_standings(&self, places: Vec<Place>) -> Result<Vec<Vec<Past>>, StoreError> {
        standings::past(&self.database, &places).await
    }

    async fn events_after(
        &self,
        nodes: Vec<(NodeId, EventPlace)>,
        limit: u32,
    ) -> Result<Vec<(NodeId, EventPlace, NodeEvent)>, StoreError> {
        events_after::list(&self.database, &nodes, limit).await
    }

    async fn cost(&self, query: CostQuery) -> Result<Option<Vec<CostPart>>, StoreError> {
        cost::list(&self.database, &query).await.map(Some)
    }
}
