//! Pods: each fact and event names the right pod, container and image.

mod audit;
mod failing;
mod many;
mod names;
mod running;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

pub(super) use audit::{foreign_files, mislabelled};
pub(super) use failing::{format_error, missing_emulator, recovers};
pub(super) use many::{brief, many, short_lived};
pub(super) use names::{later, restarted, unit};
pub(super) use running::kinds;

use crate::client::{Event, Fact, Owner};
use crate::pods::{Image, Pod};
use crate::wait::eventually;
use crate::world::World;

/// Native execs are counted every 20 s, and a name may be asked for several times.
const LIMIT: Duration = Duration::from_secs(180);

/// A container, as archtrace is to name it.
#[derive(Clone, Copy, Debug)]
struct Named<'a> {
    pod: &'a Pod,
    container: &'a str,
    /// Its id.
    id: &'a str,
    image: &'a Image,
    attempt: u32,
    /// How it ended, or the attempt before it; not looked at if `None`.
    last_exit: Option<(i32, &'a str)>,
}

impl<'a> Named<'a> {
    fn new(pod: &'a Pod, container: &'a str, id: &'a str, image: &'a Image) -> Self {
        Self {
            pod,
            container,
            id,
            image,
            attempt: 0,
            last_exit: None,
        }
    }

    /// Whether `owner` is this container, by every name.
    fn check(&self, owner: &Owner) -> Result<()> {
        let Self {
            pod,
            container,
            id,
            image,
            attempt,
            last_exit,
        } = self;
        let image_id = image.id();
        let mut expected = Owner {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            container: (*container).to_owned(),
            pod_uid: pod.uid.clone(),
            container_id: (*id).to_owned(),
            unit: String::new(),
            image: image.name.clone(),
            image_id,
            image_arch: Some(image.arch.to_owned()),
            workload: pod.workload.clone(),
            restart_attempt: *attempt,
            last_exit_code: last_exit.map(|(code, _)| code),
            last_exit_reason: last_exit.map(|(_, reason)| reason.to_owned()),
        };
        if last_exit.is_none() {
            expected.last_exit_code = owner.last_exit_code;
            expected
                .last_exit_reason
                .clone_from(&owner.last_exit_reason);
        }
        ensure!(*owner == expected, "{owner:?} is not {expected:?}");
        Ok(())
    }

    /// Waits for the fact of `binary`, as this container sees it, and until it is named.
    fn fact(&self, world: &World, binary: &str, mode: &str) -> Result<Fact> {
        let client = world.client();
        let (fact, _) = eventually(LIMIT, || {
            let facts = client.facts(&["--mode", mode])?;
            let of_it = |fact: &Fact| fact.binary == binary && fact.owner.container_id == self.id;
            let fact = facts.iter().find(|fact| of_it(fact));
            let fact = fact.with_context(|| {
                let others: Vec<_> = facts
                    .iter()
                    .filter(|fact| fact.binary == binary || fact.owner.container_id == self.id)
                    .collect();
                format!(
                    "no {mode} fact of {binary} in {}: {others:?}",
                    self.container
                )
            })?;
            self.check(&fact.owner)?;
            Ok(fact.clone())
        })?;
        Ok(fact)
    }

    /// The same for an event.
    fn event(&self, world: &World, binary: &str, kind: &str) -> Result<Event> {
        let client = world.client();
        let (event, _) = eventually(LIMIT, || {
            let events = client.events()?;
            let of_it = |event: &&Event| {
                event.kind == kind && event.binary == binary && event.owner.container_id == self.id
            };
            let event = events.iter().find(of_it);
            let event = event
                .with_context(|| format!("no {kind} event of {binary} in {}", self.container))?;
            self.check(&event.owner)?;
            Ok(event.clone())
        })?;
        Ok(event)
    }
}

/// How often whose something is could not be told so far.
fn unattributed(world: &World) -> Result<u64> {
    let events = world.client().events()?;
    let losses = events
        .iter()
        .filter(|event| event.kind == "loss" && event.cause.as_deref() == Some("attribution"));
    Ok(losses.filter_map(|event| event.count).sum())
}
