//! `archtrace nodes`.

use super::tell;
use crate::args::{NodesArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

pub(super) async fn nodes(
    client: &Client,
    output: Output,
    args: &NodesArgs,
) -> Result<(), Failure> {
    let NodesArgs {
        nodes: names,
        handlers,
    } = args;
    let mut nodes = client.nodes(names).await?;
    nodes
        .told
        .sort_by(|a, b| (&a.cluster, &a.info.name).cmp(&(&b.cluster, &b.info.name)));
    let mut registered = nodes.told.iter().map(|node| &node.preflight.handlers);
    if *handlers && !nodes.told.is_empty() && registered.all(Vec::is_empty) {
        super::warn(&nodes.coverage);
        eprintln!("no handlers on {} node(s)", nodes.told.len());
        return Ok(());
    }
    let what = || "nodes".to_owned();
    tell(client, &nodes, names, what, |nodes| {
        if *handlers {
            show::handlers(nodes, output)
        } else {
            show::nodes(nodes, output)
        }
    })
    .await
}
