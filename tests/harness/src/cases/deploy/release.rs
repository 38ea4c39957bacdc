//! What `helm install` and people make in a cluster before there are pods.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::texts;
use crate::client::Client;
use crate::pods::{Chart, Cluster, Deployed, Launched, Pod, Workload};
use crate::world::World;

/// The node's name, which is another than that of the agent that the other cases have.
const NODE: &str = "deployed-node";

/// Where images are, as the values say (deploy/chart/ci/node.yaml), as are the names below.
const REGISTRY: &str = "archtrace.test";
const SECRET: &str = "collector-certificate";
const CLIENTS: &str = "clients-ca";
const HOST_CERTIFICATES: &str = "/etc/archtrace/node";

/// Where `Localhost` profiles are: as deploy/chart/README.md has it put there.
const PROFILES: &str = "/var/lib/kubelet/seccomp";
const PROFILE: &str = "archtrace/agent.json";
/// The same without bpf(2).
pub(super) const PROFILE_WITHOUT: &str = "archtrace/without-bpf.json";

/// A release with its collector.
pub(super) struct Release {
    pub(super) cluster: Cluster,
    pub(super) agent: Workload,
    /// A reader, with a certificate.
    pub(super) client: Client,
    collector: Deployed,
    launched: Launched,
}

impl Release {
    /// Imports the images, puts onto the node what the chart takes for granted, and starts the collector.
    pub(super) fn install(world: &World) -> Result<Self> {
        let shipped = world.program_file("deploy");
        let kubelet = world.kubelet()?;
        let version = version(world)?;
        for name in ["archtrace-agent", "archtrace-collector"] {
            let file = shipped.join(format!("{name}.tar"));
            let name = format!("{REGISTRY}/{name}");
            kubelet.import_layout(&file, &name, &version, world.native().as_str())?;
        }
        let chart = Chart::read(&shipped.join("manifest.json"))?;
        let (agent, collector) = (chart.workload("agent")?, chart.workload("collector")?);
        let hosts = chart.hosts(&collector)?;
        let certificates = certificates(world, &hosts)?;
        let read = |name: &str| {
            let file = certificates.join(name);
            fs::read(&file).with_context(|| format!("read {}", file.display()))
        };
        let (certificate, key) = (format!("node-{NODE}.crt"), format!("node-{NODE}.key"));
        put(HOST_CERTIFICATES, "tls.crt", &read(&certificate)?)?;
        put(HOST_CERTIFICATES, "tls.key", &read(&key)?)?;
        let profile = shipped.join("seccomp.json");
        let profile = fs::read(&profile).with_context(|| format!("read {}", profile.display()))?;
        put(PROFILES, PROFILE, &profile)?;
        put(PROFILES, PROFILE_WITHOUT, &without_bpf(&profile)?)?;
        let data = |files: &[(&str, &str)]| -> Result<BTreeMap<_, _>> {
            let files = files.iter();
            files
                .map(|(key, file)| Ok(((*key).to_owned(), read(file)?)))
                .collect()
        };
        let server = [
            ("tls.crt", "server.crt"),
            ("tls.key", "server.key"),
            ("ca.crt", "ca.crt"),
        ];
        let cluster = Cluster {
            node: NODE.to_owned(),
            secrets: BTreeMap::from([(SECRET.to_owned(), data(&server)?)]),
            config_maps: BTreeMap::from([(CLIENTS.to_owned(), data(&[("ca.crt", "ca.crt")])?)]),
            hosts,
            profiles: PROFILES.into(),
        };
        let deployed = kubelet.deploy(&collector, &cluster)?;
        let launched = kubelet.launch(&deployed, &collector, &cluster, 0)?;
        kubelet.ready(&launched).context("the collector")?;
        let file = |name: &str| certificates.join(name).display().to_string();
        let client = Client {
            server: "https://127.0.0.1:50061".to_owned(),
            arguments: [
                ("--tls-ca", "ca.crt"),
                ("--tls-cert", "reader.crt"),
                ("--tls-key", "reader.key"),
            ]
            .iter()
            .flat_map(|(option, name)| [(*option).to_owned(), file(name)])
            .collect(),
            ..world.client()
        };
        Ok(Self {
            cluster,
            agent,
            client,
            collector: deployed,
            launched,
        })
    }

    /// Whether the node reports, with nothing missing and by the hooks that this kernel allows.
    pub(super) fn node_is_well(&self, world: &World) -> Result<()> {
        let nodes = self.client.ask(&["nodes"])?;
        let node = nodes.iter().find(|node| node["node"] == NODE);
        let node = node.with_context(|| format!("{NODE} is not among {nodes:?}"))?;
        let preflight = &node["preflight"];
        ensure!(
            texts(&preflight["missing"]).is_empty(),
            "something is missing: {preflight}"
        );
        let same = world.node()?;
        ensure!(
            preflight["hooks"] == same["preflight"]["hooks"],
            "root on the node has other hooks: {} than {preflight}",
            same["preflight"]
        );
        Ok(())
    }

    /// The collector's pod.
    pub(super) fn collector(&self) -> (&Pod, &str) {
        (&self.collector.pod, &self.launched.id)
    }

    /// Ends the collector as the kubelet does, and removes its pod.
    pub(super) fn remove(self, world: &World) -> Result<()> {
        let kubelet = world.kubelet()?;
        kubelet
            .end_container(&self.launched)
            .context("end the collector")?;
        kubelet.remove(&self.collector.pod)
    }
}

/// What the programs say that they are, which is the images' tag.
fn version(world: &World) -> Result<String> {
    let mut command = Command::new(world.program_file("archtrace"));
    let output = command.arg("--version").stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said.split_whitespace().nth(1).map(ToOwned::to_owned);
    version.with_context(|| format!("archtrace --version says {said:?}"))
}

/// What `archtrace-collector dev-certs` makes, for a collector that is reached by `hosts`.
fn certificates(world: &World, hosts: &[String]) -> Result<PathBuf> {
    let dir = world.dir().join("release");
    let mut command = Command::new(world.program_file("archtrace-collector"));
    command
        .args(["dev-certs", "--node", NODE, "--out"])
        .arg(&dir);
    command.args(hosts.iter().flat_map(|host| ["--server", host.as_str()]));
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "dev-certs ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(dir)
}

fn without_bpf(profile: &[u8]) -> Result<Vec<u8>> {
    let mut profile: Value = serde_json::from_slice(profile).context("the profile of seccomp")?;
    let names = profile["syscalls"][0]["names"].as_array_mut();
    let names = names.context("the profile of seccomp lists no calls")?;
    names.retain(|name| name != "bpf");
    Ok(profile.to_string().into_bytes())
}

fn put(dir: &str, name: &str, content: &[u8]) -> Result<()> {
    let file = Path::new(dir).join(name);
    let dir = file.parent().unwrap_or(Path::new(dir));
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    fs::write(&file, content).with_context(|| format!("write {}", file.display()))
}
