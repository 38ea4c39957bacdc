//! What Helm made of the chart, translated for a container runtime as the kubelet does it: field by field, and
//! nothing left out.
//!
//! Two things are not as in a cluster, since nobody plays them here: pods are in the node's network, where a
//! service's name leads to this machine; and there is no API server, so that there are no tokens.

mod quantity;
mod requests;
pub(super) mod spec;
mod volumes;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use self::spec::{Container, PodSpec, ProfileType, Seccomp};
use super::{Controller, Qos};

pub(super) use requests::{Identity, container, sandbox};
pub(super) use volumes::Places;

/// Makes the volumes of a pod of `workload` below `dir`.
pub(super) fn make(workload: &Workload, cluster: &Cluster, dir: &Path) -> Result<Places> {
    let group = workload.spec.security_context.fs_group;
    volumes::make(
        &workload.spec.volumes,
        &workload.claims,
        group,
        cluster,
        dir,
    )
}

/// The objects of a release.
#[derive(Clone, Debug)]
pub struct Chart {
    objects: Vec<Value>,
}

/// What a cluster has besides the release.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The node's name.
    pub node: String,
    /// Data of Secrets, by their names.
    pub secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Data of ConfigMaps, by their names.
    pub config_maps: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Names that lead to this machine.
    pub hosts: Vec<String>,
    /// The kubelet's directory of seccomp profiles.
    pub profiles: PathBuf,
}

