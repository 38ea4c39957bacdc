//! Images of programs that are there, each a layout in a tar, as runtimes import them.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::commit::Commit;
use super::job::Job;
use super::packages::{Features, Known};
use super::recipe;
use crate::paths;
use crate::vm::Arch;

/// Makes the images that are called `names`, for `arch`, of the programs in the directory `programs`. Each is
/// returned with the name of its file.
///
/// # Errors
/// If one is not known, or cannot be made.
pub(crate) fn archives(
    names: &[&str],
    arch: Arch,
    programs: &Path,
) -> Result<Vec<(String, Vec<u8>)>> {
    let work = tempfile::Builder::new()
        .prefix("archtrace-images-")
        .tempdir()?;
    let job = Job {
        arches: &[arch],
        output: work.path(),
        program: &|recipe, _| Ok(programs.join(recipe.name)),
        profile: None,
        features: Features::None,
        source: None,
        builder: "urn:archtrace:builder:tests",
        commit: &Commit::of_tests(),
    };
    let known = Known::read(paths::root())?;
    let archives = names.iter().map(|name| {
        let mut recipes = recipe::ALL.iter();
        let recipe = recipes.find(|recipe| recipe.name == *name);
        let recipe = recipe.with_context(|| format!("there is no image {name}"))?;
        job.make(recipe, &known)?;
        Ok((format!("{name}.tar"), pack(&work.path().join(name))?))
    });
    archives.collect()
}

/// The files of a layout, by the names that the specification gives them.
fn pack(layout: &Path) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for name in ["oci-layout", "index.json"] {
        archive.append_path_with_name(layout.join(name), name)?;
    }
    archive.append_dir_all("blobs", layout.join("blobs"))?;
    Ok(archive.into_inner()?)
}
