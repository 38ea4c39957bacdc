//! What an image's configuration says, out of what a runtime tells for debugging.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What is read of an image's configuration (OCI image specification, config.md): its platform, and
/// what is needed to find the file that it is there to run. Nothing else is kept, and of its
/// environment nothing but `PATH`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// The architecture that it claims to be for, by Go's name, such as `arm64`.
    pub architecture: String,
    /// The operating system, such as `linux`.
    pub os: String,
    /// The variant of the architecture, such as `v8`; usually empty.
    pub variant: String,
    /// The program it is there to run: the first word of its entrypoint, or of its command.
    pub program: String,
    /// Where that is looked for; empty if the image does not say.
    pub path: String,
    /// The directory that it starts in; empty for the root.
    pub working_dir: String,
}

impl ImageConfig {
    /// Reads the value of `info` of an `ImageStatusResponse`. containerd
    /// (pkg/cri/server/image_status.go, `verboseImageInfo`) and CRI-O (server/image_status.go,
    /// `createImageInfo`) both call the configuration `imageSpec`.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let info: Info = serde_json::from_slice(json).ok()?;
        let spec = info.image_spec?;
        let config = spec.config.unwrap_or_default();
        Some(Self {
            architecture: spec.architecture,
            os: spec.os,
            variant: spec.variant,
            program: (config.entrypoint.0).or(config.cmd.0).unwrap_or_default(),
            path: config.env.0.unwrap_or_default(),
            working_dir: config.working_dir,
        })
    }
}

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "imageSpec")]
    image_spec: Option<Spec>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    variant: String,
    config: Option<Config>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    entrypoint: First,
    cmd: First,
    env: SearchPath,
    working_dir: String,
}

/// The first of a list of words, which may be null.
#[derive(Default)]
struct First(Option<String>);

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Words(|kept: &mut Option<String>, word: &str| {
                if kept.is_none() {
                    *kept = Some(word.to_owned());
                }
            }))
            .map(Self)
    }
}

/// The value of `PATH` in a list of `NAME=value`, of which the last counts.
#[derive(Default)]
struct SearchPath(Option<String>);

impl<'de> Deserialize<'de> for SearchPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Words(|kept: &mut Option<String>, word: &str| {
                if let Some(path) = word.strip_prefix("PATH=") {
                    *kept = Some(path.to_owned());
                }
            }))
            .map(Self)
    }
}

/// Goes through a list of words without keeping them.
struct Words<F>(F);

impl<'de, F: FnMut(&mut Option<String>, &str)> Visitor<'de> for Words<F> {
    type Value = Option<String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of words or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut words: A) -> Result<Self::Value, A::Error> {
        let mut kept = None;
        while let Some(word) = words.next_element::<std::borrow::Cow<'de, str>>()? {
            (self.0)(&mut kept, &word);
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(json: &str, expected: Option<[&str; 6]>) {
        let config = ImageConfig::parse(json.as_bytes());
        let found = config.as_ref().map(|config| {
            let ImageConfig {
                architecture,
                os,
                variant,
                program,
                path,
                working_dir,
            } = config;
            [architecture, os, variant, program, path, working_dir].map(String::as_str)
        });
        assert_eq!(found, expected, "{json}");
    }

    #[test]
    fn platform_and_program_are_read() {
        // containerd 1.6, shortened.
        check(
            r#"{"chainID":"sha256:ab","imageSpec":{"created":"2026-01-01T00:00:00Z","architecture":"arm64",
                "variant":"v8","os":"linux","config":{"User":"1","Env":["PATH=/a:/b","KEY=secret"],
                "Entrypoint":["/entry","--flag"],"Cmd":["x"],"WorkingDir":"/srv"},
                "rootfs":{"type":"layers","diff_ids":["sha256:cd"]},"history":[{"created_by":"x"}]}}"#,
            Some(["arm64", "linux", "v8", "/entry", "/a:/b", "/srv"]),
        );
        // CRI-O.
        check(
            r#"{"labels":{"a":"b"},"imageSpec":{"architecture":"amd64","os":"linux","config":{
                "Env":null,"Entrypoint":null,"Cmd":["sh","-c","x"]}}}"#,
            Some(["amd64", "linux", "", "sh", "", ""]),
        );
        // Escapes need memory of their own.
        check(
            r#"{"imageSpec":{"config":{"Env":["PATH=\/a","PATH=/\u0062"],"Cmd":["\/x"]}}}"#,
            Some(["", "", "", "/x", "/b", ""]),
        );
        check(
            r#"{"imageSpec":{"architecture":"riscv64","os":"linux","config":{}}}"#,
            Some(["riscv64", "linux", "", "", "", ""]),
        );
        check(r#"{"imageSpec":{}}"#, Some([""; 6]));
    }

    #[test]
    fn what_is_something_else_is_left() {
        for json in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"imageSpec":null}"#,
            r#"{"imageSpec":{"config":{"Env":"PATH=/a"}}}"#,
            r#"{"imageSpec":{"config":{"Cmd":[1]}}}"#,
        ] {
            check(json, None);
        }
    }

    proptest! {
        #[test]
        fn nothing_of_the_environment_but_the_path_is_kept(
            names in proptest::collection::vec("[A-Z_]{1,8}", 0..8),
            words in proptest::collection::vec("[a-z]{1,8}", 0..4),
        ) {
            let env: Vec<_> = names.iter().map(|name| format!("{name}=secret")).collect();
            let json = serde_json::json!({"imageSpec": {"config": {"Env": env, "Cmd": words}}});
            let config = ImageConfig::parse(json.to_string().as_bytes()).expect("it is one");
            let path = if names.iter().any(|name| name == "PATH") { "secret" } else { "" };
            prop_assert_eq!(&config.path, path);
            prop_assert_eq!(&config.program, words.first().map_or("", String::as_str));
        }

        #[test]
        fn nothing_panics(json: Vec<u8>, text in r#"[{}\[\]",:a-zA-Z]{0,64}"#) {
            let _ = ImageConfig::parse(&json);
            let _ = ImageConfig::parse(text.as_bytes());
        }
    }
}
