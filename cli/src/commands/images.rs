//! `archtrace images`.

use super::{nothing, print};
use crate::args::{ImagesArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

pub(super) async fn images(
    client: &Client,
    output: Output,
    ImagesArgs { nodes, names }: &ImagesArgs,
) -> Result<(), Failure> {
    let mut images = client.images(nodes, names).await?;
    images.sort_by(|a, b| (&a.image.names, &a.image.id).cmp(&(&b.image.names, &b.image.id)));
    if images.is_empty() {
        return nothing(client, "such images of containers", nodes).await;
    }
    print(&show::images(&images, output))
}
