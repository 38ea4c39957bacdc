//! What an image is made of, as CycloneDX 1.6 (JSON) has it.

use serde_json::{Value, json};

use super::packages::{Id, Linked, Package};
use super::program::Program;
use super::sha256;

/// What an SBOM is about.
pub(super) struct Subject<'a> {
    /// The image.
    pub(super) name: &'a str,
    /// The package of its program.
    pub(super) package: &'a str,
    pub(super) version: &'a str,
    /// Such as `amd64`.
    pub(super) arch: &'a str,
    /// SHA-256 of the image's manifest, in hexadecimal digits.
    pub(super) manifest: &'a str,
    /// The commit's time, in RFC 3339.
    pub(super) created: &'a str,
}

/// The SBOM of the image for one architecture.
pub(super) fn document(subject: &Subject<'_>, linked: &Linked, program: &Program) -> Value {
    let Subject {
        name,
        package,
        version,
        arch,
        manifest,
        created,
    } = *subject;
    let image = format!("pkg:oci/{name}@sha256%3A{manifest}?arch={arch}");
    let libraries = libraries(program);
    let root = linked
        .packages
        .keys()
        .find(|id| id.name == package)
        .map(reference);
    let mut components: Vec<_> = linked
        .packages
        .iter()
        .map(|(id, package)| {
            component(
                id,
                package,
                (root == Some(reference(id))).then_some(program),
            )
        })
        .collect();
    components.extend(libraries.iter().cloned());
    let mut dependencies: Vec<_> = linked
        .packages
        .keys()
        .map(|id| {
            let needs = linked.needs.get(id).into_iter().flatten();
            json!({ "ref": reference(id), "dependsOn": needs.map(reference).collect::<Vec<_>>() })
        })
        .collect();
    let of_system = libraries.iter().map(|library| library["bom-ref"].clone());
    // The eBPF programs are a program of their own.
    let roots = linked
        .packages
        .keys()
        .filter(|id| id.name == package || !linked.needs.values().any(|needs| needs.contains(id)));
    let in_image: Vec<_> = roots
        .map(|id| json!(reference(id)))
        .chain(of_system)
        .collect();
    dependencies.push(json!({ "ref": image, "dependsOn": in_image }));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(&image)),
        "version": 1,
        "metadata": {
            "timestamp": created,
            "lifecycles": [{ "phase": "build" }],
            "tools": { "components": [{ "type": "application", "name": "cargo xtask image", "version": version }] },
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": name,
                "version": version,
                "purl": image,
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(id: &Id, package: &Package, program: Option<&Program>) -> Value {
    let mut component = json!({
        "type": if program.is_some() { "application" } else { "library" },
        "bom-ref": reference(id),
        "name": id.name,
        "version": id.version,
        "scope": "required",
    });
    // What is in no registry has no address there.
    if !package.own {
        component["purl"] = json!(reference(id));
    }
    if let Some(licence) = &package.licence {
        component["licenses"] = json!([{ "expression": licence }]);
    }
    if let Some(checksum) = program
        .map(|program| &program.digest)
        .or(package.checksum.as_ref())
    {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &package.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

/// What is linked in without being a package of cargo's, as the program itself tells.
fn libraries(program: &Program) -> Vec<Value> {
    let library = |name: &str, version: &str, licence: &str| {
        let short = version.split(' ').next().unwrap_or(version);
        let reference = format!("pkg:generic/{name}@{short}");
        json!({
            "type": "library",
            "bom-ref": reference,
            "name": name,
            "version": version,
            "scope": "required",
            "purl": reference,
            "licenses": [{ "expression": licence }],
        })
    };
    let rust = program.made.rust.iter();
    let rust = rust.map(|version| library("rust-std", version, "MIT OR Apache-2.0"));
    let c = program.made.c_library.iter();
    let c = c.map(|version| library("glibc", version, "LGPL-2.1-or-later"));
    rust.chain(c).collect()
}

/// What names a package: its package URL.
fn reference(id: &Id) -> String {
    format!("pkg:cargo/{}@{}", id.name, id.version.replace('+', "%2B"))
}

/// The same for the same text: RFC 9562, version 8.
fn uuid(text: &str) -> String {
    let hex = sha256(text.as_bytes());
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-8{}-a{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}
