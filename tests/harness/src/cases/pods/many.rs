//! Containers that are gone before anybody can ask for them.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Instant;

use anyhow::{Result, ensure};
use archtrace_guests::{Program, build};

use super::{LIMIT, Named, unattributed};
use crate::cases::Outcome;
use crate::client::Fact;
use crate::pods::{Container, Image, Qos};
use crate::wait::eventually;
use crate::world::{Place, World};

/// A container that lives for 10 ms.
pub(in crate::cases) fn brief(world: &mut World) -> Result<Outcome> {
    // Some 10 ms on a CPU that counts down by 10^8 a second, emulated.
    let program = Program::Spin(1_000_000);
    let (native, foreign) = (world.native(), world.foreign());
    let kubelet = world.kubelet()?;
    let image = Image::of_program(
        "brief",
        foreign.as_str(),
        "/bin/brief",
        build(foreign, program),
    )
    .with("/bin/native", build(native, program));
    kubelet.import(&image)?;
    let pod = kubelet.pod("brief", Qos::BestEffort)?;
    let native = Container {
        command: &["/bin/native"],
        ..Container::new("native", &image.name)
    };
    let ids = [
        kubelet.run(&pod, &Container::new("emulated", &image.name))?,
        kubelet.run(&pod, &native)?,
    ];
    for id in &ids {
        let exit = kubelet.exit(id)?;
        ensure!(exit.code == 0, "it ended with {exit:?}");
    }
    for (id, binary, mode) in [
        (&ids[0], "/bin/brief", "emulated"),
        (&ids[1], "/bin/native", "native"),
    ] {
        let named = Named {
            last_exit: Some((0, "Completed")),
            ..Named::new(&pod, mode, id, &image)
        };
        let fact = named.fact(world, binary, mode)?;
        ensure!(fact.count == 1, "it is told as {fact:?}");
    }
    world.kubelet()?.remove(&pod)?;
    Ok(Outcome::Pass(String::new()))
}

/// So many containers of runc, one after the other.
const BARE: u32 = 200;

/// Of many containers that are gone at once, cgroup and all, each is that of its pod; or counted as not.
pub(in crate::cases) fn short_lived(world: &mut World) -> Result<Outcome> {
    let program = build(world.foreign(), Program::Exit(0));
    let before = unattributed(world)?;
    let start = Instant::now();
    let pod = world.kubelet()?.bare("/bin/bare", &program)?;
    let mut expected = BTreeSet::new();
    for number in 0..BARE {
        let id = format!("{:032x}{number:032x}", std::process::id());
        pod.run(&id, "/bin/bare")?;
        expected.insert(id);
    }
    let seconds = start.elapsed().as_secs_f64();
    let missing = missed(world, before, &expected, |fact| {
        (fact.binary == "/bin/bare" && fact.owner.pod_uid == pod.uid)
            .then(|| fact.owner.container_id.clone())
    })?;
    Ok(Outcome::Pass(format!(
        "{} of {BARE} attributed, started in {seconds:.1} s",
        BARE as usize - missing
    )))
}

/// So many are in one pod.
const IN_A_POD: usize = 50;

/// Of many short-lived containers each is named; or counted as not.
pub(in crate::cases) fn many(world: &mut World) -> Result<Outcome> {
    let containers = match world.place() {
        Place::Host => 200,
        // containerd takes seconds for each there.
        Place::Vm => 20,
    };
    let foreign = world.foreign();
    let kubelet = world.kubelet()?;
    let program = build(foreign, Program::Exit(0));
    let image = Image::of_program("short", foreign.as_str(), "/bin/short", program);
    kubelet.import(&image)?;
    let before = unattributed(world)?;
    let start = Instant::now();
    let mut expected = BTreeSet::new();
    let mut pods = Vec::new();
    while expected.len() < containers {
        let pod = kubelet.pod("short", Qos::BestEffort)?;
        for number in 0..IN_A_POD.min(containers) {
            let name = format!("short-{number}");
            let id = kubelet.run(&pod, &Container::new(&name, &image.name))?;
            expected.insert((id, pod.name.clone(), name));
        }
        pods.push(pod);
    }
    let seconds = start.elapsed().as_secs_f64();
    let missing = missed(world, before, &expected, |fact| {
        let owner = &fact.owner;
        (fact.binary == "/bin/short" && owner.image == image.name).then(|| {
            (
                owner.container_id.clone(),
                owner.pod.clone(),
                owner.container.clone(),
            )
        })
    })?;
    for pod in &pods {
        world.kubelet()?.remove(pod)?;
    }
    Ok(Outcome::Pass(format!(
        "{} of {containers} named, started in {seconds:.1} s",
        containers - missing
    )))
}

/// Waits until the facts of emulated binaries say all that is `expected`, as `told` reads them; on a node with
/// other hierarchies of cgroups than one, until what they do not say is counted. Returns how many are missing.
fn missed<T: Ord + Debug>(
    world: &World,
    lost_before: u64,
    expected: &BTreeSet<T>,
    told: impl Fn(&Fact) -> Option<T>,
) -> Result<usize> {
    let (missing, _) = eventually(LIMIT, || {
        let facts = world.client().facts(&["--mode", "emulated"])?;
        let named: BTreeSet<_> = facts.iter().filter_map(&told).collect();
        let missing = expected.difference(&named).count();
        let first = expected.difference(&named).next();
        // Others run on this machine too, and may be lost.
        let lost = unattributed(world)? - lost_before;
        let counted = match world.place() {
            Place::Vm => 0,
            Place::Host => lost,
        };
        ensure!(
            missing as u64 <= counted,
            "{missing} are not told, {first:?} is the first; {lost} are said to be lost"
        );
        Ok(missing)
    })?;
    Ok(missing)
}
