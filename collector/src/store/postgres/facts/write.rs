//! What was decided, as statements.

use archtrace_facts::fact::{Cause, FactKey, Via};

use super::super::owners::cgroup_id;
use super::super::writes::{Writes, values};
use super::{Decided, Stored};
use crate::store::sql::{from_count, from_random};

impl Decided {
    /// Whether readers will see something else.
    pub(in super::super) fn changes_something(&self) -> bool {
        !self.new.is_empty() || !self.changed.is_empty()
    }

    /// Writes it; owners of new facts come before.
    pub(in super::super) fn write(self, writes: &mut Writes, node: i64, epoch: i64, version: i64) {
        self.put_aside(writes, epoch);
        if !self.changed.is_empty() {
            let column = |of: fn(&Stored) -> i64| self.changed.iter().map(of).collect::<Vec<_>>();
            writes.add(
                "UPDATE fact AS f SET version = $1, count = u.count, cpu_ns = u.cpu_ns,
                   first_seen = u.first_seen, last_seen = u.last_seen, processes = u.processes,
                   live = u.live, epoch = u.epoch, agent_count = u.agent_count,
                   agent_cpu_ns = u.agent_cpu_ns
                 FROM unnest($2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[],
                     $7::BIGINT[], $8::BOOLEAN[], $9::BIGINT[], $10::BIGINT[], $11::BIGINT[])
                   AS u (id, count, cpu_ns, first_seen, last_seen, processes, live, epoch, agent_count,
                     agent_cpu_ns)
                 WHERE f.id = u.id",
                values![
                    version,
                    column(|has| has.row),
                    column(|has| has.count),
                    column(|has| has.cpu_ns),
                    column(|has| has.first_seen),
                    column(|has| has.last_seen),
                    column(|has| has.processes),
                    self.changed.iter().map(|has| has.live).collect::<Vec<_>>(),
                    column(|has| has.epoch),
                    column(|has| from_random(has.told.count)),
                    column(|has| from_random(has.told.cpu_ns)),
                ],
            );
        }
        if !self.new.is_empty() {
            self.insert(writes, node, epoch, version);
        }
    }

    fn put_aside(&self, writes: &mut Writes, epoch: i64) {
        if !self.taken.is_empty() {
            writes.add(
                "DELETE FROM fact_epoch WHERE fact_id = ANY($1) AND epoch = $2",
                values![self.taken.clone(), epoch],
            );
        }
        if self.aside.is_empty() {
            return;
        }
        let aside = || self.aside.iter();
        writes.add(
            "INSERT INTO fact_epoch (fact_id, epoch, agent_count, agent_cpu_ns)
             SELECT u.fact_id, u.epoch, u.agent_count, u.agent_cpu_ns
             FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[])
               AS u (fact_id, epoch, agent_count, agent_cpu_ns)
             ON CONFLICT (fact_id, epoch) DO UPDATE SET
               agent_count = excluded.agent_count, agent_cpu_ns = excluded.agent_cpu_ns",
            values![
                aside().map(|(row, ..)| *row).collect::<Vec<_>>(),
                aside().map(|(_, epoch, _)| *epoch).collect::<Vec<_>>(),
                aside()
                    .map(|(.., told)| from_random(told.count))
                    .collect::<Vec<_>>(),
                aside()
                    .map(|(.., told)| from_random(told.cpu_ns))
                    .collect::<Vec<_>>(),
            ],
        );
    }

    fn insert(&self, writes: &mut Writes, node: i64, epoch: i64, version: i64) {
        let new = &self.new;
        let key =
            |of: fn(&FactKey) -> String| new.iter().map(|(_, key, _)| of(key)).collect::<Vec<_>>();
        let some = |of: fn(&FactKey) -> Option<String>| {
            new.iter().map(|(_, key, _)| of(key)).collect::<Vec<_>>()
        };
        let number =
            |of: fn(&Stored) -> i64| new.iter().map(|(.., has)| of(has)).collect::<Vec<_>>();
        writes.add(
            "INSERT INTO fact (node_id, epoch, version, owner_id, key_id, \"binary\", path_resolved, arch,
               mode, emulator, via, cause, count, cpu_ns, first_seen, last_seen, processes, live,
               agent_count, agent_cpu_ns)
             SELECT $1, $2, $3, o.id, u.key_id, u.path, u.path_resolved, u.arch, u.mode, u.emulator, u.via,
               u.cause, u.count, u.cpu_ns, u.first_seen, u.last_seen, u.processes, u.live, u.agent_count,
               u.agent_cpu_ns
             FROM unnest($4::BIGINT[], $5::BYTEA[], $6::BYTEA[], $7::TEXT[], $8::BOOLEAN[], $9::TEXT[],
                 $10::TEXT[], $11::TEXT[], $12::TEXT[], $13::TEXT[], $14::BIGINT[], $15::BIGINT[],
                 $16::BIGINT[], $17::BIGINT[], $18::BIGINT[], $19::BOOLEAN[], $20::BIGINT[], $21::BIGINT[])
               AS u (place, key_id, cgroup_id, path, path_resolved, arch, mode, emulator, via, cause, count,
                 cpu_ns, first_seen, last_seen, processes, live, agent_count, agent_cpu_ns)
               JOIN owner o ON o.node_id = $1 AND o.cgroup_id = u.cgroup_id
             ORDER BY u.place",
            values![
                node,
                epoch,
                version,
                (0..new.len()).map(|place| from_count(place as u64)).collect::<Vec<_>>(),
                new.iter().map(|(id, ..)| id.0.to_vec()).collect::<Vec<_>>(),
                new.iter().map(|(_, key, _)| cgroup_id(&key.cgroup)).collect::<Vec<_>>(),
                key(|key| key.binary.clone()),
                new.iter().map(|(_, key, _)| key.path_resolved).collect::<Vec<_>>(),
                key(|key| key.arch.to_string()),
                key(|key| key.mode.as_str().to_owned()),
                some(|key| key.emulator.clone()),
                some(|key| key.via.map(|via| Via::as_str(via).to_owned())),
                some(|key| key.cause.map(|cause| Cause::as_str(cause).to_owned())),
                number(|has| has.count),
                number(|has| has.cpu_ns),
                number(|has| has.first_seen),
                number(|has| has.last_seen),
                number(|has| has.processes),
                new.iter().map(|(.., has)| has.live).collect::<Vec<_>>(),
                number(|has| from_random(has.told.count)),
                number(|has| from_random(has.told.cpu_ns)),
            ],
        );
    }
}

/// After the first snapshot of an epoch, which may have been there before: facts that it had then and
/// that the snapshot leaves out would be counted from zero, too.
pub(in super::super) fn forget_left_out(writes: &mut Writes, node: i64, epoch: i64) {
    writes.add(
        "UPDATE fact SET agent_count = 0, agent_cpu_ns = 0
         WHERE node_id = $1 AND live = FALSE AND epoch = $2
           AND (agent_count <> 0 OR agent_cpu_ns <> 0)",
        values![node, epoch],
    );
    writes.add(
        "DELETE FROM fact_epoch
         WHERE fact_id IN (SELECT id FROM fact WHERE node_id = $1 AND live = FALSE) AND epoch = $2",
        values![node, epoch],
    );
}
