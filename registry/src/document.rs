//! Indexes, manifests and configurations, as JSON (OCI image-spec; Docker's image/spec v2.2). Only what is
//! asked for is read; `null` stands for nothing in what Go writes.

use std::fmt;

use archtrace_facts::oci;
use archtrace_facts::platform::Platform;
use archtrace_facts::registry::is_digest;
use archtrace_facts::text::escape;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::error::Category;

/// What may be asked for as a manifest.
pub(crate) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Letters of one part of a platform. Go's longest word has ten.
const MAX_WORD: usize = 64;

/// Entries of all indexes of a reference: an image and an attestation for each platform, and signatures.
pub(crate) const MAX_ENTRIES: usize = 1000;

/// An index of manifests, or the manifest of one image: which of them is told by what it has.
#[derive(Debug, Deserialize)]
pub(crate) struct Document {
    /// One more than [`MAX_ENTRIES`] at most, which says that there are too many.
    #[serde(default, deserialize_with = "some_entries")]
    pub(crate) manifests: Option<Vec<Descriptor>>,
    pub(crate) config: Option<Descriptor>,
}

/// What names a blob.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    platform: Option<PlatformText>,
}

/// `platform` of a descriptor, and the beginning of a configuration.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PlatformText {
    #[serde(default, deserialize_with = "or_nothing")]
    os: String,
    #[serde(default, deserialize_with = "or_nothing")]
    architecture: String,
    #[serde(default, deserialize_with = "or_nothing")]
    variant: String,
}

/// What an entry of an index is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// An image for this platform.
    Image(Platform),
    /// An index within the index.
    Index,
    /// An image of which only its configuration says what it is for.
    Untold,
    /// About another image and none itself.
    Attestation,
}

/// Reads JSON.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| {
        // Its own text holds the value that was not expected, which may be all there is.
        let what = match error.classify() {
            Category::Syntax | Category::Io => "no JSON",
            Category::Eof => "JSON that ends too early",
            Category::Data => "JSON of another form",
        };
        format!("{what} (line {}, column {})", error.line(), error.column())
    })
}

impl Descriptor {
    /// What it is, as an entry of an index.
    pub(crate) fn entry(&self) -> Result<Entry, String> {
        if !is_digest(&self.digest) {
            return Err("a digest in an index is none by sha256 or sha512".to_owned());
        }
        if oci::is_index(&self.media_type) {
            return Ok(Entry::Index);
        }
        let Some(platform) = &self.platform else {
            return Ok(Entry::Untold);
        };
        if oci::is_attestation(&platform.os, &platform.architecture) {
            return Ok(Entry::Attestation);
        }
        Ok(platform.platform()?.map_or(Entry::Untold, Entry::Image))
    }

    /// What its media type says that it is instead of an image's configuration.
    pub(crate) fn artifact(&self) -> Option<String> {
        let is_image = oci::is_image_config(&self.media_type);
        let shown = self.media_type.chars().take(128);
        (!is_image).then(|| escape(shown.collect::<String>().as_bytes()))
    }
}

impl PlatformText {
    /// `None` if it names no architecture.
    pub(crate) fn platform(&self) -> Result<Option<Platform>, String> {
        let Self {
            os,
            architecture,
            variant,
        } = self;
        if [os, architecture, variant]
            .iter()
            .any(|word| word.len() > MAX_WORD)
        {
            return Err("a platform has words that are too long".to_owned());
        }
        if os.contains('/') || architecture.contains('/') {
            return Err("a platform has slashes in its words".to_owned());
        }
        if architecture.is_empty() {
            return Ok(None);
        }
        Ok(Some(Platform::named(os, architecture, variant)))
    }
}

fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// An index is not kept beyond the bound: four megabytes of `{"digest":""}` are 300,000 entries.
fn some_entries<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Descriptor>>, D::Error> {
    struct Entries(Vec<Descriptor>);

    impl<'de> Deserialize<'de> for Entries {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(Bounded).map(Self)
        }
    }

    Option::deserialize(deserializer).map(|entries| entries.map(|Entries(entries)| entries))
}

struct Bounded;

