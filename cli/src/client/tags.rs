//! Tags that pods ask for, and what their registries have.

use archtrace_facts::arch::Arch;
use archtrace_facts::registry::DeployedTag;
use archtrace_proto::v1;

use super::{Answer, Client};
use crate::failure::Failure;

/// Which tags are asked for; lists that are empty are no condition.
#[derive(Clone, Debug)]
pub(crate) struct Tags {
    pub(crate) references: Vec<String>,
    pub(crate) clusters: Vec<String>,
    pub(crate) namespaces: Vec<String>,
    pub(crate) workloads: Vec<String>,
    /// What verdicts are about.
    pub(crate) arch: Arch,
}

impl Client {
    /// All pages of tags, and how many facts are of pods whose images nobody knows.
    pub(crate) async fn tags(
        &self,
        asked: &Tags,
    ) -> Result<(Answer<Vec<DeployedTag>>, u64), Failure> {
        self.by_workload(|mut query, page_size, page_token| {
            let request = self.request(v1::ListTagsRequest {
                references: asked.references.clone(),
                clusters: asked.clusters.clone(),
                namespaces: asked.namespaces.clone(),
                workloads: asked.workloads.clone(),
                arch: asked.arch.to_string(),
                page_size,
                page_token,
            });
            async move { query.list_tags(request).await }
        })
        .await
    }
}
