//! Tags that pods ask for, and what their registries have.

use std::cell::Cell;

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
        let unnamed = Cell::new(0);
        let answer = self.pages(usize::MAX, |mut query, page_size, page_token| {
            let request = self.request(v1::ListTagsRequest {
                references: asked.references.clone(),
                clusters: asked.clusters.clone(),
                namespaces: asked.namespaces.clone(),
                workloads: asked.workloads.clone(),
                arch: asked.arch.to_string(),
                page_size,
                page_token,
            });
            let unnamed = &unnamed;
            async move {
                let page = query.list_tags(request).await?;
                unnamed.set(page.get_ref().unnamed_facts);
                Ok(page)
            }
        });
        Ok((answer.await?, unnamed.get()))
    }
}
