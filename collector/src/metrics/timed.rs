//! A store whose commits are timed and counted, and otherwise left alone.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use archtrace_facts::cost::CostPart;
use archtrace_facts::coverage::{Change, Past, Place, Standing, Status};
use archtrace_facts::fleet::{FleetImage, Machine, NodeEvent, NodeFact, NodeStatus, Totals};
use archtrace_facts::report::{EventBatch, Hello};
use archtrace_query::Read;
use archtrace_query::read::{
    CostQuery, EventCursor, EventPlace, EventQuery, FactChange, FactCursor, FactQuery, Head,
    ImageCursor, ImageQuery, NodeQuery, Version,
};

use super::own::{Operation, Own};
use crate::store::{
    Answer, Applied, Attached, Beat, Delta, Keep, Lease, NamedPod, NodeId, Snapshot, Store,
    StoreError,
};

/// A store, and where its commits are counted.
#[derive(Debug)]
pub(crate) struct Timed<S> {
    store: S,
    own: Arc<Own>,
}

impl<S> Timed<S> {
    pub(crate) fn new(store: S, own: Arc<Own>) -> Self {
        Self { store, own }
    }

    async fn time<T>(&self, operation: Operation, commit: impl Answer<T>) -> Result<T, StoreError> {
        let start = Instant::now();
        let done = commit.await;
        self.own.commit(operation, start.elapsed(), done.is_ok());
        done
    }
}

impl<S: Store> Store for Timed<S> {
    async fn attach(&self, hello: Hello, now: SystemTime) -> Result<Attached, StoreError> {
        let commit = self.store.attach(hello, now);
        self.time(Operation::Attach, commit).await
    }

    async fn apply_snapshot(
        &self,
        lease: Lease,
        snapshot: Snapshot,
        now: SystemTime,
    ) -> Result<Applied, StoreError> {
        let upserts = snapshot.facts.len();
        let commit = self.store.apply_snapshot(lease, snapshot, now);
        let applied = self.time(Operation::Snapshot, commit).await?;
        self.own.snapshot(applied, upserts);
        Ok(applied)
    }

    async fn apply_delta(
        &self,
        lease: Lease,
        delta: Delta,
        now: SystemTime,
    ) -> Result<Applied, StoreError> {
        let upserts = delta.upserts.len();
        let commit = self.store.apply_delta(lease, delta, now);
        let applied = self.time(Operation::Delta, commit).await?;
        self.own.delta(applied, upserts);
        Ok(applied)
    }

    async fn append_events(
        &self,
        node: NodeId,
        batch: EventBatch,
        now: SystemTime,
    ) -> Result<u64, StoreError> {
        let records = batch.records.len();
        let commit = self.store.append_events(node, batch, now);
        let next = self.time(Operation::Events, commit).await?;
        self.own.records(records);
        Ok(next)
    }

    async fn heartbeats(&self, beats: Vec<Beat>) -> Result<(), StoreError> {
        let commit = self.store.heartbeats(beats);
        self.time(Operation::Heartbeats, commit).await
    }

    async fn expire(&self, keep: Keep, now: SystemTime) -> Result<u64, StoreError> {
        let commit = self.store.expire(keep, now);
        self.time(Operation::Expire, commit).await
    }

    async fn forget(
        &self,
        nodes: Vec<NodeId>,
        silent_since: SystemTime,
    ) -> Result<u64, StoreError> {
        let commit = self.store.forget(nodes, silent_since);
        let gone = self.time(Operation::Forget, commit).await?;
        self.own.forgot(gone);
        Ok(gone)
    }

    fn note_standings(&self, changes: Vec<Change>) -> impl Answer<u64> {
        self.store.note_standings(changes)
    }

    fn all_standings(&self) -> impl Answer<Vec<(Place, Status)>> {
        self.store.all_standings()
    }

    fn note_machines(&self, machines: Vec<(NodeId, Machine)>) -> impl Answer<()> {
        self.store.note_machines(machines)
    }

    fn name_pods(&self, pods: Vec<NamedPod>) -> impl Answer<u64> {
        self.store.name_pods(pods)
    }

    fn count_events_after(
        &self,
        nodes: Vec<(NodeId, EventPlace)>,
        before: SystemTime,
    ) -> impl Answer<u64> {
        self.store.count_events_after(nodes, before)
    }

    async fn failed(&self) -> StoreError {
        self.store.failed().await
    }
}

impl<S: Store> Read for Timed<S> {
    fn facts(&self, query: FactQuery) -> impl Answer<Vec<(FactCursor, NodeFact)>> {
        self.store.facts(query)
    }

    fn events(&self, query: EventQuery) -> impl Answer<Vec<(EventCursor, NodeEvent)>> {
        self.store.events(query)
    }

    fn images(&self, query: ImageQuery) -> impl Answer<Vec<(ImageCursor, FleetImage)>> {
        self.store.images(query)
    }

    fn nodes(&self, query: NodeQuery) -> impl Answer<Vec<(NodeId, NodeStatus)>> {
        self.store.nodes(query)
    }

    fn totals(&self, alive_since: SystemTime) -> impl Answer<Totals> {
        self.store.totals(alive_since)
    }

    fn heads(&self) -> impl Answer<Vec<Head>> {
        self.store.heads()
    }

    fn facts_since(&self, nodes: Vec<(NodeId, Version)>) -> impl Answer<Vec<FactChange>> {
        self.store.facts_since(nodes)
    }

    fn events_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> impl Answer<Vec<(NodeId, Version, NodeEvent)>> {
        self.store.events_since(nodes)
    }

    // Those that answer nothing by themselves must not be left out here.

    fn standings(&self, places: Vec<Place>) -> impl Answer<Vec<Option<Standing>>> {
        self.store.standings(places)
    }

    fn past_standings(&self, places: Vec<Place>) -> impl Answer<Vec<Vec<Past>>> {
        self.store.past_standings(places)
    }

    fn events_after(
        &self,
        nodes: Vec<(NodeId, EventPlace)>,
        limit: u32,
    ) -> impl Answer<Vec<(NodeId, EventPlace, NodeEvent)>> {
        self.store.events_after(nodes, limit)
    }

    fn cost(&self, query: CostQuery) -> impl Answer<Option<Vec<CostPart>>> {
        self.store.cost(query)
    }
}
