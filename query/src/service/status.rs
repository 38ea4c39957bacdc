//! How the server itself is.

use archtrace_facts::fleet::ServerStatus;
use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask};
use crate::read::Read;

pub(super) async fn status<S: Read>(
    query: &Inner<S>,
) -> Result<v1::GetServerStatusResponse, Status> {
    let totals = query.store.totals(query.alive_since());
    let totals = totals.await.map_err(ask::unavailable)?;
    let settings = &query.settings;
    let status = ServerStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: query.started_at,
        heartbeat_interval: settings.heartbeat_interval,
        store: settings.store_name.clone(),
        totals,
        authenticated: settings.server.authenticated(),
        coverage: query.live.known_coverage().await?.as_ref().clone(),
        refusals: settings.server.refusals(),
        policy: settings.mandates.in_force(),
    };
    Ok((&status).into())
}
