//! The descriptions of an image, as JSON (OCI image-spec; Docker's image/spec v1.2 and v2.2).
//!
//! Only what is asked for is read. `null` stands for nothing in what Go writes.

use std::collections::BTreeMap;

use archtrace_facts::oci;
use archtrace_facts::platform::Platform;
use archtrace_facts::text::escape;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};

use crate::error::ScanError;

/// An index of manifests, or the manifest of one image: which of them is told by what it has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    pub(crate) manifests: Option<Vec<Descriptor>>,
    pub(crate) config: Option<Descriptor>,
    pub(crate) layers: Option<Vec<Descriptor>>,
}

/// What names a blob.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) platform: Option<PlatformText>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// `platform` of a descriptor.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PlatformText {
    #[serde(default, deserialize_with = "or_nothing")]
    os: String,
    #[serde(default, deserialize_with = "or_nothing")]
    architecture: String,
    #[serde(default, deserialize_with = "or_nothing")]
    variant: String,
}

/// An image's configuration.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(flatten)]
    pub(crate) platform: PlatformText,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) config: Run,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) rootfs: RootFs,
}

/// What is run, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Run {
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) entrypoint: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) cmd: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) env: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) working_dir: String,
}

/// The digests of the layers' contents.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct RootFs {
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) diff_ids: Vec<String>,
}

/// One image in the `manifest.json` of `docker save`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Saved {
    pub(crate) config: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) layers: Vec<String>,
}

/// Reads `json`, of which errors speak as `path`.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8], path: &str) -> Result<T, ScanError> {
    serde_json::from_slice(json).map_err(|error| ScanError::Description {
        path: path.to_owned(),
        reason: escape(error.to_string().as_bytes()),
    })
}

impl Descriptor {
    /// What people call the image: `containerd` and `docker` write the whole name in one annotation,
    /// others a tag in another.
    pub(crate) fn name(&self) -> String {
        let names = [
            "io.containerd.image.name",
            "org.opencontainers.image.ref.name",
        ];
        let name = names.iter().find_map(|name| self.annotations.get(*name));
        name.map_or(String::new(), |name| escape(name.as_bytes()))
    }

    /// Whether it is about another image and none itself: BuildKit's attestations have a platform of
    /// `unknown/unknown` and say what they refer to.
    pub(crate) fn is_attestation(&self) -> bool {
        let unknown = self
            .platform
            .as_ref()
            .is_some_and(|platform| oci::is_attestation(&platform.os, &platform.architecture));
        unknown || self.annotations.contains_key("vnd.docker.reference.type")
    }

    /// Whether the configuration that it names is that of an image.
    pub(crate) fn is_image_config(&self) -> bool {
        oci::is_image_config(&self.media_type)
    }
}

impl PlatformText {
    /// `None` if it names no architecture.
    pub(crate) fn platform(&self) -> Option<Platform> {
        let Self {
            os,
            architecture,
            variant,
        } = self;
        (!architecture.is_empty()).then(|| Platform::named(os, architecture, variant))
    }
}

impl Run {
    /// The value of a variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn null_is_nothing() {
        let config: Config = parse(
            br#"{"architecture":"aarch64","os":null,"config":{"Entrypoint":null,"Env":["PATH=/bin","A"]},"rootfs":null}"#,
            "x",
        )
        .expect("a configuration");
        let platform = config.platform.platform().expect("an architecture");
        assert_eq!(platform.to_string(), "linux/arm64");
        assert!(config.config.entrypoint.is_empty());
        assert_eq!(config.config.variable("PATH"), Some("/bin"));
        assert_eq!(config.config.variable("A"), None);
        let saved: Vec<Saved> = parse(
            br#"[{"Config":"x.json","RepoTags":null,"Layers":["a"]}]"#,
            "x",
        )
        .expect("images");
        assert_eq!(saved.len(), 1);
    }

    #[test]
    fn what_is_no_description_is_told_with_its_name() {
        let error = parse::<Document>(b"[1", "app.tar: index.json").expect_err("no JSON");
        assert!(
            error.to_string().starts_with("app.tar: index.json "),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>) {
            let _ = (parse::<Document>(&bytes, ""), parse::<Config>(&bytes, ""), parse::<Vec<Saved>>(&bytes, ""));
        }
    }
}
