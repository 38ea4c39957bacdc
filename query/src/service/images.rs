//! Images, in pages.

use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask, tags};
use crate::page::{self, Page, limit};
use crate::read::{ImageQuery, Read};
use crate::token::{self, Token};

pub(super) async fn list<S: Read>(
    query: &Inner<S>,
    request: v1::ListImagesRequest,
) -> Result<v1::ListImagesResponse, Status> {
    let v1::ListImagesRequest {
        nodes,
        names,
        page_size,
        page_token,
    } = request;
    ask::few("nodes", nodes.len())?;
    ask::few("names", names.len())?;
    let question = token::question("images", &(&nodes, &names));
    let after = Token::read(&page_token, question)?;
    let limit = limit(page_size)?;
    let asked = ImageQuery {
        nodes,
        names,
        after,
        limit: limit + 1,
    };
    let mut images = query.store.images(asked).await.map_err(ask::unavailable)?;
    tags::add_checks(query, images.iter_mut().map(|(_, image)| image)).await?;
    let Page {
        items: images,
        next,
    } = page::cut(&images, limit);
    Ok(v1::ListImagesResponse {
        images,
        next_page_token: token::next(next, question),
        coverage: query.live.coverage().await?,
    })
}
