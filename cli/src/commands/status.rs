//! `archtrace status`.

use super::{print, warn};
use crate::args::Output;
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

pub(super) async fn status(client: &Client, output: Output) -> Result<(), Failure> {
    let status = client.status().await?;
    warn(&status.coverage);
    print(&show::status(&status, client.peer().address(), output))
}
