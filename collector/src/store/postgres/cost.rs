//! What emulation costs: CPU time by hour, then by day, and what machines nodes are.

use std::collections::BTreeMap;
use std::time::SystemTime;

use archtrace_facts::cost::{CostPart, Hour, spread};
use archtrace_facts::fleet::Machine;
use archtrace_query::read::CostQuery;

use super::owners::cgroup_id;
use super::pool::{Change, Database, Outcome, Transaction};
use super::read::read;
use super::writes::{Writes, values};
use crate::store::sql::{self, Dialect, Failure, to_time};
use crate::store::{NodeId, StoreError};

/// CPU time that an update adds to an emulated fact.
#[derive(Clone, Debug)]
pub(super) struct Burnt {
    pub(super) cgroup: String,
    /// When the fact was first seen: nothing of it was used before.
    pub(super) since: i64,
    pub(super) cpu_ns: i64,
}

/// Notes what was used since the store last held all that the agent had to tell. Owners come before.
pub(super) fn add(
    writes: &mut Writes,
    node: NodeId,
    burnt: &[Burnt],
    complete_at: i64,
    now: SystemTime,
) {
    let mut hours: BTreeMap<(Hour, &str), i64> = BTreeMap::new();
    for burnt in burnt {
        let since = to_time(burnt.since.max(complete_at));
        for (hour, cpu_ns) in spread(burnt.cpu_ns, since, now) {
            let sum = hours.entry((hour, &burnt.cgroup)).or_default();
            *sum = sum.saturating_add(cpu_ns);
        }
    }
    if hours.is_empty() {
        return;
    }
    writes.add(
        "INSERT INTO emulated_cpu AS c (owner_id, hour, node_id, cpu_ns)
         SELECT o.id, u.hour, $1, u.cpu_ns
         FROM unnest($2::BIGINT[], $3::BYTEA[], $4::BIGINT[]) AS u (hour, cgroup_id, cpu_ns)
           JOIN owner o ON o.node_id = $1 AND o.cgroup_id = u.cgroup_id
         ON CONFLICT (owner_id, hour) DO UPDATE SET cpu_ns = CAST(LEAST(GREATEST(
           CAST(c.cpu_ns AS NUMERIC) + excluded.cpu_ns, -9223372036854775807), 9223372036854775807)
           AS BIGINT)",
        values![
            node.0,
            hours.keys().map(|(hour, _)| hour.0).collect::<Vec<_>>(),
            hours
                .keys()
                .map(|(_, cgroup)| cgroup_id(cgroup))
                .collect::<Vec<_>>(),
            hours.values().copied().collect::<Vec<_>>(),
        ],
    );
}

/// [`crate::store::Store::note_machines`].
#[derive(Debug)]
pub(super) struct NoteMachines(pub(super) Vec<(NodeId, Machine)>);

impl Change for NoteMachines {
    type Answer = ();

    async fn make(&self, tx: &Transaction) -> Result<Outcome<()>, Failure> {
        // In one order everywhere, so that replicas do not wait for each other in a circle.
        let machines: BTreeMap<i64, &Machine> = self
            .0
            .iter()
            .map(|(node, machine)| (node.0, machine))
            .collect();
        let texts = |text: fn(&Machine) -> &String| {
            machines
                .values()
                .map(|machine| text(machine).clone())
                .collect::<Vec<_>>()
        };
        tx.execute(
            "INSERT INTO node_machine AS m (node_id, instance_type, zone)
             SELECT n.id, u.instance_type, u.zone
             FROM unnest($1::BIGINT[], $2::TEXT[], $3::TEXT[]) AS u (node_id, instance_type, zone)
               JOIN node n ON n.id = u.node_id
             ORDER BY n.id
             ON CONFLICT (node_id) DO UPDATE SET
               instance_type = excluded.instance_type, zone = excluded.zone
             WHERE m.instance_type <> excluded.instance_type OR m.zone <> excluded.zone",
            &[
                &machines.keys().copied().collect::<Vec<_>>(),
                &texts(|machine| &machine.instance_type),
                &texts(|machine| &machine.zone),
            ],
        )
        .await?;
        Ok(Outcome::Keep(()))
    }
}

/// [`archtrace_query::Read::cost`].
pub(super) async fn list(db: &Database, query: &CostQuery) -> Result<Vec<CostPart>, StoreError> {
    let what = "sum up costs";
    let rows = db
        .ask(what, &sql::list_cost(Dialect::Postgres, query))
        .await?;
    read(db, what, &rows, |row| sql::read_cost(row, &query.by))
}
