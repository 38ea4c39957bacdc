//! Which packages are linked into a program: what cargo would compile for that target with those features.
//! Packages that only run while it is built (build scripts, macros, tests) are in nobody's image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::vm::Arch;

/// The kernel side.
const EBPF: [&str; 6] = [
    "--package",
    "archtrace-ebpf",
    "--features",
    "programs",
    "--target",
    "bpfel-unknown-none",
];

/// A name and a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) name: String,
    pub(super) version: String,
}

/// What is known of a package.
#[derive(Clone, Debug, Default)]
pub(super) struct Package {
    /// An SPDX expression; not every package has one.
    pub(super) licence: Option<String>,
    pub(super) repository: Option<String>,
    /// SHA-256 of what the registry has, from Cargo.lock; the workspace's own have none.
    pub(super) checksum: Option<String>,
    /// Where its source is.
    pub(super) dir: PathBuf,
    /// Whether it is one of this workspace.
    pub(super) own: bool,
}

/// Packages, and which of them needs which.
#[derive(Clone, Debug, Default)]
pub(super) struct Linked {
    pub(super) packages: BTreeMap<Id, Package>,
    pub(super) needs: BTreeMap<Id, BTreeSet<Id>>,
}

/// All packages that any program could be of, by what cargo and Cargo.lock say.
pub(super) struct Known(BTreeMap<Id, Package>);

/// Which features a program was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Features {
    /// What users get.
    Default,
    /// What tests get.
    None,
}

impl Known {
    /// Asks cargo about the workspace at `root`.
    ///
    /// # Errors
    /// If cargo fails, or Cargo.lock is not up to date.
    pub(super) fn read(root: &Path) -> Result<Self> {
        // Otherwise it would download what only other systems need.
        let targets = [
            Arch::Amd64.target(),
            Arch::Arm64.target(),
            "bpfel-unknown-none",
        ];
        let targets = targets
            .iter()
            .flat_map(|target| ["--filter-platform", target]);
        let arguments = [
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--all-features",
        ];
        let arguments: Vec<_> = arguments.into_iter().chain(targets).collect();
        let metadata = cargo(root, &arguments)?;
        let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
        let lock = root.join("Cargo.lock");
        let lock = fs::read_to_string(&lock).with_context(|| format!("read {}", lock.display()))?;
        let lock: Lock = toml::from_str(&lock).context("Cargo.lock")?;
        let checksums: BTreeMap<_, _> = lock
            .package
            .into_iter()
            .map(|Locked { id, checksum }| (Id::from(id), checksum))
            .collect();
        let packages = metadata.packages.into_iter().map(|found| {
            let id = Id::from(found.id);
            let package = Package {
                licence: found.license.map(|licence| licence.replace('/', " OR ")),
                repository: found.repository,
                checksum: checksums.get(&id).cloned().flatten(),
                dir: found
                    .manifest_path
                    .parent()
                    .map(Path::to_owned)
                    .unwrap_or_default(),
                own: found.source.is_none(),
            };
            (id, package)
        });
        Ok(Self(packages.collect()))
    }

    /// What is linked into the program of `package` for `target`, and into its eBPF programs if it has some.
    ///
    /// # Errors
    /// If cargo fails.
    pub(super) fn linked(
        &self,
        root: &Path,
        package: &str,
        target: &str,
        features: Features,
        has_ebpf: bool,
    ) -> Result<Linked> {
        let mut linked = Linked::default();
        let mut arguments = vec!["--package", package, "--target", target];
        if features == Features::None {
            arguments.push("--no-default-features");
        }
        self.add(&mut linked, &tree(root, &arguments)?)?;
        if has_ebpf {
            self.add(&mut linked, &tree(root, &EBPF)?)?;
        }
        Ok(linked)
    }

    fn add(&self, linked: &mut Linked, tree: &str) -> Result<()> {
        let mut above: Vec<Id> = Vec::new();
        for line in tree.lines() {
            let (depth, id) = parse(line).with_context(|| format!("cargo tree says {line:?}"))?;
            let package = self.0.get(&id);
            let package = package.with_context(|| format!("cargo metadata has no {}", id.name))?;
            above.truncate(depth);
            if let Some(parent) = above.last() {
                linked
                    .needs
                    .entry(parent.clone())
                    .or_default()
                    .insert(id.clone());
            }
            linked.packages.insert(id.clone(), package.clone());
            above.push(id);
        }
        Ok(())
    }
}

/// A line of `cargo tree --prefix depth`, such as `2archtrace-facts v0.1.0 (/path) (*)`.
fn parse(line: &str) -> Option<(usize, Id)> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let (depth, rest) = line.split_at_checked(digits)?;
    let mut words = rest.strip_prefix(' ')?.split(' ');
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('v')?.to_owned();
    Some((depth.parse().ok()?, Id { name, version }))
}

fn tree(root: &Path, arguments: &[&str]) -> Result<String> {
    let common = [
        "tree",
        "--locked",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "depth",
        "--format",
        // Names may begin with a digit.
        " {p}",
    ];
    cargo(root, &[&common, arguments].concat())
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(root)
        .output()
        .context("start cargo")?;
    if !output.status.success() {
        bail!(
            "cargo {} ended with {}: {}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).context("what cargo says")
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(flatten)]
    id: Named,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    #[serde(flatten)]
    id: Named,
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    version: String,
}

impl From<Named> for Id {
    fn from(Named { name, version }: Named) -> Self {
        Self { name, version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_tree_are_read() {
        let check = |line: &str, wanted: Option<(usize, &str, &str)>| {
            let found = parse(line);
            let found = found
                .as_ref()
                .map(|(depth, id)| (*depth, &*id.name, &*id.version));
            assert_eq!(found, wanted, "{line}");
        };
        check(
            "0 archtrace-agent v0.1.0 (/a b/agent)",
            Some((0, "archtrace-agent", "0.1.0")),
        );
        check("12 7z v1.2.3+x (*)", Some((12, "7z", "1.2.3+x")));
        check("", None);
        check("3 name", None);
    }

    #[test]
    fn what_only_builds_is_not_linked() {
        let root = crate::paths::root();
        let known = Known::read(root).expect("cargo knows");
        let linked = |features| {
            let target = "aarch64-unknown-linux-gnu";
            known
                .linked(root, "archtrace-collector", target, features, false)
                .expect("a tree")
        };
        let names = |linked: &Linked| -> BTreeSet<String> {
            linked.packages.keys().map(|id| id.name.clone()).collect()
        };
        let (all, few) = (
            names(&linked(Features::Default)),
            names(&linked(Features::None)),
        );
        for (name, wanted) in [
            ("tokio", (true, true)),
            ("kube", (true, false)),
            ("serde_derive", (false, false)),
            ("protox", (false, false)),
            ("proptest", (false, false)),
            ("windows-sys", (false, false)),
        ] {
            assert_eq!((all.contains(name), few.contains(name)), wanted, "{name}");
        }
        let tokio = known
            .0
            .iter()
            .find(|(id, _)| id.name == "tokio")
            .expect("tokio");
        assert_eq!(tokio.1.checksum.as_deref().map(str::len), Some(64));
        assert!(!tokio.1.own);
    }
}
