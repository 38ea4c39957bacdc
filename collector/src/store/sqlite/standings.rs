//! How it is with mandated agents, and since when.

use archtrace_facts::coverage::{Change, Past, Place, Standing, Status};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::values::{from_time, to_time};
use crate::store::sql::Failure;
use crate::store::sql::standings::{Step, step};

/// Notes changes, and returns how many somebody else was faster with.
pub(super) fn note(db: &Connection, changes: &[Change]) -> Result<u64, Failure> {
    let mut refused = 0;
    for change in changes {
        let Place {
            agent,
            cluster,
            node,
        } = &change.place;
        let noted = current(db, &change.place)?;
        let Step { closes, status, at } = match step(noted, change) {
            Ok(Some(step)) => step,
            Ok(None) => continue,
            Err(()) => {
                refused += 1;
                continue;
            }
        };
        if let Some(past) = closes {
            db.prepare_cached(
                "INSERT INTO past_standing (agent, cluster, node, since, until, status)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                agent,
                cluster,
                node,
                from_time(past.since),
                from_time(at),
                past.status.as_str()
            ])?;
        }
        match status {
            Some(status) => db
                .prepare_cached(
                    "INSERT INTO standing (agent, cluster, node, status, since) VALUES (?, ?, ?, ?, ?)
                     ON CONFLICT (agent, cluster, node) DO UPDATE SET
                       status = excluded.status, since = excluded.since",
                )?
                .execute(params![
                    agent,
                    cluster,
                    node,
                    status.as_str(),
                    from_time(at)
                ])?,
            None => db
                .prepare_cached(
                    "DELETE FROM standing WHERE agent = ? AND cluster = ? AND node = ?",
                )?
                .execute(params![agent, cluster, node])?,
        };
    }
    Ok(refused)
}

/// How it is with each of these.
pub(super) fn standings(
    db: &Connection,
    places: &[Place],
) -> Result<Vec<Option<Standing>>, Failure> {
    places.iter().map(|place| current(db, place)).collect()
}

fn current(db: &Connection, place: &Place) -> Result<Option<Standing>, Failure> {
    let row = db
        .prepare_cached(
            "SELECT status, since FROM standing WHERE agent = ? AND cluster = ? AND node = ?",
        )?
        .query_row([&place.agent, &place.cluster, &place.node], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        })
        .optional()?;
    row.map(|(status, since)| {
        Ok(Standing {
            status: status.parse()?,
            since: to_time(since),
        })
    })
    .transpose()
}

/// How it was with each of these.
pub(super) fn past(db: &Connection, places: &[Place]) -> Result<Vec<Vec<Past>>, Failure> {
    let mut statement = db.prepare_cached(
        "SELECT status, since, until FROM past_standing WHERE agent = ? AND cluster = ? AND node = ?
         ORDER BY since DESC LIMIT ?",
    )?;
    let mut answers = Vec::with_capacity(places.len());
    for place in places {
        let most = Past::MOST as i64;
        let mut rows = statement.query(params![place.agent, place.cluster, place.node, most])?;
        let mut past = Vec::new();
        while let Some(row) = rows.next()? {
            past.push(Past {
                status: row.get_ref(0)?.as_str()?.parse()?,
                since: to_time(row.get(1)?),
                until: to_time(row.get(2)?),
            });
        }
        answers.push(past);
    }
    Ok(answers)
}

/// How it is with every one.
pub(super) fn all(db: &Connection) -> Result<Vec<(Place, Status)>, Failure> {
    let mut statement = db.prepare_cached("SELECT agent, cluster, node, status FROM standing")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let place = Place {
            agent: row.get(0)?,
            cluster: row.get(1)?,
            node: row.get(2)?,
        };
        all.push((place, row.get_ref(3)?.as_str()?.parse()?));
    }
    Ok(all)
}