impl<'de> Visitor<'de> for Bounded {
    type Value = Vec<Descriptor>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of manifests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while entries.len() <= MAX_ENTRIES {
            match list.next_element()? {
                Some(entry) => entries.push(entry),
                None => return Ok(entries),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_are_told_apart() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let entry = |rest: &str| {
            let json = format!(r#"{{"digest": "{digest}", {rest}}}"#);
            let descriptor: Descriptor = parse(json.as_bytes()).expect(rest);
            descriptor.entry()
        };
        let image = |os: &str, arch: &str, variant: &str| {
            Ok(Entry::Image(Platform {
                os: os.to_owned(),
                arch: arch.to_owned(),
                variant: variant.to_owned(),
            }))
        };
        let index = "application/vnd.oci.image.index.v1+json";
        for (rest, expected) in [
            (
                r#""platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}"#
                    .to_owned(),
                image("linux", "arm64", "v8"),
            ),
            (
                r#""mediaType": null, "platform": {"os": null, "architecture": "amd64"}"#
                    .to_owned(),
                image("linux", "amd64", ""),
            ),
            (
                r#""platform": {"os": "a\n", "architecture": "b\\"}"#.to_owned(),
                image(r"a\x0a", r"b\x5c", ""),
            ),
            (
                r#""platform": {"os": "Linux", "architecture": "x86_64"}"#.to_owned(),
                image("linux", "amd64", ""),
            ),
            (format!(r#""mediaType": "{index}""#), Ok(Entry::Index)),
            (r#""platform": null"#.to_owned(), Ok(Entry::Untold)),
            (r#""platform": {}"#.to_owned(), Ok(Entry::Untold)),
            (
                r#""platform": {"os": "unknown", "architecture": "unknown"}"#.to_owned(),
                Ok(Entry::Attestation),
            ),
            (
                format!(r#""platform": {{"architecture": "{}"}}"#, "x".repeat(65)),
                Err("a platform has words that are too long".to_owned()),
            ),
            (
                r#""platform": {"os": "linux/arm64", "architecture": "amd64"}"#.to_owned(),
                Err("a platform has slashes in its words".to_owned()),
            ),
        ] {
            assert_eq!(entry(&rest), expected, "{rest}");
        }
        let odd: Descriptor = parse(br#"{"digest": "sha256:../../x"}"#).expect("reads");
        assert!(odd.entry().is_err());
        let chart: Descriptor =
            parse(br#"{"digest": "x", "mediaType": "application/vnd.cncf.helm.config.v1+json"}"#)
                .expect("reads");
        assert_eq!(
            chart.artifact().as_deref(),
            Some("application/vnd.cncf.helm.config.v1+json")
        );
    }

    #[test]
    fn hostile_answers_are_not_kept() {
        for (body, expected) in [
            (
                format!("\"{}\"", "\u{1}".repeat(4 << 20)),
                "no JSON (line 1, column ",
            ),
            (
                format!("\"{}\"", "é".repeat(2 << 20)),
                "JSON of another form",
            ),
            ("x".repeat(4 << 20), "no JSON (line 1, column 1)"),
            ("{\"config\": ".to_owned(), "JSON that ends too early"),
        ] {
            let what = parse::<Document>(body.as_bytes()).expect_err("no document");
            assert!(what.starts_with(expected) && what.len() < 100, "{what}");
        }
        let many = r#"{"digest":""},"#.repeat((4 << 20) / 14);
        let body = format!(r#"{{"manifests": [{}]}}"#, many.trim_end_matches(','));
        let document: Document = parse(body.as_bytes()).expect("an index");
        let entries = document.manifests.map(|entries| entries.len());
        assert_eq!(entries, Some(MAX_ENTRIES + 1));
        for body in ["{}", r#"{"manifests": null}"#] {
            let document: Document = parse(body.as_bytes()).expect(body);
            assert!(document.manifests.is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, text: String) {
            let _ = (parse::<Document>(&bytes), parse::<PlatformText>(&bytes));
            let descriptor = Descriptor { media_type: text.clone(), digest: text.clone(), platform: None };
            let _ = (descriptor.entry(), descriptor.artifact());
            let platform = PlatformText { os: text.clone(), architecture: text.clone(), variant: text };
            let _ = platform.platform();
        }
    }
}
