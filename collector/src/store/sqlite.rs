//! SQLite: one writer with group commit, a few readers, in WAL mode.
//!
//! `synchronous=FULL`: in WAL mode, `NORMAL` does not sync the log at a commit, so that a loss of
//! power can take back what was acknowledged (<https://sqlite.org/pragma.html#pragma_synchronous>).
//! Group commit makes up for its price: one sync serves everybody who is waiting.

mod changes;
mod cost;
mod events;
mod expire;
mod forget;
mod nodes;
mod owners;
mod readers;
mod rows;
mod schema;
mod select;
mod standings;
mod state;
mod values;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use archtrace_facts::cost::CostPart;
use archtrace_facts::coverage::{Change, Past, Place, Standing, Status};
use archtrace_facts::fleet::{FleetImage, Machine, NodeEvent, NodeFact, NodeStatus, Totals};
use archtrace_facts::report::{EventBatch, Hello};

use archtrace_query::Read;
use archtrace_query::read::{
    CostQuery, EventCursor, EventPlace, EventQuery, FactChange, FactCursor, FactQuery, Head,
    ImageCursor, ImageQuery, NodeQuery, Version,
};

use super::sql::{self, Dialect};
use super::{
    Applied, Attached, Beat, Delta, Keep, Lease, NamedPod, NodeId, Snapshot, Store, StoreError,
};
use readers::Readers;
use writer::Writer;

/// A store in one file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens or creates the file, and brings it to this version's schema.
    ///
    /// # Errors
    /// If the file cannot be opened, is no database, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let name: Arc<str> = format!("sqlite:{}", path.display()).into();
        let connection = schema::open(path).map_err(|reason| StoreError::Open {
            store: name.to_string(),
            hint: reason.hint(),
            reason: Arc::new(reason),
        })?;
        let open_failed = |reason| StoreError::Open {
            store: name.to_string(),
            hint: "check the limits of the process",
            reason,
        };
        let readers = Readers::open(path, &name).map_err(|error| open_failed(Arc::new(error)))?;
        let writer =
            Writer::start(connection, &name).map_err(|error| open_failed(Arc::new(error)))?;
        Ok(Self { writer, readers })
    }
}

impl Store for SqliteStore {
    async fn attach(&self, hello: Hello, now: SystemTime) -> Result<Attached, StoreError> {
        self.writer
            .run("take in a node", move |db| nodes::attach(db, &hello, now))
            .await
    }

    async fn apply_snapshot(
        &self,
        lease: Lease,
        snapshot: Snapshot,
        now: SystemTime,
    ) -> Result<Applied, StoreError> {
        let run = move |db: &_| state::apply_snapshot(db, lease, &snapshot, now);
        self.writer.run("apply a snapshot", run).await
    }

    async fn apply_delta(
        &self,
        lease: Lease,
        delta: Delta,
        now: SystemTime,
    ) -> Result<Applied, StoreError> {
        self.writer
            .try_run("apply a delta", move |db| {
                state::apply_delta(db, lease, &delta, now)
            })
            .await
    }

    async fn append_events(
        &self,
        node: NodeId,
        batch: EventBatch,
        now: SystemTime,
    ) -> Result<u64, StoreError> {
        self.writer
            .run("append events", move |db| {
                events::append(db, node, &batch, now)
            })
            .await
    }

    async fn heartbeats(&self, beats: Vec<Beat>) -> Result<(), StoreError> {
        self.writer
            .run("note heartbeats", move |db| {
                beats.iter().try_for_each(|beat| nodes::heartbeat(db, beat))
            })
            .await
    }

    async fn note_standings(&self, changes: Vec<Change>) -> Result<u64, StoreError> {
        self.writer
            .run("note how it is with agents", move |db| {
                standings::note(db, &changes)
            })
            .await
    }

    async fn all_standings(&self) -> Result<Vec<(Place, Status)>, StoreError> {
        self.readers
            .run("list how it is with agents", standings::all)
            .await
    }

    async fn expire(&self, keep: Keep, now: SystemTime) -> Result<u64, StoreError> {
        self.writer
            .run("delete what is old", move |db| {
                expire::expire(db, keep, now)
            })
            .await
    }

