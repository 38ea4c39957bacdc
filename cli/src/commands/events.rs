//! `archtrace events`.

use std::time::SystemTime;

use archtrace_facts::fleet::Filter;

use super::{filter, nothing, print};
use crate::args::{EventsArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

pub(super) async fn events(
    client: &Client,
    output: Output,
    args: &EventsArgs,
) -> Result<(), Failure> {
    let EventsArgs {
        place,
        arch,
        modes,
        kinds,
        since,
        limit,
    } = args;
    let at = since.at(SystemTime::now());
    let filter = Filter {
        modes: modes.clone(),
        since: at,
        ..filter(place, arch)
    };
    let events = client.events(&filter, kinds, *limit).await?;
    if events.is_empty() {
        return nothing(
            client,
            &format!("such events {}", since.words()),
            &place.nodes,
        )
        .await;
    }
    print(&show::events(&events, output))
}
