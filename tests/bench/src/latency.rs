//! From an exec to the moment when the collector tells of it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::Program;
use archtrace_harness::world::World;
use archtrace_proto::v1::query_client::QueryClient;
use archtrace_proto::v1::{ExecutionMode, Filter, ListFactsRequest, Selection};
use tonic::transport::{Channel, Endpoint};

use crate::summary::{percentile, sorted};

/// A guest that is not told of within this time is reported as an error.
const LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn print(world: &World, guests: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let server = world.client().server;
    let values = runtime.block_on(async {
        let channel = Endpoint::from_shared(server)?.connect().await;
        let mut client = QueryClient::new(channel.context("reach the collector")?);
        let mut values = Vec::new();
        for i in 0..guests {
            let guest = world.program(format!("guest-{i}"), world.foreign(), Program::Exit(0))?;
            values.push(until_visible(&mut client, &guest).await?);
        }
        Ok::<_, anyhow::Error>(values)
    })?;
    let values = sorted(values);
    println!("from exec to visible, {guests} binaries never seen before");
    for percent in [50, 99, 100] {
        println!("  p{percent:<3} {:>8.1} ms", percentile(&values, percent));
    }
    Ok(())
}

async fn until_visible(client: &mut QueryClient<Channel>, guest: &Path) -> Result<f64> {
    let start = Instant::now();
    let mut child = Command::new(guest)
        .spawn()
        .with_context(|| format!("run {}", guest.display()))?;
    let request = ListFactsRequest {
        selection: Some(Selection {
            allow: vec![Filter {
                modes: vec![ExecutionMode::Emulated.into()],
                ..Filter::default()
            }],
            ..Selection::default()
        }),
        page_size: 10,
        ..ListFactsRequest::default()
    };
    let millis = loop {
        let facts = client.list_facts(request.clone()).await?.into_inner().facts;
        let names = facts
            .iter()
            .filter_map(|fact| fact.fact.as_ref()?.key.as_ref());
        if names.into_iter().any(|key| Path::new(&key.binary) == guest) {
            break start.elapsed().as_secs_f64() * 1e3;
        }
        ensure!(
            start.elapsed() < LIMIT,
            "{} was never told of",
            guest.display()
        );
        tokio::time::sleep(Duration::from_micros(500)).await;
    };
    child.wait()?;
    Ok(millis)
}
