//! How it is with mandated agents, and since when. Several replicas note what each of them found.

use std::collections::HashMap;

use archtrace_facts::coverage::{Change as Told, Past, Place, Standing, Status};
use archtrace_query::read::StoreError;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::pool::{Change, Database, Outcome, Transaction};
use super::read::read;
use super::writes::{Writes, values};
use crate::store::sql::standings::{Step, step};
use crate::store::sql::{Failure, from_time, to_time};

/// [`crate::store::Store::note_standings`].
#[derive(Debug)]
pub(super) struct Note(pub(super) Vec<Told>);

/// Places as columns.
#[derive(Debug, Default)]
struct Places {
    agents: Vec<String>,
    clusters: Vec<String>,
    nodes: Vec<String>,
}

impl Places {
    fn add(&mut self, place: &Place) {
        self.agents.push(place.agent.clone());
        self.clusters.push(place.cluster.clone());
        self.nodes.push(place.node.clone());
    }

    fn of<'a>(places: impl Iterator<Item = &'a Place>) -> Self {
        let mut columns = Self::default();
        places.for_each(|place| columns.add(place));
        columns
    }
}

/// Columns of times and statuses.
#[derive(Debug, Default)]
struct Columns {
    places: Places,
    statuses: Vec<&'static str>,
    since: Vec<i64>,
    until: Vec<i64>,
}

impl Change for Note {
    type Answer = u64;

    async fn make(&self, tx: &Transaction) -> Result<Outcome<u64>, Failure> {
        let Places {
            agents,
            clusters,
            nodes,
        } = Places::of(self.0.iter().map(|change| &change.place));
        let rows = tx
            .rows(
                "SELECT s.agent, s.cluster, s.node, s.status, s.since
                 FROM standing s JOIN unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS u (agent, cluster, node)
                   ON s.agent = u.agent AND s.cluster = u.cluster AND s.node = u.node
                 ORDER BY s.agent, s.cluster, s.node FOR UPDATE OF s",
                &[&agents, &clusters, &nodes],
            )
            .await?;
        let noted = rows
            .iter()
            .map(|row| Ok((place(row, 0)?, standing(row, 3)?)));
        let noted: HashMap<_, _> = noted.collect::<Result<_, Failure>>()?;
        let (mut refused, mut past) = (0, Columns::default());
        let (mut new, mut other, mut gone) =
            (Columns::default(), Columns::default(), Places::default());
        for change in &self.0 {
            let step = match step(noted.get(&change.place).copied(), change) {
                Ok(Some(step)) => step,
                Ok(None) => continue,
                Err(()) => {
                    refused += 1;
                    continue;
                }
            };
            let Step { closes, status, at } = step;
            if let Some(closes) = closes {
                past.places.add(&change.place);
                past.statuses.push(closes.status.as_str());
                past.since.push(from_time(closes.since));
                past.until.push(from_time(at));
            }
            let Some(status) = status else {
                gone.add(&change.place);
                continue;
            };
            let columns = if closes.is_some() {
                &mut other
            } else {
                &mut new
            };
            columns.places.add(&change.place);
            columns.statuses.push(status.as_str());
            columns.since.push(from_time(at));
        }
        write(tx, past, other, gone).await?;
        refused += insert(tx, &new).await?;
        Ok(Outcome::Keep(refused))
    }
}

async fn write(
    tx: &Transaction,
    past: Columns,
    other: Columns,
    gone: Places,
) -> Result<(), Failure> {
    let mut writes = Writes::default();
    if !past.since.is_empty() {
        writes.add(
            "INSERT INTO past_standing (agent, cluster, node, status, since, until)
             SELECT * FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[])",
            values![
                past.places.agents,
                past.places.clusters,
                past.places.nodes,
                past.statuses,
                past.since,
                past.until,
            ],
        );
    }
    if !other.since.is_empty() {
        writes.add(
            "UPDATE standing AS s SET status = u.status, since = u.since
             FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[])
               AS u (agent, cluster, node, status, since)
             WHERE s.agent = u.agent AND s.cluster = u.cluster AND s.node = u.node",
            values![
                other.places.agents,
                other.places.clusters,
                other.places.nodes,
                other.statuses,
                other.since,
            ],
        );
    }
    if !gone.agents.is_empty() {
        writes.add(
            "DELETE FROM standing AS s
             USING unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS u (agent, cluster, node)
             WHERE s.agent = u.agent AND s.cluster = u.cluster AND s.node = u.node",
            values![gone.agents, gone.clusters, gone.nodes],
        );
    }
    writes.run(tx).await
}

