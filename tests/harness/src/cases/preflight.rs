//! The hooks that serve.

use anyhow::{Context as _, Result, ensure};

use super::Outcome;
use crate::world::World;

/// Header and failure hook run in the tier that this kernel allows, and every hook was proven;
/// but in tier 3 nothing sees headers.
pub(super) fn hooks_are_proven(world: &mut World) -> Result<Outcome> {
    let node = world.node()?;
    let hooks = node["preflight"]["hooks"]
        .as_array()
        .with_context(|| format!("no hooks in {node}"))?;
    let mut told = Vec::new();
    for name in ["header", "failure", "exec", "fork", "free"] {
        let hook = hooks
            .iter()
            .find(|hook| hook["name"] == name)
            .with_context(|| format!("no hook {name} in {node}"))?;
        ensure!(
            hook["proven"] == true || (name == "header" && hook["tier"] == 3),
            "the hook {name} is not proven: {hook}"
        );
        told.push(format!(
            "{name}={}",
            hook["mechanism"].as_str().unwrap_or("?")
        ));
        if let Some(tier) = world.tier()
            && ["header", "failure"].contains(&name)
        {
            ensure!(
                hook["tier"] == tier,
                "the hook {name} should run in tier {tier}: {hook}"
            );
        }
    }
    Ok(Outcome::Pass(told.join(" ")))
}
