//! Names that come later, or change.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Program, build};

use super::{LIMIT, Named};
use crate::cases::Outcome;
use crate::pods::{Container, Image, Qos};
use crate::wait::eventually;
use crate::world::{Place, World};

/// A container that is started again has another id, and says how it ended before.
pub(in crate::cases) fn restarted(world: &mut World) -> Result<Outcome> {
    let foreign = world.foreign();
    let kubelet = world.kubelet()?;
    let program = build(foreign, Program::Exit(3));
    let image = Image::of_program("restarted", foreign.as_str(), "/bin/restarted", program);
    kubelet.import(&image)?;
    let pod = kubelet.pod("restarted", Qos::Burstable)?;
    let mut ids = Vec::new();
    for attempt in 0..2 {
        let container = Container {
            attempt,
            ..Container::new("main", &image.name)
        };
        let id = kubelet.run(&pod, &container)?;
        let exit = kubelet.exit(&id)?;
        ensure!(exit.code == 3, "it ended with {exit:?}");
        ids.push(id);
    }
    for (attempt, id) in (0..).zip(&ids) {
        let named = Named {
            attempt,
            last_exit: Some((3, "Error")),
            ..Named::new(&pod, "main", id, &image)
        };
        let fact = named.fact(world, "/bin/restarted", "emulated")?;
        ensure!(fact.count == 1, "it is told as {fact:?}");
    }
    world.kubelet()?.remove(&pod)?;
    Ok(Outcome::Pass(String::new()))
}

/// While the runtime is away, facts have what the cgroup's path says; once it is back, they get names.
pub(in crate::cases) fn later(world: &mut World) -> Result<Outcome> {
    let foreign = world.foreign();
    // An agent that was there would have asked already.
    world.kill_agent()?;
    let kubelet = world.kubelet_mut()?;
    let program = build(foreign, Program::Pause);
    let image = Image::of_program("later", foreign.as_str(), "/bin/later", program);
    kubelet.import(&image)?;
    let pod = kubelet.pod("later", Qos::BestEffort)?;
    let id = kubelet.run(&pod, &Container::new("main", &image.name))?;
    kubelet.stop_containerd()?;
    world.start_agent()?;
    let (owner, _) = eventually(LIMIT, || {
        let facts = world.client().facts(&["--mode", "emulated"])?;
        let fact = facts.into_iter().find(|fact| fact.binary == "/bin/later");
        Ok(fact.context("no fact of it")?.owner)
    })?;
    ensure!(
        owner.pod_uid == pod.uid && owner.container_id == id && owner.pod.is_empty(),
        "without a runtime it is {owner:?}"
    );
    world.kubelet_mut()?.start_containerd()?;
    Named::new(&pod, "main", &id, &image).fact(world, "/bin/later", "emulated")?;
    world.kubelet()?.remove(&pod)?;
    Ok(Outcome::Pass(String::new()))
}

/// What runs on the host has a systemd unit.
pub(in crate::cases) fn unit(world: &mut World) -> Result<Outcome> {
    if world.place() == Place::Host {
        return Ok(Outcome::NotApplicable("systemd does not run here"));
    }
    let program = world.program("of-a-unit", world.foreign(), Program::Exit(0))?;
    let status = Command::new("systemd-run")
        // Waiting for its end would take D-Bus.
        .args(["--quiet", "--unit=archtrace-test.service"])
        // Else all that belongs to a boot is started with it, which also clears /tmp.
        .arg("--property=DefaultDependencies=no")
        .arg(&program)
        .stdin(Stdio::null())
        .status()
        .context("start systemd-run")?;
    ensure!(status.success(), "systemd-run ended with {status}");
    let binary = program.display().to_string();
    eventually(LIMIT, || {
        let facts = world.client().facts(&["--mode", "emulated"])?;
        let fact = facts.into_iter().find(|fact| fact.binary == binary);
        let owner = fact.context("no fact of it")?.owner;
        ensure!(
            owner.unit == "archtrace-test.service" && owner.pod.is_empty(),
            "it is said to be of {owner:?}"
        );
        Ok(())
    })?;
    Ok(Outcome::Pass(String::new()))
}
