//! `archtrace status`.

use super::print;
use crate::args::Output;
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

pub(super) async fn status(client: &Client, server: &str, output: Output) -> Result<(), Failure> {
    print(&show::status(&client.status().await?, server, output))
}
