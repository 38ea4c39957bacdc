//! Images of one layer, as archives of an OCI layout (OCI image specification 1.0).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tar::{self, Kind};

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct Image {
    /// Such as `archtrace.test/name:1`.
    pub name: String,
    /// What it claims to be for, whatever its files are.
    pub arch: &'static str,
    /// What its containers execute unless they are told otherwise.
    pub entrypoint: Vec<String>,
    /// Its files, all executable, by their absolute paths.
    pub files: Vec<(String, Vec<u8>)>,
    /// Directories that nobody but their owner, who is not root, may look into.
    pub private: Vec<String>,
}

impl Image {
    /// An image that executes its only file.
    #[must_use]
    pub fn of_program(name: &str, arch: &'static str, path: &str, content: Vec<u8>) -> Self {
        Self {
            name: format!("archtrace.test/{name}:1"),
            arch,
            entrypoint: vec![path.to_owned()],
            files: vec![(path.to_owned(), content)],
            private: Vec::new(),
        }
    }

    /// The same, with another file.
    #[must_use]
    pub fn with(mut self, path: &str, content: Vec<u8>) -> Self {
        self.files.push((path.to_owned(), content));
        self
    }

    /// The same, where `path` is a directory that nobody but its owner, who is not root, may look into.
    #[must_use]
    pub fn with_private(mut self, path: &str) -> Self {
        self.private.push(path.to_owned());
        self
    }

    /// The same, by another tag than `1`.
    #[must_use]
    pub fn tagged(mut self, tag: &str) -> Self {
        let end = self.name.rfind(':').unwrap_or(self.name.len());
        self.name.truncate(end);
        self.name.push(':');
        self.name.push_str(tag);
        self
    }

    /// The id that runtimes give it: the digest of its configuration.
    #[must_use]
    pub fn id(&self) -> String {
        digest(&self.configuration(&self.layer()))
    }

    /// An OCI layout in a tar archive.
    #[must_use]
    pub fn archive(&self) -> Vec<u8> {
        let layer = self.layer();
        let configuration = self.configuration(&layer);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &configuration),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        entry["platform"] = json!({"architecture": self.arch, "os": "linux"});
        // How `ctr images import` finds the name.
        entry["annotations"] = json!({"io.containerd.image.name": self.name});
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        let mut archive = Vec::new();
        let mut add = |path: &str, content: &[u8]| {
            tar::add(&mut archive, path, Kind::File, content);
        };
        add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        add("index.json", index.to_string().as_bytes());
        for blob in [&layer, &configuration, &manifest] {
            add(&digest(blob).replace("sha256:", "blobs/sha256/"), blob);
        }
        tar::end(&mut archive);
        archive
    }

    fn layer(&self) -> Vec<u8> {
        // runc mounts over the first three.
        let mut directories: BTreeSet<&str> = ["dev", "proc", "sys", "etc"].into();
        for (path, _) in &self.files {
            let path = path.trim_start_matches('/');
            directories.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
        }
        let mut layer = Vec::new();
        let is_private = |directory: &str| {
            let mut private = self.private.iter();
            private.any(|path| path.trim_start_matches('/') == directory)
        };
        for directory in directories {
            let kind = if is_private(directory) {
                Kind::Private
            } else {
                Kind::Directory
            };
            tar::add(&mut layer, directory, kind, &[]);
        }
        for (path, content) in &self.files {
            let path = path.trim_start_matches('/');
            tar::add(&mut layer, path, Kind::File, content);
        }
        tar::end(&mut layer);
        layer
    }

    fn configuration(&self, layer: &[u8]) -> Vec<u8> {
        let configuration = json!({
            "architecture": self.arch,
            "os": "linux",
            "config": {"Entrypoint": self.entrypoint, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        });
        configuration.to_string().into_bytes()
    }
}

fn descriptor(kind: &str, content: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(content), "size": content.len()})
}

fn digest(content: &[u8]) -> String {
    let hex = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("sha256:{hex}")
}
