//! Tags that pods ask for, in pages, and what their registries have.

use std::collections::HashMap;
use std::sync::Arc;

use archtrace_facts::arch::Arch;
use archtrace_facts::fleet::FleetImage;
use archtrace_facts::registry::{Check, DeployedTag};
use archtrace_proto::v1;
use tonic::Status;

use super::{Inner, ask};
use crate::page::{self, Page, limit};
use crate::read::Read;
use crate::registry::Registry;
use crate::tags::{self, Gathered, Usage, Wanted};
use crate::token::{self, Texts, Token};

/// What to do where registries are not asked.
const NOBODY: &str = "registries are not asked: start archtrace-collector with --registry-check";

/// Place of a tag in the order in which they are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(String);

impl Token for Key {
    fn to_numbers(&self) -> Vec<u64> {
        [&self.0].pack()
    }

    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let [reference] = <[String; 1]>::unpack(numbers)?;
        Some(Self(reference))
    }
}

pub(super) async fn references<S: Read>(query: &Inner<S>) -> Result<Vec<String>, Status> {
    let shared = query.live.loaded().await?;
    let table = shared.table();
    let references = tags::references(&table).into_iter();
    Ok(references.map(str::to_owned).collect())
}

pub(super) async fn list<S: Read>(
    query: &Inner<S>,
    request: v1::ListTagsRequest,
) -> Result<v1::ListTagsResponse, Status> {
    let registry = query.settings.server.registry();
    let registry = registry.ok_or_else(|| Status::failed_precondition(NOBODY))?;
    let v1::ListTagsRequest {
        references,
        clusters,
        namespaces,
        workloads,
        arch,
        page_size,
        page_token,
    } = request;
    let conditions = (&references, &clusters, &namespaces, &workloads, &arch);
    let question = token::question("tags", &conditions);
    let after = Key::read(&page_token, question)?;
    let limit = limit(page_size)?;
    for (field, values) in [
        ("references", &references),
        ("clusters", &clusters),
        ("namespaces", &namespaces),
        ("workloads", &workloads),
    ] {
        ask::few(field, values.len())?;
    }
    let arch = ask::arch(&arch)?;
    let wanted = Wanted {
        references,
        clusters,
        namespaces,
        workloads,
    };
    let coverage = query.live.coverage_of_clusters(&wanted.clusters).await?;
    let shared = query.live.loaded().await?;
    // Some milliseconds of work, which others should not wait for.
    let gathered = tokio::task::spawn_blocking(move || tags::gather(&shared.table(), &wanted));
    let Gathered {
        tags,
        unnamed_facts,
    } = gathered
        .await
        .map_err(|error| Status::internal(format!("the list of tags failed: {error}")))?;
    let one_more = usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let tags = tags
        .into_iter()
        .map(|(reference, usage)| (Key(reference), usage));
    let tags = tags.filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    let rows = tags.take(one_more).map(|(key, usage)| {
        let tag = deployed(&key.0, usage, &*registry, arch);
        (key, tag)
    });
    let Page { items: tags, next } = page::cut(&rows.collect::<Vec<_>>(), limit);
    Ok(v1::ListTagsResponse {
        tags,
        next_page_token: token::next(next, question),
        coverage,
        unnamed_facts,
    })
}

fn deployed(reference: &str, usage: Usage, registry: &dyn Registry, arch: Arch) -> DeployedTag {
    let check = registry.check(reference);
    let Usage {
        users,
        more_users,
        nodes,
        node_names,
    } = usage;
    DeployedTag {
        reference: reference.to_owned(),
        verdict: check.verdict(arch),
        why: check.why(arch),
        check: Check::clone(&check),
        users,
        more_users,
        nodes,
        node_names,
    }
}

/// Adds to images what registries have under those of their names that pods ask for. Nodes call an image by
/// its whole name, and pods as they like.
pub(super) async fn add_checks<S: Read>(
    query: &Inner<S>,
    images: impl Iterator<Item = &mut FleetImage>,
) -> Result<(), Status> {
    let Some(registry) = query.settings.server.registry() else {
        return Ok(());
    };
    let asked = references(query).await?;
    let checks = asked.iter().map(|reference| {
        let check = registry.check(reference);
        (check.reference.clone(), check)
    });
    let checks: HashMap<String, Arc<Check>> = checks.collect();
    for image in images {
        let known = image.image.names.iter().filter_map(|name| checks.get(name));
        image.registry = known.map(|check| Check::clone(check)).collect();
    }
    Ok(())
}
