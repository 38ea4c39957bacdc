//! Makes one image of programs that are there, or that are built for it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use oci_spec::image as oci;

use super::commit::Commit;
use super::layer::{self, Layer, Tree};
use super::layout::{self, Image};
use super::packages::{Features, Known, Linked};
use super::program::Program;
use super::recipe::{Directory, Recipe};
use super::{build, json, licences, provenance, sbom, sha256, size};
use crate::vm::Arch;
use crate::{paths, progress};

/// Of archtrace's own terms, at the root of the source.
const LICENCES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];

/// What images are made of.
pub(super) struct Job<'a> {
    pub(super) arches: &'a [Arch],
    pub(super) output: &'a Path,
    /// Where the program of an image is, which may have to be built.
    pub(super) program: &'a dyn Fn(&Recipe, Arch) -> Result<PathBuf>,
    /// What it was built with; `None` of programs that were there already, of which nothing proves the source.
    pub(super) profile: Option<&'a str>,
    pub(super) features: Features,
    pub(super) source: Option<&'a str>,
    pub(super) builder: &'a str,
    /// What is checked out. Times are this one's.
    pub(super) commit: &'a Commit,
}

/// A program for one architecture.
struct Part {
    arch: Arch,
    program: Program,
    linked: Linked,
}

/// A file beside a layout: its name, and what is in it.
type Beside = (String, Vec<u8>);

