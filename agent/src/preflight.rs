//! The preflight report: which hooks run, what was missing and why.

use std::fmt::Write as _;
use std::path::Path;

use archtrace_facts::arch::Arch;
use archtrace_facts::node::Preflight;
use archtrace_sink::spool;
use serde_json::json;

use crate::source::sensor::{Sensor, SensorError};
use crate::source::{compat, mounts, node, registry};

/// Attaches as the agent would, says how that went, and detaches again.
///
/// # Errors
/// What would keep the agent from starting.
pub fn run(best_tier: u32, state_dir: Option<&Path>) -> Result<Preflight, crate::AgentError> {
    mounts::prepare();
    let sensor = Sensor::start(Arch::of_this_build(), best_tier, false)?;
    let mut report = sensor.preflight;
    let disk = state_dir.map(spool::check);
    report.missing.extend(disk.and_then(Result::err));
    Ok(report)
}

/// The report for people.
#[must_use]
pub fn text(report: &Preflight) -> String {
    let mut out = String::new();
    let arch = Arch::of_this_build();
    let runs_32bit = compat::try_out(arch, registry::read().rules());
    let node = node::read(Path::new("/proc"), "", runs_32bit);
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "node      {}, Linux {}, {}",
        node.arch, node.kernel_release, node.cpu_model
    );
    let runs_32bit = match node.runs_32bit {
        Some(true) => "run",
        Some(false) => "do not run",
        None => "could not be tried",
    };
    let lockdown = match node.lockdown.as_str() {
        "" => String::new(),
        level => format!(", lockdown {level}"),
    };
    let _ = writeln!(
        out,
        "          {}{} byte pages, 32-bit programs {runs_32bit}{lockdown}",
        match node.cpu_generation.as_str() {
            "" => String::new(),
            generation => format!("{generation}, "),
        },
        node.page_size
    );
    for hook in &report.hooks {
        let served = if hook.mechanism.is_empty() {
            "not served"
        } else {
            &hook.mechanism
        };
        let proof = if hook.proven { "" } else { ", not proven" };
        let _ = writeln!(out, "{:<9} {served} (tier {}{proof})", hook.name, hook.tier);
        for reason in &hook.reasons {
            let _ = writeln!(out, "            not {reason}");
        }
    }
    let _ = writeln!(out, "binfmt    {}", report.binfmt);
    for handler in &report.handlers {
        let arch = handler
            .arch
            .map_or("other files".to_owned(), |arch| arch.to_string());
        let state = if handler.enabled { "" } else { " (disabled)" };
        let _ = writeln!(
            out,
            "            {arch} -> {} [{}]{state}",
            handler.interpreter, handler.flags
        );
    }
    for missing in &report.missing {
        let _ = writeln!(out, "missing   {missing}");
    }
    out
}

/// The report for machines: one object.
#[must_use]
pub fn json(report: &Preflight) -> String {
    let hooks: Vec<_> = report
        .hooks
        .iter()
        .map(|hook| {
            json!({
                "name": hook.name,
                "mechanism": hook.mechanism,
                "tier": hook.tier,
                "proven": hook.proven,
                "reasons": hook.reasons,
            })
        })
        .collect();
    let handlers: Vec<_> = report
        .handlers
        .iter()
        .map(|handler| {
            json!({
                "name": handler.name,
                "enabled": handler.enabled,
                "interpreter": handler.interpreter,
                "flags": handler.flags,
                "arch": handler.arch.map(|arch| arch.to_string()),
            })
        })
        .collect();
    json!({ "hooks": hooks, "binfmt": report.binfmt, "handlers": handlers, "missing": report.missing })
        .to_string()
}

impl From<SensorError> for crate::AgentError {
    fn from(error: SensorError) -> Self {
        if let Some(lacks) = error.lacks() {
            return Self::Privilege(format!("{error}: {lacks}"));
        }
        if error.is_kernel() {
            return Self::Kernel(error.to_string());
        }
        Self::Failed(match error.hint() {
            Some(hint) => format!("{error}\n{hint}"),
            None => error.to_string(),
        })
    }
}
