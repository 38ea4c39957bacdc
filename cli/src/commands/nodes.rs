//! `archtrace nodes`.

use super::{nothing, print};
use crate::args::{NodesArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

pub(super) async fn nodes(
    client: &Client,
    output: Output,
    NodesArgs { nodes: names }: &NodesArgs,
) -> Result<(), Failure> {
    let mut nodes = client.nodes(names).await?;
    nodes.sort_by(|a, b| (&a.cluster, &a.info.name).cmp(&(&b.cluster, &b.info.name)));
    if nodes.is_empty() {
        return nothing(client, "nodes", names).await;
    }
    print(&show::nodes(&nodes, output))
}
