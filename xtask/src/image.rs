//! `cargo xtask image`: images of the programs for amd64 and arm64, made without a container engine.
//!
//! Each is an OCI layout: a directory that tools copy to a registry. One commit, built by the same compilers,
//! makes the same digests wherever and whenever that is (docs/images.md).

mod archive;
mod build;
mod commit;
mod job;
mod json;
mod layer;
mod layout;
mod licences;
mod packages;
mod program;
mod provenance;
mod recipe;
mod sbom;
mod schema;
mod size;
mod twice;
mod verify;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub(crate) use self::archive::archives;
use self::build::Place;
use self::commit::Commit;
use self::job::Job;
use self::layout::Image;
use self::packages::{Features, Known};
use self::recipe::Recipe;
pub(crate) use self::verify::check;
use crate::vm::Arch;
use crate::{paths, setup};

const EXAMPLES: &str = "\
Examples:
  cargo xtask image                                 all images, for both architectures
  cargo xtask image --image archtrace-agent --arch arm64
  cargo xtask image --source https://git.example.org/archtrace
  cargo xtask image --programs built                of built/amd64/archtrace-agent and so on
  cargo xtask image --check                         is the agent the same when it is built elsewhere?

Then, with tools of your choice:
  skopeo copy --all oci:target/oci/archtrace-agent:VERSION docker://REGISTRY/archtrace-agent:VERSION

The first build takes its time: on two cores ten minutes for the collector, for each architecture.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which images, by name [default: archtrace-agent, archtrace-collector, archtrace]
    #[arg(long = "image", value_name = "NAME", value_parser = recipe::ALL.map(|recipe| recipe.name))]
    images: Vec<String>,
    /// For which architectures [default: both]
    #[arg(long = "arch", value_name = "ARCH")]
    arches: Vec<Arch>,
    /// Where the layouts go, each into a directory with its name; what is there is replaced
    /// [default: oci in cargo's target directory]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Take static programs that are there already, from DIR/amd64 and DIR/arm64
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    programs: Option<PathBuf>,
    /// Where the source is to be had; told by a label, and so part of the digest
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// Who builds, for provenance
    #[arg(
        long,
        value_name = "URI",
        default_value = "urn:archtrace:builder:unnamed"
    )]
    builder: String,
    /// Make no image: build the agent here and in another directory, and compare
    #[arg(long, conflicts_with_all = ["images", "output", "source"])]
    check: bool,
    /// Make no image that stays: show of all what `cargo xtask test` does
    #[arg(long, conflicts_with_all = ["images", "arches", "output", "programs", "source", "check"])]
    verify: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args {
        images,
        arches,
        output,
        programs,
        source,
        builder,
        check,
        verify,
    } = args;
    let arches = if arches.is_empty() {
        &[Arch::Amd64, Arch::Arm64]
    } else {
        &**arches
    };
    if programs.is_none() {
        setup::prepare(setup::Purpose::Vm)?;
    }
    if *verify {
        return self::check();
    }
    if *check {
        return arches.iter().try_for_each(|arch| twice::check(*arch));
    }
    let commit = Commit::of(paths::root())?;
    if commit.dirty {
        eprintln!("warning: there are changes that are in no commit; the images say so (-dirty)");
    }
    let given = programs.as_deref();
    let job = Job {
        arches,
        output: &output
            .clone()
            .unwrap_or_else(|| paths::target().join("oci")),
        program: &|recipe: &Recipe, arch: Arch| match given {
            Some(dir) => Ok(dir.join(arch.as_str()).join(recipe.name)),
            None => built(recipe, arch, &commit),
        },
        profile: given.is_none().then_some(build::PROFILE),
        features: Features::Default,
        source: source.as_deref(),
        builder,
        commit: &commit,
    };
    let wanted =
        |recipe: &&Recipe| images.is_empty() || images.iter().any(|name| name == recipe.name);
    let known = Known::read(paths::root())?;
    for recipe in recipe::ALL.iter().filter(wanted) {
        let image = job.make(recipe, &known)?;
        print(recipe, &image, &job.output.join(recipe.name));
    }
    Ok(())
}

fn built(recipe: &Recipe, arch: Arch, commit: &Commit) -> Result<PathBuf> {
    let target = paths::target();
    let here = Place {
        source: paths::root(),
        target: &target,
    };
    Ok(build::build(here, recipe.package, arch, commit.time)?.join(recipe.name))
}

fn print(recipe: &Recipe, image: &Image, place: &Path) {
    let (name, place) = (recipe.name, place.display());
    println!("{name}  sha256:{}", image.index);
    for part in &image.parts {
        println!(
            "  linux/{}  {} to pull, {} on disk  sha256:{}",
            part.arch.as_str(),
            size::mib(part.pulled),
            size::mib(part.unpacked),
            part.manifest
        );
    }
    println!("  in {place}; beside it its SBOMs and its provenance");
    println!("  next: archtrace scan {place}");
    let version = env!("CARGO_PKG_VERSION");
    println!("        skopeo copy --all oci:{place}:{version} docker://REGISTRY/{name}:{version}");
}

/// SHA-256, in hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    let digest = sha2::Sha256::digest(bytes);
    digest
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
