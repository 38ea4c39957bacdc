//! The portability matrix.

use archtrace_facts::arch::Arch;
use archtrace_facts::matrix::Matrix;
use archtrace_proto::v1;

use super::{Answer, Client};
use crate::failure::Failure;

/// Which workloads are asked for; lists that are empty are no condition.
#[derive(Clone, Debug)]
pub(crate) struct Workloads {
    pub(crate) clusters: Vec<String>,
    pub(crate) namespaces: Vec<String>,
    pub(crate) workloads: Vec<String>,
    /// Where they are to move to.
    pub(crate) arch: Arch,
}

impl Client {
    /// All pages of workloads, and how many facts are of pods whose names nobody knows.
    pub(crate) async fn matrix(
        &self,
        asked: &Workloads,
    ) -> Result<(Answer<Vec<Matrix>>, u64), Failure> {
        self.by_workload(|mut query, page_size, page_token| {
            let request = self.request(v1::GetMatrixRequest {
                clusters: asked.clusters.clone(),
                namespaces: asked.namespaces.clone(),
                workloads: asked.workloads.clone(),
                arch: asked.arch.to_string(),
                page_size,
                page_token,
            });
            async move { query.get_matrix(request).await }
        })
        .await
    }
}
