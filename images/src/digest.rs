//! Digests: what blobs are named by (OCI image-spec, descriptor.md).

use std::fmt;
use std::io::{self, Read};

use sha2::digest::DynDigest;
use sha2::{Digest as _, Sha256, Sha512};

/// A digest of a kind that can be checked. Its text holds nothing but letters and digits, so that it
/// may be part of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Digest {
    kind: Kind,
    hex: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Sha256,
    Sha512,
}

impl Digest {
    /// Reads `sha256:` and its hexadecimal digits; `None` if it is another kind or none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, hex) = text.split_once(':')?;
        let (kind, len) = match kind {
            "sha256" => (Kind::Sha256, 64),
            "sha512" => (Kind::Sha512, 128),
            _ => return None,
        };
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (hex.len() == len && hex.bytes().all(is_digit)).then(|| Self {
            kind,
            hex: hex.to_owned(),
        })
    }

    /// The digest by which a saved image names a file: `blobs/sha256/<hex>`, `<hex>.json`.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        if let Some(path) = name.strip_prefix("blobs/") {
            return Self::parse(&path.replacen('/', ":", 1));
        }
        Self::parse(&format!("sha256:{}", name.strip_suffix(".json")?))
    }

    /// Where an OCI layout has the blob (image-layout.md).
    pub(crate) fn name(&self) -> String {
        format!("blobs/{}/{}", self.kind.as_str(), self.hex)
    }
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn hasher(self) -> Box<dyn DynDigest + Send> {
        match self {
            Self::Sha256 => Box::new(Sha256::new()),
            Self::Sha512 => Box::new(Sha512::new()),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.hex)
    }
}

/// Passes bytes on, and knows in the end whether they were the right ones.
pub(crate) struct Checked<R> {
    inner: R,
    hasher: Option<(Digest, Box<dyn DynDigest + Send>)>,
}

impl<R: Read> Checked<R> {
    /// Without a digest, nothing is checked.
    pub(crate) fn new(inner: R, digest: Option<Digest>) -> Self {
        let hasher = digest.map(|digest| {
            let hasher = digest.kind.hasher();
            (digest, hasher)
        });
        Self { inner, hasher }
    }

    /// Reads what is left, and compares; returns the digest that was found instead.
    pub(crate) fn finish(mut self) -> io::Result<Result<(), String>> {
        let mut buffer = vec![0; 64 << 10];
        while self.hasher.is_some() && self.read(&mut buffer)? > 0 {}
        let Some((digest, hasher)) = self.hasher else {
            return Ok(Ok(()));
        };
        let hex = hasher
            .finalize()
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        if hex == digest.hex {
            return Ok(Ok(()));
        }
        Ok(Err(format!("{}:{hex}", digest.kind.as_str())))
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let (Some((_, hasher)), Some(bytes)) = (&mut self.hasher, buffer.get(..count)) {
            hasher.update(bytes);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_strictly() {
        let hex = "0123456789abcdef".repeat(4);
        for (text, known) in [
            (format!("sha256:{hex}"), true),
            (format!("sha512:{hex}{hex}"), true),
            (format!("sha512:{hex}"), false),
            (format!("sha256:{}", hex.to_uppercase()), false),
            (format!("sha256:../{}", &hex[3..]), false),
            (format!("md5:{hex}"), false),
            (hex.clone(), false),
        ] {
            let digest = Digest::parse(&text);
            assert_eq!(digest.is_some(), known, "{text}");
            assert!(digest.is_none_or(|digest| digest.to_string() == text));
        }
        for name in [format!("blobs/sha256/{hex}"), format!("{hex}.json")] {
            let digest = Digest::of_name(&name).expect("a digest");
            assert_eq!(digest.name(), format!("blobs/sha256/{hex}"));
        }
        assert_eq!(Digest::of_name("x/layer.tar"), None);
    }

    #[test]
    fn content_is_compared() {
        // sha256sum </dev/null
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let check = |bytes: &[u8]| {
            Checked::new(bytes, Digest::parse(empty))
                .finish()
                .expect("reads")
        };
        assert_eq!(check(b""), Ok(()));
        assert!(check(b"x").is_err());
    }
}
