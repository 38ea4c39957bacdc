//! Images, by the API of the OCI distribution specification.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::http::{self, Asked};
use crate::server::Registry;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its digest.
    pub digest: String,
    /// Its length in bytes.
    pub size: usize,
    /// Its media type.
    pub media_type: &'static str,
}

impl Pushed {
    /// What names it in an index.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        let Self {
            digest,
            size,
            media_type,
        } = self;
        json!({ "mediaType": media_type, "digest": digest, "size": size })
    }

    /// The same, with what it is for.
    #[must_use]
    pub fn descriptor_for(&self, os: &str, arch: &str) -> Value {
        let mut descriptor = self.descriptor();
        descriptor["platform"] = json!({ "os": os, "architecture": arch });
        descriptor
    }
}

/// `sha256:` and its digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// Whatever the registry refuses fails the test.
impl Registry {
    /// Pushes a blob.
    ///
    /// # Panics
    /// If the registry does not take it.
    pub fn blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let begun = self.send(
            "POST",
            &format!("/v2/{repository}/blobs/uploads/"),
            "",
            b"",
            202,
        );
        let place = begun
            .split_once("/v2/")
            .map(|(_, path)| format!("/v2/{path}"));
        let mut place = place.expect("a place for a blob");
        place.push(if place.contains('?') { '&' } else { '?' });
        place.push_str(&format!("digest={digest}"));
        self.send("PUT", &place, "application/octet-stream", bytes, 201);
        digest
    }

    /// Pushes a manifest or an index under a tag or its digest.
    ///
    /// # Panics
    /// If the registry does not take it.
    pub fn manifest(
        &self,
        repository: &str,
        target: Option<&str>,
        media_type: &'static str,
        json: &Value,
    ) -> Pushed {
        let bytes = json.to_string().into_bytes();
        let digest = digest(&bytes);
        let target = target.unwrap_or(&digest);
        let path = format!("/v2/{repository}/manifests/{target}");
        self.send("PUT", &path, media_type, &bytes, 201);
        Pushed {
            digest,
            size: bytes.len(),
            media_type,
        }
    }

    /// Pushes one image, under a tag if there is one.
    pub fn image(&self, repository: &str, tag: Option<&str>, os: &str, arch: &str) -> Pushed {
        let config = json!({
            "architecture": arch, "os": os, "config": {}, "rootfs": { "type": "layers", "diff_ids": [] },
        });
        self.artifact(repository, tag, CONFIG, &config)
    }

    /// Pushes a manifest with a configuration of any kind.
    pub fn artifact(
        &self,
        repository: &str,
        tag: Option<&str>,
        kind: &str,
        config: &Value,
    ) -> Pushed {
        let config = config.to_string();
        let layer = b"no layer at all, which nobody pulls";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": kind, "digest": self.blob(repository, config.as_bytes()), "size": config.len(),
            },
            "layers": [{ "mediaType": LAYER, "digest": self.blob(repository, layer), "size": layer.len() }],
        });
        self.manifest(repository, tag, MANIFEST, &manifest)
    }

    /// Pushes an index of these descriptors.
    pub fn index_of(&self, repository: &str, tag: Option<&str>, manifests: &[Value]) -> Pushed {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        self.manifest(repository, tag, INDEX, &index)
    }

    /// Pushes an index of an image for each of these operating systems and architectures.
    pub fn index(&self, repository: &str, tag: &str, platforms: &[(&str, &str)]) -> Pushed {
        let manifests = platforms.iter().map(|(os, arch)| {
            let image = self.image(repository, None, os, arch);
            image.descriptor_for(os, arch)
        });
        self.index_of(repository, Some(tag), &manifests.collect::<Vec<_>>())
    }

    /// Removes what has this digest, and so the tags that lead to it.
    ///
    /// # Panics
    /// If the registry does not.
    pub fn remove(&self, repository: &str, digest: &str) {
        let path = format!("/v2/{repository}/manifests/{digest}");
        self.send("DELETE", &path, "", b"", 202);
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        media_type: &str,
        body: &[u8],
        expected: u16,
    ) -> String {
        let asked = Asked {
            method,
            path,
            media_type,
            authorization: &self.authorization,
            body,
        };
        let reply = http::send(self.address(), &asked).expect("the registry answers");
        assert_eq!(reply.status, expected, "{method} {path}: {}", self.log());
        reply.location
    }
}
