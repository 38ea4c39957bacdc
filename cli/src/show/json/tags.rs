//! Tags that pods ask for, and what registries have.

use std::collections::BTreeMap;

use archtrace_facts::arch::Arch;
use archtrace_facts::registry as facts;
use serde::Serialize;

use crate::show::human::utc;

#[derive(Serialize)]
pub(crate) struct Tag<'a> {
    reference: &'a str,
    arch: String,
    verdict: &'static str,
    why: &'a str,
    check: Check<'a>,
    workloads: Vec<User<'a>>,
    more_workloads: u64,
    nodes: BTreeMap<String, u64>,
    node_names: &'a [String],
}

/// What a registry told; `trouble` and `message` are null where it told, the rest where it did not.
#[derive(Serialize)]
pub(crate) struct Check<'a> {
    reference: &'a str,
    checked_at: Option<String>,
    is_index: Option<bool>,
    digest: Option<&'a str>,
    platforms: Option<Vec<String>>,
    trouble: Option<&'static str>,
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct User<'a> {
    cluster: &'a str,
    namespace: &'a str,
    workload: &'a str,
}

pub(crate) fn tag(value: &facts::DeployedTag, arch: Arch) -> Tag<'_> {
    let nodes = value.nodes.iter();
    let users = value.users.iter().map(|user| User {
        cluster: &user.cluster,
        namespace: &user.namespace,
        workload: &user.workload,
    });
    Tag {
        reference: &value.reference,
        arch: arch.to_string(),
        verdict: value.verdict.as_str(),
        why: &value.why,
        check: check(&value.check),
        workloads: users.collect(),
        more_workloads: value.more_users,
        nodes: nodes
            .map(|(arch, count)| (arch.to_string(), *count))
            .collect(),
        node_names: &value.node_names,
    }
}

pub(super) fn check(value: &facts::Check) -> Check<'_> {
    let listing = value.told.as_ref().ok();
    let problem = value.told.as_ref().err();
    let platforms = listing.map(|listing| listing.platforms.iter().map(ToString::to_string));
    Check {
        reference: &value.reference,
        checked_at: value.checked_at.map(utc),
        is_index: listing.map(|listing| listing.is_index),
        digest: listing.map(|listing| &*listing.digest),
        platforms: platforms.map(Iterator::collect),
        trouble: problem.map(|problem| problem.trouble.as_str()),
        message: problem.map(|problem| &*problem.message),
    }
}
