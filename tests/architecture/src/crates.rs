//! What each package depends on, as cargo says it.
//!
//! Cargo is asked without the network: whoever runs a test has built, so that all is there.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::root;

/// A package of the workspace.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Where it is, from the root of the workspace on.
    pub directory: String,
    /// What it is built from, without what only its tests and its build need.
    pub dependencies: Vec<Dependency>,
}

/// What a manifest says of a dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package.
    pub name: String,
    /// Whether it comes with a feature only.
    pub is_optional: bool,
    /// Features that the manifest always asks for.
    pub features: Vec<String>,
}

impl Package {
    /// Names of what it depends on.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.dependencies.iter().map(|it| it.name.as_str());
        names.collect::<BTreeSet<_>>().into_iter()
    }
}

/// The packages of the workspace, by name.
///
/// # Panics
/// If cargo cannot be run, or does not answer.
#[must_use]
pub fn packages() -> BTreeMap<String, Package> {
    let answer = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&answer).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().map(package).collect()
}

/// All that `package` is built from, on this machine and with its default features, without macros, which run in
/// the compiler.
///
/// # Panics
/// If cargo cannot be run, or does not answer.
#[must_use]
pub fn tree(package: &str) -> BTreeSet<String> {
    let edges = ["--edges", "normal,no-proc-macro"];
    let shape = ["--prefix", "none", "--format", "{p}", "--locked"];
    let answer = cargo(&[&["tree", "--package", package], &edges[..], &shape[..]].concat());
    let names = answer.lines().filter_map(|line| line.split(' ').next());
    let others = names.filter(|name| !name.is_empty() && *name != package);
    others.map(str::to_owned).collect()
}

fn package(value: &Value) -> (String, Package) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let manifest = text(&value["manifest_path"]);
    let root = root().canonicalize().expect("the workspace is there");
    let directory = manifest
        .strip_suffix("/Cargo.toml")
        .and_then(|directory| directory.strip_prefix(root.to_str()?))
        .map(|directory| directory.trim_start_matches('/'))
        .expect("packages are below the root");
    let listed = value["dependencies"].as_array().expect("dependencies");
    let dependencies = listed.iter().filter(|it| it["kind"].is_null());
    let package = Package {
        directory: directory.to_owned(),
        dependencies: dependencies
            .map(|it| Dependency {
                name: text(&it["name"]),
                is_optional: it["optional"] == true,
                features: it["features"]
                    .as_array()
                    .map(|features| features.iter().map(text).collect())
                    .unwrap_or_default(),
            })
            .collect(),
    };
    (text(&value["name"]), package)
}

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).arg("--offline").current_dir(root());
    let output = command.output().expect("cargo can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}
