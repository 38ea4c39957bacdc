//! Images: what they claim to be, and what is in them.

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Program, build};

use super::{LIMIT, Named};
use crate::cases::Outcome;
use crate::client::{ForeignFile, Image as Told};
use crate::pods::{Container, Image, Qos};
use crate::wait::eventually;
use crate::world::World;

/// An image that claims to be for one platform, with a program of the other: both ways.
pub(in crate::cases) fn mislabelled(world: &mut World) -> Result<Outcome> {
    let (native, foreign) = (world.native(), world.foreign());
    for (name, claimed, isa, mode) in [
        ("claims-foreign", foreign, native, "native"),
        ("claims-native", native, foreign, "emulated"),
    ] {
        let kubelet = world.kubelet()?;
        let binary = format!("/bin/{name}");
        let program = build(isa, Program::Pause);
        let image = Image::of_program(name, claimed.as_str(), &binary, program);
        kubelet.import(&image)?;
        let pod = kubelet.pod(name, Qos::BestEffort)?;
        let id = kubelet.run(&pod, &Container::new("main", &image.name))?;
        let fact = Named::new(&pod, "main", &id, &image).fact(world, &binary, mode)?;
        ensure!(fact.arch == isa.as_str(), "it is told as {fact:?}");
        let told = audited(world, &image)?;
        ensure!(
            told.image_arch.as_deref() == Some(claimed.as_str())
                && told.main_arch.as_deref() == Some(isa.as_str()),
            "the image is told as {told:?}"
        );
        world.kubelet()?.remove(&pod)?;
    }
    Ok(Outcome::Pass(String::new()))
}

/// A native image with a library that is not: found while nobody has loaded it.
pub(in crate::cases) fn foreign_files(world: &mut World) -> Result<Outcome> {
    let (native, foreign) = (world.native(), world.foreign());
    let library = |isa| {
        let mut file = build(isa, Program::Exit(0));
        // ET_DYN
        file[16] = 3;
        file
    };
    let kubelet = world.kubelet()?;
    let image = Image::of_program(
        "planted",
        native.as_str(),
        "/bin/main",
        build(native, Program::Pause),
    )
    .with("/usr/lib/libnative.so.1", library(native))
    .with("/usr/lib/libplanted.so.1", library(foreign));
    kubelet.import(&image)?;
    let pod = kubelet.pod("planted", Qos::BestEffort)?;
    kubelet.run(&pod, &Container::new("main", &image.name))?;
    let told = audited(world, &image)?;
    let expected = ForeignFile {
        path: "/usr/lib/libplanted.so.1".to_owned(),
        arch: foreign.as_str().to_owned(),
        role: "library".to_owned(),
    };
    ensure!(told.foreign == [expected], "the image is told as {told:?}");
    world.kubelet()?.remove(&pod)?;
    Ok(Outcome::Pass(String::new()))
}

/// What is told of `image`, once it was looked through.
fn audited(world: &World, image: &Image) -> Result<Told> {
    let id = image.id();
    let (told, _) = eventually(LIMIT, || {
        let images = world.client().images()?;
        let told = images.into_iter().find(|told| told.image_id == id);
        let told = told.with_context(|| format!("{} is not told of", image.name))?;
        ensure!(told.audited, "{} was not looked through", image.name);
        Ok(told)
    })?;
    ensure!(
        told.images.contains(&image.name),
        "{} is called {:?}",
        image.name,
        told.images
    );
    Ok(told)
}
