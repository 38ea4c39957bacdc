//! What a machine with pods is given to deploy: images of the programs, and what Helm makes of the chart.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use archtrace_chart::Tools;

use super::Arch;
use crate::{chart, image, paths, progress};

/// The values, which say what such a machine has.
const VALUES: &str = "deploy/chart/ci/node.yaml";

/// The profile of seccomp that people are to put onto nodes.
const PROFILE: &str = "deploy/chart/files/seccomp.json";

/// The images that run there.
const IMAGES: [&str; 2] = ["archtrace-agent", "archtrace-collector"];

/// A file: its name, and what is in it.
pub(super) type File = (String, Vec<u8>);

/// Makes all of it for `arch`, of static programs.
///
/// # Errors
/// If Helm is not to be had or refuses the values, or an image cannot be made.
pub(super) fn files(arch: Arch, programs: &Path) -> Result<Vec<File>> {
    let mut files = image::archives(&IMAGES, arch, programs)?;
    files.push(("manifest.json".to_owned(), manifest()?));
    files.push(("seccomp.json".to_owned(), read(PROFILE)?));
    Ok(files)
}

/// The objects of a release, as documents name it.
fn manifest() -> Result<Vec<u8>> {
    let values = String::from_utf8(read(VALUES)?)?;
    let python = chart::python()?;
    progress::during("render the chart", || {
        let mut tools =
            Tools::start(&python).with_context(|| format!("start {}", python.display()))?;
        let rendered = tools.render(&values, "archtrace", "archtrace");
        let rendered =
            rendered.map_err(|refused| anyhow!("Helm has against {VALUES}: {refused}"))?;
        Ok(serde_json::to_vec(&rendered.objects)?)
    })
}

fn read(name: &str) -> Result<Vec<u8>> {
    let path = paths::root().join(name);
    fs::read(&path).with_context(|| format!("read {}", path.display()))
}
