//! References to images: `nginx`, `docker.io/library/nginx:1.27`, `reg.example:5000/team/app@sha256:…`.
//!
//! The grammar is that of the OCI distribution specification ("Pulling manifests"); what is left out is
//! what Docker, containerd and the kubelet take it for (distribution/reference, `normalize.go`).

use std::fmt;
use std::str::FromStr;

use crate::text::escape;

/// The registry of references that name none.
const DEFAULT: &str = "docker.io";

/// An image in a registry. Its texts hold nothing but what the grammar allows, all of which is ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Host, and a port behind `:` if one is named.
    pub registry: String,
    /// Path of the repository.
    pub repository: String,
    /// The tag; empty where only a digest is named.
    pub tag: String,
    /// The digest, which decides where there is one; else empty.
    pub digest: String,
}

/// A text that names no image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseReferenceError {
    /// The digest of a configuration, by which only nodes know an image.
    #[error("'{0}' is an image's id, not a name in a registry")]
    Id(String),
    /// Something else.
    #[error("'{0}' is no reference to an image; one looks like registry.example/team/app:1.2")]
    Other(String),
}

impl Reference {
    /// What a registry's API calls it: the digest if there is one, else the tag.
    #[must_use]
    pub fn target(&self) -> &str {
        if self.digest.is_empty() {
            &self.tag
        } else {
            &self.digest
        }
    }
}

impl fmt::Display for Reference {
    /// With all that a short form leaves out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            registry,
            repository,
            tag,
            digest,
        } = self;
        write!(f, "{registry}/{repository}")?;
        if !tag.is_empty() {
            write!(f, ":{tag}")?;
        }
        if !digest.is_empty() {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_digest(text) {
            return Err(ParseReferenceError::Id(text.to_owned()));
        }
        parse(text).ok_or_else(|| ParseReferenceError::Other(escape(text.as_bytes())))
    }
}

fn parse(text: &str) -> Option<Reference> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, is_digest(digest).then_some(digest)?),
        None => (text, ""),
    };
    // What is before the first slash is a host only if it cannot be a part of a path.
    let (registry, rest) = match name.split_once('/') {
        Some((host, rest)) if host == "localhost" || host.contains(['.', ':']) => (host, rest),
        _ => (DEFAULT, name),
    };
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, is_tag(tag).then_some(tag)?),
        None if digest.is_empty() => (rest, "latest"),
        None => (rest, ""),
    };
    let registry = match registry {
        "index.docker.io" => DEFAULT,
        registry => is_host(registry).then_some(registry)?,
    };
    let is_short = registry == DEFAULT && !path.contains('/');
    let repository = if is_short {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    is_path(&repository).then(|| Reference {
        registry: registry.to_ascii_lowercase(),
        repository,
        tag: tag.to_owned(),
        digest: digest.to_owned(),
    })
}

/// `sha256:` or `sha512:` and as many hexadecimal digits as these have (OCI image-spec, descriptor.md).
#[must_use]
pub fn is_digest(text: &str) -> bool {
    let (hex, length) = match text.split_once(':') {
        Some(("sha256", hex)) => (hex, 64),
        Some(("sha512", hex)) => (hex, 128),
        _ => return false,
    };
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    hex.len() == length && hex.bytes().all(is_digit)
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = text.bytes();
    bytes.next().is_some_and(is_word)
        && text.len() <= 128
        && bytes.all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

/// A name, an IPv4 address, or an IPv6 address in brackets; with or without a port.
fn is_host(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        return address.parse::<std::net::Ipv6Addr>().is_ok()
            && port.strip_prefix(':').map_or(port.is_empty(), is_port);
    }
    let (name, port) = text.split_once(':').unwrap_or((text, "443"));
    let is_label = |label: &str| {
        let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        is_end(label.bytes().next())
            && is_end(label.bytes().next_back())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label) && is_port(port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Lower-case words with single separators between them: `.`, `_`, `__`, or dashes.
fn is_path(text: &str) -> bool {
    let is_component = |component: &str| {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let mut separators =
            component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        component.bytes().next().is_some_and(is_word)
            && component.bytes().next_back().is_some_and(is_word)
            && separators.all(|separator| {
                matches!(separator, "" | "." | "_" | "__")
                    || separator.bytes().all(|byte| byte == b'-')
            })
    };
    text.len() <= 255 && text.split('/').all(is_component)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn what_is_left_out_is_what_docker_takes_it_for() {
        let by_digest = format!("sha256:{HEX}");
        for (text, whole) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27-alpine", "docker.io/library/nginx:1.27-alpine"),
            ("bitnami/redis", "docker.io/bitnami/redis:latest"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("docker.io/nginx:1", "docker.io/library/nginx:1"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app:1", "localhost:5000/app:1"),
            ("REG.example/a/b/c:V_1.2", "reg.example/a/b/c:V_1.2"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
            ("127.0.0.1:5000/a__b/c--d:x", "127.0.0.1:5000/a__b/c--d:x"),
            (
                &*format!("nginx@{by_digest}"),
                &*format!("docker.io/library/nginx@{by_digest}"),
            ),
            (
                &*format!("r.example/a:1@{by_digest}"),
                &*format!("r.example/a:1@{by_digest}"),
            ),
        ] {
            let reference: Reference = text.parse().expect(text);
            assert_eq!(reference.to_string(), whole, "{text}");
            let again: Reference = whole.parse().expect(whole);
            assert_eq!(again, reference, "{text}");
            let digest = whole.contains('@').then_some(&*by_digest);
            let tag = whole.rsplit_once(':').map_or("", |(_, tag)| tag);
            assert_eq!(reference.target(), digest.unwrap_or(tag), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_told() {
        let id = format!("sha256:{HEX}");
        assert_eq!(id.parse::<Reference>(), Err(ParseReferenceError::Id(id)));
        let (long, many) = ("a".repeat(256), format!("a:{}", "t".repeat(129)));
        for text in [
            "",
            "/",
            "a/",
            "Nginx",
            "a:",
            "a:-x",
            "a::b",
            "a@",
            "a@sha256:12",
            "a b",
            "a..b",
            "a-/b",
            "-a",
            "reg.example:0/a",
            "reg.example:x/a",
            "reg..example/a",
            "[::1/a",
            "[::g]/a",
            "http://reg.example/a",
            "reg.example/a?b=c",
            "reg.example/../a",
            "user@reg.example/a",
            "a\n",
            &long,
            &many,
        ] {
            assert!(
                matches!(
                    text.parse::<Reference>(),
                    Err(ParseReferenceError::Other(_))
                ),
                "{text}: {:?}",
                text.parse::<Reference>()
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_ascii_and_reads_the_same_again(text in "[a-z0-9A-Z.:/@_\\-\\[\\]é ?#%]{0,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                let whole = reference.to_string();
                prop_assert!(whole.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(!whole.contains(['?', '#', '%', ' ']));
                prop_assert_eq!(whole.parse::<Reference>(), Ok(reference));
            }
        }

        #[test]
        fn nothing_makes_it_panic(text: String) {
            let _ = text.parse::<Reference>();
        }
    }
}
