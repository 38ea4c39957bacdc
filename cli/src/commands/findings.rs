//! `archtrace findings`.

use archtrace_facts::finding::Severity;

use super::tell;
use crate::args::{FindingsArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

pub(super) async fn findings(
    client: &Client,
    output: Output,
    args: &FindingsArgs,
) -> Result<(), Failure> {
    let FindingsArgs {
        conditions,
        severity,
        findings,
    } = args;
    let selection = conditions.selection(|_| {});
    let ids: Vec<_> = findings.iter().map(ToString::to_string).collect();
    let severity = severity.map_or("", Severity::as_str);
    let found = client.findings(&selection, &ids, severity).await?;
    let what = || "such findings".to_owned();
    tell(client, &found, conditions.nodes(), what, |found| {
        show::findings(found, output)
    })
    .await
}
