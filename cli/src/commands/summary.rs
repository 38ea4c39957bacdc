//! `archtrace summary`.

use super::{nothing, print, warn};
use crate::args::{Output, SummaryArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

pub(super) async fn summary(
    client: &Client,
    output: Output,
    args: &SummaryArgs,
) -> Result<(), Failure> {
    let SummaryArgs {
        conditions,
        by,
        limit,
    } = args;
    let selection = conditions.selection(|_| {});
    let answer = client.summary(&selection, &by.0, *limit).await?;
    warn(&answer.coverage);
    if answer.told.rows.is_empty() {
        return nothing(client, "such facts", conditions.nodes()).await;
    }
    print(&show::summary(&answer, &by.0, output))
}
