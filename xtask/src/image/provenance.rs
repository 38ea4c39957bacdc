//! How images were made: an in-toto statement (v1) with SLSA's provenance (v1) in it. Not signed: whoever
//! publishes them signs with a key of theirs.

use serde_json::{Value, json};

use super::commit::Commit;
use super::layout::Image;

/// What is told beside the image itself.
pub(super) struct Made<'a> {
    pub(super) name: &'a str,
    /// What it was built of; `None` of programs that were there already.
    pub(super) commit: Option<&'a Commit>,
    /// Where the source is to be had, if that was told.
    pub(super) source: Option<&'a str>,
    /// SHA-256 of Cargo.lock, in hexadecimal digits.
    pub(super) lock: &'a str,
    /// The profile of cargo's; `None` of programs that were there already.
    pub(super) profile: Option<&'a str>,
    /// Architecture, SHA-256 of the program, and what the program says of its making.
    pub(super) programs: Vec<(&'a str, &'a str, &'a [String])>,
    /// Files beside the layout, and their SHA-256.
    pub(super) beside: Vec<(String, String)>,
    /// Who made it.
    pub(super) builder: &'a str,
}

/// The statement. It says nothing of when and where, so that the same commit has the same.
pub(super) fn statement(image: &Image, made: &Made<'_>) -> Value {
    let Made {
        name,
        commit,
        source,
        lock,
        profile,
        programs,
        beside,
        builder,
    } = made;
    let platforms = image.parts.iter().map(|part| {
        json!({
            "name": format!("{name} linux/{}", part.arch.as_str()),
            "digest": { "sha256": part.manifest },
        })
    });
    let index = json!({ "name": name, "digest": { "sha256": image.index } });
    let subject: Vec<_> = std::iter::once(index).chain(platforms).collect();
    let of_commit = commit.map(|commit| {
        let uri = source.map_or_else(
            || "git".to_owned(),
            |source| format!("git+{source}@{}", commit.id),
        );
        json!({ "name": "source", "uri": uri, "digest": { "gitCommit": commit.id } })
    });
    let of_lock = json!({ "name": "Cargo.lock", "digest": { "sha256": lock } });
    let dependencies: Vec<_> = of_commit.into_iter().chain([of_lock]).collect();
    let arches: Vec<_> = programs.iter().map(|(arch, ..)| arch).collect();
    let tools: Vec<_> = programs
        .iter()
        .map(|(arch, digest, tools)| json!({ "arch": arch, "program": { "sha256": digest }, "tools": tools }))
        .collect();
    let byproducts: Vec<_> = beside
        .iter()
        .map(|(name, digest)| json!({ "name": name, "digest": { "sha256": digest } }))
        .collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:archtrace:cargo-xtask-image:v1",
                "externalParameters": { "image": name, "arch": arches, "profile": profile },
                "internalParameters": {
                    "changed": commit.map(|commit| commit.dirty),
                    "programs": tools,
                },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": { "id": builder },
                "byproducts": byproducts,
            },
        },
    })
}
