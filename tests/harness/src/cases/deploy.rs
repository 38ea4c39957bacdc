//! The chart, deployed: images as they are shipped, pods as the chart has them, on a node with a containerd.
//!
//! The release has certificates on both sides. Service account tokens need an API server, which there is none
//! of here; `collector/tests/it/security` has those.

mod release;
mod without;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Program, build};
use serde_json::Value;

use self::release::Release;
use super::Outcome;
use super::privileges::{BPF, PERFMON, Rights, looking};
use crate::pods::{Container, Deployed, Image, Launched, Pod, Qos};
use crate::wait::eventually;
use crate::world::World;

/// Names are asked for several times, and images looked through one after the other.
const LIMIT: Duration = Duration::from_secs(180);

/// The agent with all that the chart gives it, with one thing less each time, and what it sees.
pub(super) fn chart(world: &mut World) -> Result<Outcome> {
    let began = Instant::now();
    let _paranoia = Paranoia::of_upstream()?;
    let release = Release::install(world).context("install the release")?;
    let installed = began.elapsed();
    let kubelet = world.kubelet()?;
    let agent = kubelet.deploy(&release.agent, &release.cluster)?;
    without::reports(world, &release, &agent).context("with less than the chart gives")?;
    let reported = began.elapsed();

    let guest = Guest::start(world)?;
    without::files(world, &release, &agent, &guest).context("without CAP_DAC_READ_SEARCH")?;
    let launched = kubelet.launch(&agent, &release.agent, &release.cluster, 100)?;
    kubelet.ready(&launched).context("the agent")?;
    given_up(world, &release, &agent, &launched)?;
    guest.listed(&release)?;
    guest.audited(&release, true)?;
    release.node_is_well(world)?;

    kubelet.end_container(&launched).context("end the agent")?;
    kubelet.remove(&agent.pod)?;
    guest.remove(world)?;
    release.remove(world)?;
    Ok(Outcome::Pass(format!(
        "installed after {:.0} s, privileges shown after {:.0} s, all done after {:.0} s",
        installed.as_secs_f64(),
        reported.as_secs_f64(),
        began.elapsed().as_secs_f64()
    )))
}

/// How much the kernel restricts perf_event_open(2), by which kprobes are attached. Debian's kernels have a level
/// beyond upstream's, 3, at which no capability but CAP_SYS_ADMIN helps; nodes of EKS have upstream's.
struct Paranoia(String);

impl Paranoia {
    const FILE: &str = "/proc/sys/kernel/perf_event_paranoid";

    /// The level that is usual upstream, until this is dropped.
    fn of_upstream() -> Result<Self> {
        let before = fs::read_to_string(Self::FILE).context("read kernel.perf_event_paranoid")?;
        fs::write(Self::FILE, "2").context("write kernel.perf_event_paranoid")?;
        Ok(Self(before))
    }
}

impl Drop for Paranoia {
    fn drop(&mut self) {
        if let Err(error) = fs::write(Self::FILE, self.0.trim()) {
            eprintln!("could not restore kernel.perf_event_paranoid: {error}");
        }
    }
}

/// Whether the agent has given up what only attaching needs, and the collector never had anything.
fn given_up(world: &World, release: &Release, agent: &Deployed, launched: &Launched) -> Result<()> {
    let kubelet = world.kubelet()?;
    let looking = looking()?;
    let agents = Rights {
        user: 0,
        capabilities: looking,
        // Without CAP_SETPCAP a process may not change it.
        bounding: Some(looking | PERFMON | BPF),
        filtered: Some(true),
    };
    let process = kubelet.main_process(&agent.pod, &launched.id)?;
    agents.check(process).context("the agent's rights")?;
    let collectors = Rights {
        user: 65_532,
        capabilities: 0,
        bounding: Some(0),
        filtered: Some(true),
    };
    let (pod, id) = release.collector();
    let process = kubelet.main_process(pod, id)?;
    collectors.check(process).context("the collector's rights")
}

/// A pod that runs emulated, and has files that their owner alone may read.
struct Guest {
    pod: Pod,
    image: Image,
}

/// Its program.
const PROGRAM: &str = "/bin/guest";

impl Guest {
    fn start(world: &World) -> Result<Self> {
        let foreign = world.foreign();
        let program = |program| build(foreign, program);
        let image = Image::of_program("guest", foreign.as_str(), PROGRAM, program(Program::Pause))
            .with("/private/tool", program(Program::Exit(0)))
            .with_private("/private");
        let kubelet = world.kubelet()?;
        kubelet.import(&image)?;
        let pod = kubelet.pod("guest", Qos::Burstable)?;
        kubelet.run(&pod, &Container::new("guest", &image.name))?;
        Ok(Self { pod, image })
    }

    /// Waits until `archtrace emulated` lists it, by its names.
    fn listed(&self, release: &Release) -> Result<()> {
        let (row, _) = eventually(LIMIT, || {
            let rows = release.client.ask(&["emulated"])?;
            let row = rows.iter().find(|row| row["binary"] == PROGRAM);
            let row = row.with_context(|| format!("{PROGRAM} is not among {rows:?}"))?;
            ensure!(
                row["pod"] == self.pod.name.as_str(),
                "its pod is not named: {row}"
            );
            Ok(row.clone())
        })?;
        for (key, expected) in [
            ("node", release.cluster.node.as_str()),
            ("namespace", self.pod.namespace.as_str()),
            ("container", "guest"),
            ("image", self.image.name.as_str()),
            ("arch", self.image.arch),
        ] {
            ensure!(row[key] == expected, "its {key} is not {expected}: {row}");
        }
        Ok(())
    }

    /// Waits until its image was looked through: whether all of it was.
    fn audited(&self, release: &Release, completely: bool) -> Result<()> {
        eventually(LIMIT, || {
            let images = release.client.ask(&["images"])?;
            let id = self.image.id();
            let image = images.iter().find(|image| image["image_id"] == id.as_str());
            let image = image.with_context(|| format!("{id} is not among the images"))?;
            ensure!(
                image["complete"] == completely && image["audited"] == true,
                "it was looked through otherwise: {image}"
            );
            if !completely {
                ensure!(
                    image["skipped"]["unreadable"] == 1,
                    "of it was skipped: {image}"
                );
            }
            Ok(())
        })?;
        Ok(())
    }

    fn remove(&self, world: &World) -> Result<()> {
        world.kubelet()?.remove(&self.pod)
    }
}

/// A list of texts.
fn texts(value: &Value) -> Vec<&str> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}
