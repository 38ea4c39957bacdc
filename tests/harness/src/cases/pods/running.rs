//! What runs in pods.

use anyhow::{Result, ensure};
use archtrace_guests::{Program, build};

use super::Named;
use crate::cases::Outcome;
use crate::pods::{Container, Image, Qos};
use crate::world::World;

/// Pods of every class, and static ones; native and emulated containers; init, main and sidecar containers of one pod, and
/// what is executed in a running one.
pub(in crate::cases) fn kinds(world: &mut World) -> Result<Outcome> {
    let (native, foreign) = (world.native(), world.foreign());
    let pause = |isa| build(isa, Program::Pause);
    let kubelet = world.kubelet()?;
    let init = Image::of_program(
        "init",
        native.as_str(),
        "/init",
        build(native, Program::Exit(0)),
    );
    let main = Image::of_program("main", native.as_str(), "/bin/main", pause(native))
        .with("/bin/helper", build(foreign, Program::Exit(0)))
        .with("/bin/tool", build(native, Program::Exit(0)));
    let emulated = Image::of_program(
        "emulated",
        foreign.as_str(),
        "/bin/emulated",
        pause(foreign),
    );
    for image in [&init, &main, &emulated] {
        kubelet.import(image)?;
    }

    let guaranteed = kubelet.pod("guaranteed", Qos::Guaranteed)?;
    let only = kubelet.run(&guaranteed, &Container::new("only", &main.name))?;
    let of_file = kubelet.static_pod("static", Qos::Burstable)?;
    let static_id = kubelet.run(&of_file, &Container::new("only", &emulated.name))?;
    let burstable = kubelet.pod("burstable", Qos::Burstable)?;
    let alone = kubelet.run(&burstable, &Container::new("alone", &emulated.name))?;
    let pod = kubelet.pod("several", Qos::BestEffort)?;
    let first = kubelet.run(&pod, &Container::new("first", &init.name))?;
    let exit = kubelet.exit(&first)?;
    ensure!(exit.code == 0, "the init container ended with {exit:?}");
    let second = kubelet.run(&pod, &Container::new("second", &main.name))?;
    let sidecar = kubelet.run(&pod, &Container::new("sidecar", &emulated.name))?;
    for tool in ["/bin/tool", "/bin/helper"] {
        let code = kubelet.exec(&second, &[tool])?;
        ensure!(code == 0, "{tool} ended with {code}");
    }

    let in_static = Named::new(&of_file, "only", &static_id, &emulated);
    let in_second = Named::new(&pod, "second", &second, &main);
    let in_sidecar = Named::new(&pod, "sidecar", &sidecar, &emulated);
    let in_alone = Named::new(&burstable, "alone", &alone, &emulated);
    let in_first = Named {
        last_exit: Some((0, "Completed")),
        ..Named::new(&pod, "first", &first, &init)
    };
    // What is emulated is told at once, so it is looked at first.
    for (named, binary, mode, isa) in [
        (in_static, "/bin/emulated", "emulated", foreign),
        (in_alone, "/bin/emulated", "emulated", foreign),
        (in_sidecar, "/bin/emulated", "emulated", foreign),
        (in_second, "/bin/helper", "emulated", foreign),
        (in_second, "/bin/tool", "native", native),
        (in_second, "/bin/main", "native", native),
        (in_first, "/init", "native", native),
        (
            Named::new(&guaranteed, "only", &only, &main),
            "/bin/main",
            "native",
            native,
        ),
    ] {
        let fact = named.fact(world, binary, mode)?;
        ensure!(
            fact.arch == isa.as_str() && fact.count == 1,
            "it is told as {fact:?}"
        );
    }
    for (named, binary) in [
        (in_alone, "/bin/emulated"),
        (in_sidecar, "/bin/emulated"),
        (in_second, "/bin/helper"),
    ] {
        named.event(world, binary, "emulated_exec")?;
    }
    for pod in [&guaranteed, &of_file, &burstable, &pod] {
        world.kubelet()?.remove(pod)?;
    }
    Ok(Outcome::Pass(String::new()))
}