/// Inserts in the order of keys, so that two replicas that find the same do not wait for each other in a
/// circle. Returns with how many another one was faster.
async fn insert(tx: &Transaction, new: &Columns) -> Result<u64, Failure> {
    if new.since.is_empty() {
        return Ok(0);
    }
    let Places {
        agents,
        clusters,
        nodes,
    } = &new.places;
    let inserted = tx
        .execute(
            "INSERT INTO standing (agent, cluster, node, status, since)
             SELECT u.agent, u.cluster, u.node, u.status, u.since
             FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[])
               AS u (agent, cluster, node, status, since)
             ORDER BY u.agent, u.cluster, u.node
             ON CONFLICT (agent, cluster, node) DO NOTHING",
            &[agents, clusters, nodes, &new.statuses, &new.since],
        )
        .await?;
    Ok((new.since.len() as u64).saturating_sub(inserted))
}

/// How it is with each of these.
pub(super) async fn standings(
    db: &Database,
    places: &[Place],
) -> Result<Vec<Option<Standing>>, StoreError> {
    let what = "list how it is with agents";
    let rows = ask(
        db,
        what,
        "SELECT u.at, s.status, s.since
         FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) WITH ORDINALITY AS u (agent, cluster, node, at)
         JOIN standing s ON s.agent = u.agent AND s.cluster = u.cluster AND s.node = u.node",
        places,
    )
    .await?;
    let mut answers = vec![None; places.len()];
    for (at, standing) in read(db, what, &rows, |row| {
        Ok((position(row)?, standing(row, 1)?))
    })? {
        if let Some(answer) = answers.get_mut(at) {
            *answer = Some(standing);
        }
    }
    Ok(answers)
}

/// How it was with each of these.
pub(super) async fn past(db: &Database, places: &[Place]) -> Result<Vec<Vec<Past>>, StoreError> {
    let what = "list how it was with agents";
    let rows = ask(
        db,
        what,
        "SELECT u.at, s.status, s.since, s.until
         FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) WITH ORDINALITY AS u (agent, cluster, node, at)
         JOIN past_standing s ON s.agent = u.agent AND s.cluster = u.cluster AND s.node = u.node
         ORDER BY u.at, s.since DESC",
        places,
    )
    .await?;
    let mut answers = vec![Vec::new(); places.len()];
    let row = |row: &Row| {
        let Standing { status, since } = standing(row, 1)?;
        let until = to_time(row.try_get(3)?);
        Ok((
            position(row)?,
            Past {
                status,
                since,
                until,
            },
        ))
    };
    for (at, past) in read(db, what, &rows, row)? {
        if let Some(answer) = answers.get_mut(at).filter(|known| known.len() < Past::MOST) {
            answer.push(past);
        }
    }
    Ok(answers)
}

/// How it is with every one.
pub(super) async fn all(db: &Database) -> Result<Vec<(Place, Status)>, StoreError> {
    let what = "list how it is with agents";
    let text = "SELECT agent, cluster, node, status, since FROM standing";
    let rows = db.ask_typed(what, text, &[]).await?;
    read(db, what, &rows, |row| {
        Ok((place(row, 0)?, standing(row, 3)?.status))
    })
}

async fn ask(
    db: &Database,
    what: &'static str,
    text: &'static str,
    places: &[Place],
) -> Result<Vec<Row>, StoreError> {
    let Places {
        agents,
        clusters,
        nodes,
    } = Places::of(places.iter());
    let texts = Type::TEXT_ARRAY;
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] = [
        (&agents, texts.clone()),
        (&clusters, texts.clone()),
        (&nodes, texts),
    ];
    db.ask_typed(what, text, &values).await
}

fn position(row: &Row) -> Result<usize, Failure> {
    // Counted from 1.
    let at: i64 = row.try_get(0)?;
    Ok(usize::try_from(at - 1)?)
}

fn place(row: &Row, at: usize) -> Result<Place, Failure> {
    Ok(Place {
        agent: row.try_get(at)?,
        cluster: row.try_get(at + 1)?,
        node: row.try_get(at + 2)?,
    })
}

/// A status and a time, from column `at` on.
fn standing(row: &Row, at: usize) -> Result<Standing, Failure> {
    let status: &str = row.try_get(at)?;
    Ok(Standing {
        status: status.parse()?,
        since: to_time(row.try_get(at + 1)?),
    })
}