impl Job<'_> {
    /// Makes one image, with its SBOMs and provenance beside it.
    ///
    /// # Errors
    /// If a program cannot be built or is none for an image, if the image is too large, or if it cannot be
    /// written. What was there before is then still there.
    pub(super) fn make(&self, recipe: &Recipe, known: &Known) -> Result<Image> {
        let arches = self.arches.iter();
        let parts = arches.map(|arch| self.part(recipe, *arch, known));
        let parts: Vec<_> = parts.collect::<Result<_>>()?;
        // Builds take minutes, in which somebody may have gone on.
        let commit = self.profile.map(|_| self.commit.again(paths::root()));
        let commit = commit.transpose()?;
        let commit = commit.as_ref();
        let layers = progress::during(&format!("pack {}", recipe.name), || {
            let layers = parts
                .iter()
                .map(|part| Ok((part.arch, self.layer(recipe, part)?)));
            layers.collect::<Result<Vec<_>>>()
        })?;
        let work = self.work()?;
        let made = work.path().join(recipe.name);
        fs::create_dir(&made)?;
        let image = layout::write(&made, recipe, &self.labels(recipe, commit)?, &layers)?;
        for (part, Part { program, .. }) in image.parts.iter().zip(&parts) {
            size::check(recipe, part, &program.sections)?;
        }
        let beside = self.beside(recipe, &image, &parts, commit)?;
        replace(&made, &self.output.join(recipe.name), work.path())?;
        for (name, bytes) in beside {
            layout::file(&self.output.join(name), &bytes)?;
        }
        Ok(image)
    }

    fn part(&self, recipe: &Recipe, arch: Arch, known: &Known) -> Result<Part> {
        let path = (self.program)(recipe, arch)?;
        let (root, target) = (paths::root(), arch.target());
        Ok(Part {
            arch,
            program: Program::read(&path, arch)?,
            linked: known.linked(root, recipe.package, target, self.features, recipe.has_ebpf)?,
        })
    }

    fn layer(&self, recipe: &Recipe, part: &Part) -> Result<Layer> {
        let third_party = licences::texts(&part.linked)?;
        let own = LICENCES.map(|name| {
            let path = paths::root().join(name);
            let text = fs::read(&path).with_context(|| format!("read {}", path.display()));
            text.map(|text| (format!("licenses/{name}"), text))
        });
        let own = own.into_iter().collect::<Result<Vec<_>>>()?;
        let mut tree = Tree::new();
        for Directory { path, mode, user } in recipe.directories {
            layer::add_directory(&mut tree, path, *mode, *user);
        }
        layer::add_file(&mut tree, &recipe.program(), &part.program.bytes, 0o755);
        let name = "licenses/third-party.txt";
        layer::add_file(&mut tree, name, third_party.as_bytes(), 0o644);
        for (path, text) in &own {
            layer::add_file(&mut tree, path, text, 0o644);
        }
        layer::pack(&tree, self.commit.time)
    }

    /// SBOMs, and the provenance that names them.
    fn beside(
        &self,
        recipe: &Recipe,
        image: &Image,
        parts: &[Part],
        commit: Option<&Commit>,
    ) -> Result<Vec<Beside>> {
        let created = self.commit.created()?;
        let mut beside = Vec::new();
        for (
            made,
            Part {
                arch,
                program,
                linked,
            },
        ) in image.parts.iter().zip(parts)
        {
            let subject = sbom::Subject {
                name: recipe.name,
                package: recipe.package,
                version: env!("CARGO_PKG_VERSION"),
                arch: arch.as_str(),
                manifest: &made.manifest,
                created: &created,
            };
            let name = format!("{}.{}.cdx.json", recipe.name, arch.as_str());
            let document = sbom::document(&subject, linked, program);
            beside.push((name, json::pretty(&document)?));
        }
        let programs = parts.iter().map(|Part { arch, program, .. }| {
            (arch.as_str(), &*program.digest, &*program.made.tools)
        });
        let made = provenance::Made {
            name: recipe.name,
            commit,
            source: self.source,
            lock: &build::digest(&paths::root().join("Cargo.lock"))?,
            profile: self.profile,
            programs: programs.collect(),
            beside: beside
                .iter()
                .map(|(name, bytes)| (name.clone(), sha256(bytes)))
                .collect(),
            builder: self.builder,
        };
        let statement = provenance::statement(image, &made);
        let name = format!("{}.provenance.json", recipe.name);
        beside.push((name, json::pretty(&statement)?));
        Ok(beside)
    }

    /// A directory beside the layouts, which are only ever there as a whole.
    fn work(&self) -> Result<tempfile::TempDir> {
        let create = || {
            fs::create_dir_all(self.output)?;
            tempfile::Builder::new()
                .prefix(".making")
                .tempdir_in(self.output)
        };
        create().with_context(|| format!("write to {}", self.output.display()))
    }

    /// What an image says of itself (image-spec, annotations.md); `commit` is that of its program, if it is known.
    fn labels(&self, recipe: &Recipe, commit: Option<&Commit>) -> Result<HashMap<String, String>> {
        let mut labels = BTreeMap::from([
            (oci::ANNOTATION_TITLE, recipe.title.to_owned()),
            (
                oci::ANNOTATION_VERSION,
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
            (oci::ANNOTATION_CREATED, self.commit.created()?),
            (oci::ANNOTATION_LICENSES, "MIT OR Apache-2.0".to_owned()),
            (oci::ANNOTATION_VENDOR, "The archtrace authors".to_owned()),
        ]);
        if let Some(commit) = commit {
            labels.insert(oci::ANNOTATION_REVISION, commit.revision());
        }
        if let Some(source) = self.source {
            labels.insert(oci::ANNOTATION_SOURCE, source.to_owned());
        }
        let labels = labels.into_iter();
        Ok(labels.map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

/// Moves a layout to where it belongs. What is there already is only removed if it is a layout.
fn replace(made: &Path, place: &Path, work: &Path) -> Result<()> {
    if place.exists() {
        ensure!(
            place.join("oci-layout").is_file(),
            "{} is there and is no OCI layout: remove it, or choose another --output",
            place.display()
        );
        let before = fs::rename(place, work.join("before"));
        before.with_context(|| format!("replace {}", place.display()))?;
    }
    fs::rename(made, place).with_context(|| format!("rename to {}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_that_are_built_here_are_of_a_commit() {
        let commit = Commit {
            id: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            time: 0,
            dirty: true,
        };
        let job = Job {
            arches: &[],
            output: Path::new("/"),
            program: &|_, _| Ok(PathBuf::new()),
            profile: None,
            features: Features::None,
            source: Some("https://example.org"),
            builder: "urn:example",
            commit: &commit,
        };
        let image = Image {
            index: String::new(),
            parts: Vec::new(),
        };
        for (known, said) in [(None, false), (Some(&commit), true)] {
            let recipe = &super::super::recipe::ALL[0];
            let labels = job.labels(recipe, known).expect("labels");
            let revision = labels.get(oci::ANNOTATION_REVISION).cloned();
            assert_eq!(revision, known.map(Commit::revision));
            let beside = job.beside(recipe, &image, &[], known).expect("provenance");
            let (name, statement) = &beside[0];
            assert_eq!(name, "archtrace-agent.provenance.json");
            let statement = String::from_utf8_lossy(statement);
            assert!(statement.contains("Cargo.lock"), "{statement}");
            for words in [&*commit.id, "gitCommit", "\"changed\": true"] {
                assert_eq!(statement.contains(words), said, "{words}: {statement}");
            }
        }
    }

    #[test]
    fn only_layouts_are_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        for name in ["made", "place", "work"] {
            fs::create_dir(path(name)).expect("creates");
        }
        fs::write(path("made/new"), "").expect("writes");
        fs::write(path("place/letter"), "").expect("writes");
        let error = replace(&path("made"), &path("place"), &path("work")).expect_err("a letter");
        assert!(error.to_string().contains("no OCI layout"), "{error}");
        assert!(path("place/letter").exists());
        fs::write(path("place/oci-layout"), "").expect("writes");
        replace(&path("made"), &path("place"), &path("work")).expect("replaces");
        assert!(path("place/new").exists() && !path("place/letter").exists());
    }
}
