//! `archtrace images`.

use super::tell;
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
    images
        .told
        .sort_by(|a, b| (&a.image.names, &a.image.id).cmp(&(&b.image.names, &b.image.id)));
    let what = || "such images of containers".to_owned();
    tell(client, &images, nodes, what, |images| {
        show::images(images, output)
    })
    .await
}
