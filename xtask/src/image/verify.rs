//! What `cargo xtask test` shows of images: that the same programs make the same bytes, that readers which are
//! not ours take them, that `archtrace scan` finds nothing in them, and that what is inside runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::sys::stat::{Mode, umask};
use serde_json::Value;

use super::commit::Commit;
use super::job::Job;
use super::layout::Image;
use super::packages::{Features, Known};
use super::recipe::{self, Recipe};
use super::{schema, sha256};
use crate::output::output;
use crate::vm::Arch;
use crate::{apt, binaries, emulator, paths, progress};

const ARCHES: [Arch; 2] = [Arch::Amd64, Arch::Arm64];

/// Makes all images of the programs that the virtual machines have, which are larger than those of
/// releases: limits that hold for them hold for both.
///
/// # Errors
/// If something is not as it should be.
pub(crate) fn check() -> Result<()> {
    let host = Arch::host().context("no programs for this machine's CPU")?;
    let mut programs = BTreeMap::new();
    for arch in ARCHES {
        programs.insert(arch.as_str(), binaries::build_static(arch, &[])?);
    }
    let work = tempfile::Builder::new()
        .prefix("archtrace-images-")
        .tempdir()?;
    let copies = copies(&programs, &work.path().join("elsewhere"))?;
    let commit = Commit::of_tests();
    let known = Known::read(paths::root())?;
    let make = |programs: &BTreeMap<&str, PathBuf>, output: &Path| -> Result<Vec<Image>> {
        let job = Job {
            arches: &ARCHES,
            output,
            program: &|recipe, arch| Ok(programs[arch.as_str()].join(recipe.name)),
            profile: None,
            features: Features::None,
            source: None,
            builder: "urn:archtrace:builder:tests",
            commit: &commit,
        };
        recipe::ALL
            .iter()
            .map(|recipe| job.make(recipe, &known))
            .collect()
    };
    let (one, two) = (work.path().join("one"), work.path().join("two"));
    let images = make(&programs, &one)?;
    let before = umask(Mode::from_bits_truncate(0o077));
    let again = make(&copies, &two);
    umask(before);
    again?;
    same(&one, &two)?;
    let sboms = files(&one, &one)?.into_keys();
    let sboms: Vec<_> = sboms
        .filter(|path| path.to_string_lossy().ends_with(".cdx.json"))
        .map(|path| one.join(path))
        .collect();
    ensure!(
        sboms.len() == recipe::ALL.len() * ARCHES.len(),
        "there are {} SBOMs",
        sboms.len()
    );
    schema::check(&sboms)?;
    let archtrace = programs[host.as_str()].join("archtrace");
    for (recipe, image) in recipe::ALL.iter().zip(&images) {
        let layout = one.join(recipe.name);
        progress::during(&format!("look at the image {}", recipe.name), || {
            scan(&archtrace, &layout)?;
            described(recipe, image, &one)?;
            for part in &image.parts {
                let root = work.path().join(recipe.name).join(part.arch.as_str());
                unpack(&layout, &part.manifest, &root)?;
                run(recipe, part.arch, host, &root)?;
            }
            if apt::is_here() {
                skopeo(host, recipe, image, &layout, work.path())?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The programs in a directory of another name, written later and by somebody else's habits.
fn copies<'a>(
    programs: &BTreeMap<&'a str, PathBuf>,
    dir: &Path,
) -> Result<BTreeMap<&'a str, PathBuf>> {
    let mut copies = BTreeMap::new();
    for (arch, from) in programs {
        let to = dir.join(arch);
        fs::create_dir_all(&to)?;
        for Recipe { name, .. } in recipe::ALL {
            fs::copy(from.join(name), to.join(name)).with_context(|| format!("copy {name}"))?;
            fs::set_permissions(to.join(name), fs::Permissions::from_mode(0o400))?;
        }
        copies.insert(*arch, to);
    }
    Ok(copies)
}

/// Whether two directories hold the same files, with the same rights.
fn same(one: &Path, two: &Path) -> Result<()> {
    let (one, two) = (files(one, one)?, files(two, two)?);
    let names = |files: &BTreeMap<_, _>| files.keys().cloned().collect::<Vec<PathBuf>>();
    ensure!(
        names(&one) == names(&two),
        "packed twice, there are other files: {:?} and {:?}",
        names(&one),
        names(&two)
    );
    ensure!(!one.is_empty(), "nothing was made");
    for (name, what) in &one {
        ensure!(
            two.get(name) == Some(what),
            "packed twice, {} is not the same",
            name.display()
        );
    }
    Ok(())
}

/// Mode and digest of each file below `dir`, by its path below `top`.
fn files(top: &Path, dir: &Path) -> Result<BTreeMap<PathBuf, (u32, String)>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry?.path();
        let metadata = path.metadata()?;
        let name = path.strip_prefix(top)?.to_owned();
        let mode = metadata.permissions().mode();
        if metadata.is_dir() {
            found.insert(name, (mode, String::new()));
            found.extend(files(top, &path)?);
        } else {
            found.insert(name, (mode, sha256(&fs::read(&path)?)));
        }
    }
    Ok(found)
}

/// Our own reader, by our own gate.
fn scan(archtrace: &Path, layout: &Path) -> Result<()> {
    let mut scan = Command::new(archtrace);
    let said = output(scan.args(["scan", "--strict"]).arg(layout))?;
    for arch in ARCHES {
        let clean = format!("clean for {}", arch.as_str());
        ensure!(
            said.contains(&clean),
            "archtrace scan does not say {clean:?}: {said}"
        );
    }
    Ok(())
}

/// Whether what lies beside the layout speaks of this image.
fn described(recipe: &Recipe, image: &Image, dir: &Path) -> Result<()> {
    let read = |name: String| -> Result<Value> {
        let text = fs::read(dir.join(&name)).with_context(|| format!("read {name}"))?;
        serde_json::from_slice(&text).with_context(|| name)
    };
    let provenance = read(format!("{}.provenance.json", recipe.name))?;
    let subject = &provenance["subject"][0]["digest"]["sha256"];
    ensure!(*subject == image.index, "provenance is about {subject}");
    for part in &image.parts {
        let sbom = read(format!("{}.{}.cdx.json", recipe.name, part.arch.as_str()))?;
        let about = sbom["metadata"]["component"]["purl"]
            .as_str()
            .unwrap_or_default();
        ensure!(about.contains(&part.manifest), "an SBOM is about {about}");
        let refs = |list: &str, key: &str| -> Vec<Value> {
            let list = sbom[list].as_array().into_iter().flatten();
            list.map(|entry| entry[key].clone()).collect()
        };
        let components = refs("components", "bom-ref");
        for name in [
            "pkg:cargo/libc@",
            "pkg:generic/glibc@",
            "pkg:generic/rust-std@",
        ] {
            let has = components
                .iter()
                .filter_map(Value::as_str)
                .any(|one| one.starts_with(name));
            ensure!(has, "the SBOM of {} has no {name}", recipe.name);
        }
        let needed = sbom["dependencies"].as_array().into_iter().flatten();
        let needed = needed.flat_map(|one| one["dependsOn"].as_array().into_iter().flatten());
        for one in needed {
            ensure!(components.contains(one), "the SBOM has no component {one}");
        }
    }
    Ok(())
}

/// Unpacks the layers of the image whose manifest has `digest`.
fn unpack(layout: &Path, digest: &str, root: &Path) -> Result<()> {
    let blob = |digest: &str| layout.join("blobs").join(digest.replace(':', "/"));
    let manifest: Value = serde_json::from_slice(&fs::read(blob(&format!("sha256:{digest}")))?)?;
    fs::create_dir_all(root)?;
    for layer in manifest["layers"].as_array().into_iter().flatten() {
        let digest = layer["digest"]
            .as_str()
            .context("a layer without a digest")?;
        let packed = fs::File::open(blob(digest))?;
        tar::Archive::new(flate2::read::GzDecoder::new(packed)).unpack(root)?;
    }
    Ok(())
}

/// Whether the program runs with nothing around it but the image.
fn run(recipe: &Recipe, arch: Arch, host: Arch, root: &Path) -> Result<()> {
    let inside = format!("/{}", recipe.program());
    let mut line = Vec::new();
    if arch != host {
        // Named, rather than registered with the kernel.
        fs::copy(emulator::static_qemu(host)?, root.join("emulator"))?;
        line.push("/emulator".to_owned());
    }
    line.push(inside);
    let is_root = nix::unistd::geteuid().is_root();
    // In full, since $PATH is cleared too.
    let chroot = paths::program("chroot").unwrap_or_else(|| "/usr/sbin/chroot".into());
    let start = |arguments: &[&str]| {
        let mut command;
        if is_root {
            command = Command::new(&chroot);
            // As the image says.
            command.arg(format!("--userspec={0}:{0}", recipe.user));
            command.arg(root).args(&line);
        } else {
            let at = |path: &String| root.join(path.trim_start_matches('/'));
            let mut line = line.iter().map(at);
            command = Command::new(line.next().unwrap_or_default());
            command.args(line);
        }
        command.args(arguments).env_clear();
        command
    };
    let said = output(&mut start(&["--version"]))?;
    let wanted = format!("{} {}", recipe.name, env!("CARGO_PKG_VERSION"));
    ensure!(said.trim() == wanted, "{wanted} says {said:?}");
    if recipe.name == "archtrace" && is_root {
        names(
            root,
            &mut start(&["--server", "http://collector.test:1", "nodes"]),
        )?;
    }
    Ok(())
}

/// Whether names are looked up with nothing but the files that a container runtime adds: glibc loads libraries
/// for some ways to do so, and there are none.
fn names(root: &Path, asks: &mut Command) -> Result<()> {
    fs::create_dir_all(root.join("etc"))?;
    fs::write(root.join("etc/hosts"), "127.0.0.1 collector.test\n")?;
    let asked = asks.output().context("start chroot")?;
    let said = String::from_utf8_lossy(&asked.stderr);
    ensure!(
        said.contains("refused"),
        "with a name in /etc/hosts, and nobody there, archtrace says: {said}"
    );
    Ok(())
}

/// A reader that is not ours copies all of it, digests compared, and ours are its own.
fn skopeo(host: Arch, recipe: &Recipe, image: &Image, layout: &Path, work: &Path) -> Result<()> {
    let from = format!("oci:{}:{}", layout.display(), env!("CARGO_PKG_VERSION"));
    let to = work.join("copied").join(recipe.name);
    fs::create_dir_all(to.parent().unwrap_or(&to))?;
    let to = format!("oci:{}:copy", to.display());
    let start = || {
        let root = apt::unpack_all("bookworm", host.as_str(), &["skopeo"])?;
        let mut skopeo = libraries(&root, host);
        skopeo.arg(root.join("usr/bin/skopeo"));
        skopeo.args(["--insecure-policy", "--tmpdir"]).arg(work);
        anyhow::Ok(skopeo)
    };
    output(start()?.args(["copy", "--all", &from, &to]))?;
    for name in [&from, &to] {
        let raw = start()?.args(["inspect", "--raw", name]).output()?;
        let digest = sha256(&raw.stdout);
        ensure!(digest == image.index, "skopeo has {digest} of {name}");
    }
    for part in &image.parts {
        let arch = part.arch.as_str();
        let select = ["--override-arch", arch, "inspect", "--config", &from];
        let config: Value = serde_json::from_str(&output(start()?.args(select))?)?;
        ensure!(config["architecture"] == arch, "skopeo shows {config}");
        let user = format!("{0}:{0}", recipe.user);
        ensure!(
            config["config"]["User"] == user.as_str(),
            "skopeo shows {config}"
        );
    }
    Ok(())
}

/// A program of unpacked packages, with their libraries.
fn libraries(root: &Path, host: Arch) -> Command {
    let (loader, triple) = match host {
        Arch::Amd64 => ("lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
        Arch::Arm64 => ("lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
    };
    let mut command = Command::new(root.join(loader));
    command
        .arg("--library-path")
        .arg(root.join("usr/lib").join(triple));
    command
}