/// What keeps pods running.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Of which kind it is.
    pub controller: Controller,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) spec: PodSpec,
    /// Names of volumes that are claimed for each pod.
    pub(super) claims: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object<S> {
    #[serde(rename = "apiVersion")]
    _version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    metadata: Metadata,
    spec: S,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DaemonSet {
    selector: Selector,
    /// There is one node.
    #[serde(rename = "updateStrategy")]
    _update_strategy: IgnoredAny,
    template: Template,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StatefulSet {
    replicas: u32,
    selector: Selector,
    #[serde(rename = "serviceName")]
    _service_name: String,
    template: Template,
    #[serde(default)]
    volume_claim_templates: Vec<Claim>,
}

/// Its size and the like are the provisioner's.
#[derive(Deserialize)]
struct Claim {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Selector {
    match_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    metadata: Metadata,
    spec: PodSpec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    #[serde(rename = "type")]
    _kind: String,
    selector: BTreeMap<String, String>,
    ports: Vec<ServicePort>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServicePort {
    #[serde(rename = "name")]
    _name: String,
    port: u16,
    target_port: String,
    #[serde(rename = "appProtocol")]
    _app_protocol: String,
}

impl Chart {
    /// Reads objects from a file of JSON.
    ///
    /// # Errors
    /// If it is not there, or no list.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("read {}", file.display()))?;
        let objects = serde_json::from_slice(&text);
        let objects = objects.with_context(|| format!("{} is no list", file.display()))?;
        Ok(Self { objects })
    }

    /// The workload of a component, by its label.
    ///
    /// # Errors
    /// If there is none, or something in it is not known here.
    pub fn workload(&self, component: &str) -> Result<Workload> {
        let is_it = |object: &&Value| {
            object["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
                == component
        };
        let object = self.objects.iter().find(is_it);
        let object = object.with_context(|| format!("nothing runs the component {component}"))?;
        let workload = match object["kind"].as_str() {
            Some("DaemonSet") => daemon_set(object),
            Some("StatefulSet") => stateful_set(object),
            _ => bail!("a {} is not known here", object["kind"]),
        };
        workload.with_context(|| format!("the workload of the component {component}"))
    }

    /// The names of services that lead to pods of `workload`.
    ///
    /// # Errors
    /// If there is none, something in one is not known, or a port is another than the container's: nobody
    /// forwards it.
    pub fn hosts(&self, workload: &Workload) -> Result<Vec<String>> {
        let services = self.objects.iter();
        let services = services.filter(|object| object["kind"] == "Service");
        let mut hosts = Vec::new();
        for object in services {
            let Object { metadata, spec, .. } = parse::<Service>(object)?;
            let name = format!("{}.{}.svc", metadata.name, metadata.namespace);
            if !selects(&spec.selector, &workload.labels) {
                continue;
            }
            let container = workload.only()?;
            for ServicePort {
                port, target_port, ..
            } in &spec.ports
            {
                ensure!(
                    container.port(target_port) == Some(*port),
                    "{name} has another port than its pods: {port}"
                );
            }
            hosts.push(name);
        }
        ensure!(!hosts.is_empty(), "no service leads to {}", workload.name);
        Ok(hosts)
    }
}

impl Workload {
    /// Its container, of which there is one.
    pub(super) fn only(&self) -> Result<&Container> {
        match self.spec.containers.as_slice() {
            [only] => Ok(only),
            several => bail!("{} has {} containers", self.name, several.len()),
        }
    }

    /// The same, where its container lacks a capability that it has.
    ///
    /// # Errors
    /// If it has not.
    pub fn without(&self, capability: &str) -> Result<Self> {
        let mut other = self.clone();
        let mut lost = false;
        for container in &mut other.spec.containers {
            container.security_context.capabilities.add.retain(|has| {
                lost |= has == capability;
                has != capability
            });
        }
        ensure!(lost, "{} has no capability {capability}", self.name);
        Ok(other)
    }

    /// The same, with the node's profile of seccomp that has this name, or with the runtime's own.
    #[must_use]
    pub fn with_profile(&self, name: Option<&str>) -> Self {
        let mut other = self.clone();
        let profile = Seccomp {
            kind: match name {
                Some(_) => ProfileType::Localhost,
                None => ProfileType::RuntimeDefault,
            },
            localhost_profile: name.map(ToOwned::to_owned),
        };
        for container in &mut other.spec.containers {
            container.security_context.seccomp_profile = Some(profile.clone());
        }
        other
    }

    /// The same, with other arguments.
    #[must_use]
    pub fn with_arguments(&self, arguments: &[&str]) -> Self {
        let mut other = self.clone();
        for container in &mut other.spec.containers {
            container.args = arguments.iter().map(|&word| word.to_owned()).collect();
        }
        other
    }

    /// The capabilities that its container is given.
    ///
    /// # Errors
    /// If it has several containers.
    pub fn capabilities(&self) -> Result<&[String]> {
        Ok(&self.only()?.security_context.capabilities.add)
    }

    /// Decides where its pods' cgroups are.
    pub(super) fn qos(&self) -> Result<Qos> {
        Ok(self.only()?.resources.qos())
    }
}

fn daemon_set(object: &Value) -> Result<Workload> {
    let Object { metadata, spec, .. } = parse::<DaemonSet>(object)?;
    let DaemonSet {
        selector, template, ..
    } = spec;
    workload(Controller::DaemonSet, metadata, &selector, template, &[])
}

fn stateful_set(object: &Value) -> Result<Workload> {
    let Object { metadata, spec, .. } = parse::<StatefulSet>(object)?;
    let StatefulSet {
        replicas,
        selector,
        template,
        volume_claim_templates,
        ..
    } = spec;
    ensure!(replicas == 1, "{replicas} replicas have no room here");
    let controller = Controller::StatefulSet;
    workload(
        controller,
        metadata,
        &selector,
        template,
        &volume_claim_templates,
    )
}

fn workload(
    controller: Controller,
    own: Metadata,
    selector: &Selector,
    template: Template,
    claims: &[Claim],
) -> Result<Workload> {
    let Template { metadata, spec } = template;
    let (name, labels) = (own.name, metadata.labels);
    ensure!(
        selects(&selector.match_labels, &labels),
        "{name} does not select its own pods"
    );
    Ok(Workload {
        controller,
        namespace: own.namespace,
        name,
        labels,
        annotations: metadata.annotations,
        spec,
        claims: claims
            .iter()
            .map(|claim| claim.metadata.name.clone())
            .collect(),
    })
}

fn parse<S: for<'de> Deserialize<'de>>(object: &Value) -> Result<Object<S>> {
    Object::deserialize(object)
        .with_context(|| format!("{} {}", object["kind"], object["metadata"]["name"]))
}

fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    let mut wanted = selector.iter();
    wanted.all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests;