    async fn forget(
        &self,
        nodes: Vec<NodeId>,
        silent_since: SystemTime,
    ) -> Result<u64, StoreError> {
        self.writer
            .run("forget nodes", move |db| {
                Ok(forget::forget(db, &nodes, silent_since)?)
            })
            .await
    }

    async fn note_machines(&self, machines: Vec<(NodeId, Machine)>) -> Result<(), StoreError> {
        self.writer
            .run("note what machines nodes are", move |db| {
                Ok(cost::note_machines(db, &machines)?)
            })
            .await
    }

    async fn name_pods(&self, pods: Vec<NamedPod>) -> Result<u64, StoreError> {
        self.writer
            .run("name pods", move |db| owners::name_pods(db, &pods))
            .await
    }

    async fn count_events_after(
        &self,
        nodes: Vec<(NodeId, EventPlace)>,
        before: SystemTime,
    ) -> Result<u64, StoreError> {
        self.readers
            .run("count events", move |db| {
                Ok(changes::count_events_after(db, &nodes, before)?)
            })
            .await
    }

    async fn failed(&self) -> StoreError {
        self.writer.ended().await
    }
}

impl Read for SqliteStore {
    async fn facts(&self, query: FactQuery) -> Result<Vec<(FactCursor, NodeFact)>, StoreError> {
        self.readers
            .run("list facts", move |db| {
                let statement = sql::list_facts(Dialect::Sqlite, &query);
                rows::query(db, &statement, |row| sql::read_fact(row, &query))
            })
            .await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<(EventCursor, NodeEvent)>, StoreError> {
        self.readers
            .run("list events", move |db| {
                let statement = sql::list_events(Dialect::Sqlite, &query);
                rows::query(db, &statement, |row| sql::read_event(row))
            })
            .await
    }

    async fn images(
        &self,
        query: ImageQuery,
    ) -> Result<Vec<(ImageCursor, FleetImage)>, StoreError> {
        self.readers
            .run("list images", move |db| owners::list(db, &query))
            .await
    }

    async fn nodes(&self, query: NodeQuery) -> Result<Vec<(NodeId, NodeStatus)>, StoreError> {
        self.readers
            .run("list nodes", move |db| nodes::list(db, &query))
            .await
    }

    async fn totals(&self, alive_since: SystemTime) -> Result<Totals, StoreError> {
        self.readers
            .run("sum up", move |db| nodes::totals(db, alive_since))
            .await
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        self.readers.run("list nodes", changes::heads).await
    }

    async fn facts_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> Result<Vec<FactChange>, StoreError> {
        self.readers
            .run("list changes of facts", move |db| {
                changes::facts(db, &nodes)
            })
            .await
    }

    async fn events_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> Result<Vec<(NodeId, Version, NodeEvent)>, StoreError> {
        self.readers
            .run("list new events", move |db| changes::events(db, &nodes))
            .await
    }

    async fn standings(&self, places: Vec<Place>) -> Result<Vec<Option<Standing>>, StoreError> {
        self.readers
            .run("list how it is with agents", move |db| {
                standings::standings(db, &places)
            })
            .await
    }

    async fn events_after(
        &self,
        nodes: Vec<(NodeId, EventPlace)>,
        limit: u32,
    ) -> Result<Vec<(NodeId, EventPlace, NodeEvent)>, StoreError> {
        self.readers
            .run("list new events", move |db| {
                changes::events_after(db, nodes, limit)
            })
            .await
    }

    async fn past_standings(&self, places: Vec<Place>) -> Result<Vec<Vec<Past>>, StoreError> {
        self.readers
            .run("list how it was with agents", move |db| {
                standings::past(db, &places)
            })
            .await
    }

    async fn cost(&self, query: CostQuery) -> Result<Option<Vec<CostPart>>, StoreError> {
        self.readers
            .run("sum up costs", move |db| {
                let statement = sql::list_cost(Dialect::Sqlite, &query);
                rows::query(db, &statement, |row| sql::read_cost(row, &query.by)).map(Some)
            })
            .await
    }
}
