//! Pods that do not start.

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Program, header_only};

use super::{LIMIT, Named};
use crate::binfmt::Handler;
use crate::cases::Outcome;
use crate::cases::failures::{ENOENT, ENOEXEC, RISCV64, S390X};
use crate::pods::{Container, Image, Qos};
use crate::wait::eventually;
use crate::world::World;

/// `exec format error`: nothing here runs what is in the image.
pub(in crate::cases) fn format_error(world: &mut World) -> Result<Outcome> {
    let image = Image::of_program("s390x", "s390x", "/bin/s390x", header_only(S390X));
    refused(world, &image, "s390x", "foreign_elf", ENOEXEC)
}

/// A handler without `F`, and no emulator where it looks for one: `no such file or directory`.
pub(in crate::cases) fn missing_emulator(world: &mut World) -> Result<Outcome> {
    let emulator = world.program("emulator-outside", world.native(), Program::Exit(0))?;
    let _handler = Handler::emulate("archtrace-test-outside", RISCV64, &emulator, "")?;
    let image = Image::of_program("riscv64", "riscv64", "/bin/riscv64", header_only(RISCV64));
    refused(world, &image, "riscv64", "missing_emulator", ENOENT)
}

fn refused(world: &World, image: &Image, arch: &str, cause: &str, errno: i32) -> Result<Outcome> {
    let kubelet = world.kubelet()?;
    kubelet.import(image)?;
    let pod = kubelet.pod("refused", Qos::BestEffort)?;
    let id = kubelet.create(&pod, &Container::new("main", &image.name))?;
    let exit = kubelet.refused(&pod, &id)?;
    let named = Named {
        last_exit: Some((exit.code, &exit.reason)),
        ..Named::new(&pod, "main", &id, image)
    };
    let binary = &image.entrypoint[0];
    if !world.sees_headers()? {
        return degraded(world, &named, binary, errno);
    }
    let fact = named.fact(world, binary, "failed")?;
    ensure!(
        fact.arch == arch && fact.cause.as_deref() == Some(cause) && fact.count == 1,
        "it is told as {fact:?}"
    );
    let event = named.event(world, binary, "failed_exec")?;
    let told = (&*event.arch, event.cause.as_deref(), event.errno);
    ensure!(
        told == (arch, Some(cause), Some(errno)),
        "the event says {event:?}"
    );
    kubelet.remove(&pod)?;
    Ok(Outcome::Pass(format!(
        "the runtime says: exit code {}, {}",
        exit.code, exit.reason
    )))
}

/// Without the header hook the file itself has to tell, and it is gone with its container.
fn degraded(world: &World, named: &Named<'_>, binary: &str, errno: i32) -> Result<Outcome> {
    if errno == ENOENT {
        return Ok(Outcome::Degraded(
            "not told: only the file could tell it from a plain not-found, and is gone with its container",
        ));
    }
    named.fact(world, binary, "failed")?;
    named.event(world, binary, "failed_exec")?;
    world.kubelet()?.remove(named.pod)?;
    Ok(Outcome::Degraded(
        "told for the right container, but not which architecture: the file is gone with its container",
    ))
}

/// A pod dies of `exec format error`, somebody registers a handler, and its next attempt runs.
pub(in crate::cases) fn recovers(world: &mut World) -> Result<Outcome> {
    let image = Image::of_program("recovers", "riscv64", "/bin/recovers", header_only(RISCV64));
    let emulator = world.program("emulator-late", world.native(), Program::Pause)?;
    let kubelet = world.kubelet()?;
    kubelet.import(&image)?;
    let pod = kubelet.pod("recovers", Qos::Burstable)?;
    let dies = kubelet.create(&pod, &Container::new("main", &image.name))?;
    let exit = kubelet.refused(&pod, &dies)?;
    let _handler = Handler::emulate("archtrace-test-late", RISCV64, &emulator, "F")?;
    let again = Container {
        attempt: 1,
        ..Container::new("main", &image.name)
    };
    let lives = kubelet.run(&pod, &again)?;

    let binary = "/bin/recovers";
    let last_exit = Some((exit.code, exit.reason.as_str()));
    let before = Named {
        last_exit,
        ..Named::new(&pod, "main", &dies, &image)
    };
    let after = Named {
        attempt: 1,
        last_exit,
        ..Named::new(&pod, "main", &lives, &image)
    };
    before.fact(world, binary, "failed")?;
    after.fact(world, binary, "emulated")?;
    before.event(world, binary, "failed_exec")?;
    after.event(world, binary, "emulated_exec")?;
    eventually(LIMIT, || {
        let events = world.client().events()?;
        let at = |kind: &str| {
            let of_pod =
                |event: &crate::client::Event| event.kind == kind && event.owner.pod_uid == pod.uid;
            let at = events.iter().position(of_pod);
            at.with_context(|| format!("no {kind} of the pod"))
        };
        let (failed, emulated) = (at("failed_exec")?, at("emulated_exec")?);
        let (failed, emulated) = (&events[failed].time, &events[emulated].time);
        // RFC 3339 with the same number of digits: ordered as texts are.
        ensure!(failed < emulated, "{failed} is not before {emulated}");
        Ok(())
    })?;
    world.kubelet()?.remove(&pod)?;
    Ok(Outcome::Pass(String::new()))
}
