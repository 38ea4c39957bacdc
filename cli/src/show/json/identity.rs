//! Whose something is, beyond the names that have their own place in an object.

use std::collections::BTreeMap;

use archtrace_facts::identity::Identity;
use serde::Serialize;

#[derive(Default, Serialize)]
pub(crate) struct Owner<'a> {
    pod_uid: &'a str,
    container_id: &'a str,
    unit: &'a str,
    image: &'a str,
    image_id: &'a str,
    image_arch: Option<String>,
    workload: &'a str,
    restart_attempt: u32,
    last_exit_code: Option<i32>,
    last_exit_reason: Option<&'a str>,
    labels: Option<&'a BTreeMap<String, String>>,
}

impl<'a> From<&'a Identity> for Owner<'a> {
    fn from(identity: &'a Identity) -> Self {
        let Identity {
            namespace: _,
            pod: _,
            container: _,
            pod_uid,
            container_id,
            unit,
            image,
            image_id,
            image_arch,
            workload,
            workload_from_api: _,
            labels,
            attempt,
            last_exit,
        } = identity;
        Self {
            pod_uid,
            container_id,
            unit,
            image,
            image_id,
            image_arch: image_arch.map(|arch| arch.to_string()),
            workload,
            restart_attempt: *attempt,
            last_exit_code: last_exit.as_ref().map(|exit| exit.code),
            last_exit_reason: last_exit.as_ref().map(|exit| exit.reason.as_str()),
            labels: Some(labels),
        }
    }
}
