//! What is said of the node itself.

use anyhow::{Result, ensure};
use nix::unistd::{SysconfVar, sysconf};

use super::Outcome;
use super::failures::RISCV64;
use super::kinds::SOON;
use crate::binfmt::Handler;
use crate::wait::eventually;
use crate::world::World;

/// The CPU and what it has, the kernel and what it forbids.
pub(super) fn described(world: &mut World) -> Result<Outcome> {
    let runs_32bit = world.runs_32bit()?;
    let node = world.node()?;
    let features = node["cpu_features"].as_array().map_or(0, Vec::len);
    ensure!(features > 0, "no features of the CPU are told: {node}");
    ensure!(
        node["runs_32bit"] == runs_32bit,
        "that it runs 32-bit programs is said to be {}",
        node["runs_32bit"]
    );
    for field in ["cpu_model", "cpu_generation", "lockdown", "kernel_release"] {
        ensure!(node[field].is_string(), "no {field} in {node}");
    }
    Ok(Outcome::Pass(format!(
        "{} {}, {features} features",
        node["cpu_model"], node["cpu_generation"]
    )))
}

/// The size of the kernel's pages, which the addresses of guests depend on.
pub(super) fn pages(world: &mut World) -> Result<Outcome> {
    let size = sysconf(SysconfVar::PAGE_SIZE)?;
    let node = world.node()?;
    ensure!(
        node["page_size"].as_i64() == size,
        "the size of a page is {size:?}, told is {}",
        node["page_size"]
    );
    Ok(if size == Some(4096) {
        Outcome::NotApplicable("this kernel has pages of 4 KiB, as those of all EKS images have")
    } else {
        Outcome::Pass(format!("{size:?} bytes"))
    })
}

/// Registering an emulator is an event, and so is taking it out.
pub(super) fn handlers_come_and_go(world: &mut World) -> Result<Outcome> {
    let name = "archtrace-test-event";
    let seen = |kind: &str| {
        eventually(SOON, || {
            let events = world.client().events()?;
            let mut handlers = events
                .iter()
                .filter(|event| event.kind == kind)
                .filter_map(|event| event.handler.as_ref());
            let told = handlers.find(|handler| handler.name == name);
            ensure!(
                told.is_some_and(|handler| {
                    handler.interpreter == "/emulator"
                        && handler.flags.contains('P')
                        && handler.arch.as_deref() == Some("riscv64")
                }),
                "of {kind} is told {told:?}"
            );
            Ok(())
        })
    };
    let handler = Handler::emulate(name, RISCV64, "/emulator".as_ref(), "P")?;
    let ((), after) = seen("handler_added")?;
    drop(handler);
    seen("handler_removed")?;
    Ok(Outcome::Pass(format!("after {} ms", after.as_millis())))
}
