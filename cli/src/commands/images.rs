//! `archtrace images`.

use archtrace_facts::registry::Verdict;

use super::tell;
use crate::args::{ImagesArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

pub(super) async fn images(
    client: &Client,
    output: Output,
    ImagesArgs {
        nodes,
        names,
        lacks,
    }: &ImagesArgs,
) -> Result<(), Failure> {
    let mut images = client.images(nodes, names).await?;
    if let Some(arch) = lacks {
        let checks = || images.told.iter().flat_map(|image| &image.registry);
        let unknown = checks().filter(|check| check.told.is_err()).count();
        if checks().next().is_none() {
            eprintln!(
                "warning: no registry was asked for any of them: start archtrace-collector with --registry-check"
            );
        } else if unknown > 0 {
            eprintln!(
                "warning: of {unknown} tag(s) nobody knows what registries have; archtrace registry says why"
            );
        }
        images.told.retain(|image| {
            let mut checks = image.registry.iter();
            checks.any(|check| check.verdict(*arch) == Verdict::Lacks)
        });
    }
    images
        .told
        .sort_by(|a, b| (&a.image.names, &a.image.id).cmp(&(&b.image.names, &b.image.id)));
    let what = || match lacks {
        Some(arch) => format!("images whose registry is known to have none for {arch}"),
        None => "such images of containers".to_owned(),
    };
    tell(client, &images, nodes, what, |images| {
        show::images(images, output)
    })
    .await
}
