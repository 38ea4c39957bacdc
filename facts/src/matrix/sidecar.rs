//! The other containers of a workload's pods.
//!
//! Nobody tells which container of a pod is the one that it is there for. So a container is another if
//! it is called as sidecars usually are, or if one of the others has the workload's own name. Where
//! that leaves a doubt it is taken for the workload's own: it is judged by the same rules, and only gets
//! more rows.

use super::seen::Container;
use super::{Images, Layer, Registry, Row, Status, dependencies, image, row, runtime};
use crate::arch::Arch;

/// Names that injectors and vendors give to containers next to others', and their images (the last part
/// of the path, without a tag).
const SIDECARS: [&str; 33] = [
    "aws-otel-collector",
    "cloud-sql-proxy",
    "config-reloader",
    "consul-dataplane",
    "datadog-agent",
    "daprd",
    "envoy",
    "envoy-sidecar",
    "filebeat",
    "fluent-bit",
    "fluentbit",
    "fluentd",
    "istio-init",
    "istio-proxy",
    "istio-validation",
    "kube-rbac-proxy",
    "linkerd-init",
    "linkerd-proxy",
    "linkerd-network-validator",
    "node-driver-registrar",
    "oauth2-proxy",
    "opentelemetry-collector",
    "opentelemetry-collector-contrib",
    "otc-container",
    "otel-collector",
    "promtail",
    "proxyv2",
    "secrets-store-csi-driver",
    "telegraf",
    "vault-agent",
    "vault-agent-init",
    "vector",
    "xray-daemon",
];

/// The container that holds a pod's namespaces: part of the node, not of the workload. It only counts if
/// something is wrong with it.
const SANDBOX: &str = "pause";

/// The workload's own containers, and the others.
pub(super) fn split<'a>(
    workload: &str,
    containers: &'a [Container],
) -> (Vec<&'a Container>, Vec<&'a Container>) {
    let name = workload.rsplit('/').next().unwrap_or_default();
    let is_sandbox = |container: &Container| container.name == SANDBOX;
    let (sandbox, containers): (Vec<_>, Vec<_>) = containers
        .iter()
        .partition(|container| is_sandbox(container));
    let is_named = containers.iter().any(|container| container.name == name);
    let is_own = |container: &&Container| {
        if is_named {
            container.name == name
        } else {
            !is_sidecar(container)
        }
    };
    let (mut own, mut others): (Vec<_>, Vec<_>) = containers.into_iter().partition(is_own);
    if own.is_empty() {
        // It is what it is there for.
        std::mem::swap(&mut own, &mut others);
    }
    others.extend(
        sandbox
            .into_iter()
            .filter(|sandbox| !sandbox.bad.is_empty()),
    );
    (own, others)
}

fn is_sidecar(container: &Container) -> bool {
    let image = |(reference, _): &(String, String)| {
        let last = reference.rsplit('/').next().unwrap_or_default();
        let name = last.split([':', '@']).next().unwrap_or_default();
        SIDECARS.contains(&name)
    };
    SIDECARS.contains(&&*container.name) || container.images.iter().any(image)
}

/// A row for each of the others: the worst that is known of it.
pub(super) fn rows(
    others: &[&Container],
    more: u64,
    images: &Images,
    registry: &Registry<'_>,
    arch: Arch,
) -> Vec<Row> {
    let mut rows: Vec<_> = others
        .iter()
        .map(|other| row_of(other, images, registry, arch))
        .collect();
    if more > 0 {
        let why = "has more containers than are looked at";
        rows.push(
            row(Layer::Sidecars, "", Status::Gate, why)
                .action("ask for them: archtrace facts --workload"),
        );
    }
    if rows.is_empty() {
        let why = "no other container of its pods was seen";
        rows.push(row(Layer::Sidecars, "", Status::Pass, why));
    }
    rows
}

fn row_of(container: &Container, images: &Images, registry: &Registry<'_>, arch: Arch) -> Row {
    let of_images = || {
        let platforms = image::rows(container, images, registry, arch).into_iter();
        platforms.chain(dependencies::rows(container, images, arch))
    };
    let mut rows = vec![runtime::row_of(container, arch)];
    if container.name != SANDBOX {
        rows.extend(of_images());
    }
    // Of several that are equally bad the first: what ran says more than what could.
    let all_pass = rows.iter().all(|row| row.status == Status::Pass);
    let worst = rows.into_iter().rev().max_by_key(|row| row.status);
    let Some(worst) = worst else {
        return row(
            Layer::Sidecars,
            &container.name,
            Status::Gate,
            "nothing is known of it",
        );
    };
    let why = if all_pass {
        format!("native on {arch}, with its images and their files")
    } else {
        format!("{}: {}", worst.layer, worst.why)
    };
    Row {
        layer: Layer::Sidecars,
        component: container.name.clone(),
        why,
        ..worst
    }
}
