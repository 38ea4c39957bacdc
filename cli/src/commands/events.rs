//! `archtrace events`.

use std::time::SystemTime;

use super::tell;
use crate::args::{EventsArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;
use crate::since::Since;

pub(super) async fn events(
    client: &Client,
    output: Output,
    args: &EventsArgs,
) -> Result<(), Failure> {
    let EventsArgs {
        conditions,
        kinds,
        since,
        limit,
        follow: _,
    } = args;
    let since = since.unwrap_or(Since::Always);
    let selection = conditions.selection(|allow| allow.since = since.at(SystemTime::now()));
    let events = client.events(&selection, kinds, *limit).await?;
    let what = || format!("such events {}", since.words());
    tell(client, &events, conditions.nodes(), what, |events| {
        show::events(events, output)
    })
    .await
}
