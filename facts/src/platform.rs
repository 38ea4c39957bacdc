//! Platforms: `linux/arm64`, `linux/arm/v7` (OCI image-spec, image-index.md).

use std::fmt;
use std::str::FromStr;

use crate::arch::Arch;
use crate::text::escape;

/// What an image claims to run on. Texts are printable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system, in Go's word.
    pub os: String,
    /// Architecture, in Go's word.
    pub arch: String,
    /// Which generation of it; may be empty.
    pub variant: String,
}

impl Platform {
    /// What an index or a configuration names, in the words that containerd takes these for (its
    /// `platforms/database.go`, `normalizeArch`): its nodes pull `aarch64` where they need `arm64`. Without an
    /// operating system it is Linux.
    #[must_use]
    pub fn named(os: &str, arch: &str, variant: &str) -> Self {
        let [os, arch, variant] = [os, arch, variant].map(str::to_ascii_lowercase);
        let (arch, variant) = match &*arch {
            "x86_64" | "x86-64" => ("amd64", &*variant),
            "aarch64" => ("arm64", &*variant),
            "i386" => ("386", ""),
            "armhf" => ("arm", "v7"),
            "armel" => ("arm", "v6"),
            arch => (arch, &*variant),
        };
        let os = if os.is_empty() { "linux" } else { &os };
        let [os, arch, variant] = [os, arch, variant].map(|word| escape(word.as_bytes()));
        Self { os, arch, variant }
    }

    /// Linux on this architecture.
    #[must_use]
    pub fn linux(arch: Arch) -> Self {
        Self {
            os: "linux".to_owned(),
            arch: arch.to_string(),
            variant: String::new(),
        }
    }

    /// The instruction set, if it has a name here.
    #[must_use]
    pub fn isa(&self) -> Arch {
        self.arch.parse().unwrap_or(Arch::Unknown)
    }

    /// Whether this one is what somebody who asks for `wanted` gets. Without a variant any fits;
    /// arm64 has one only (containerd's `platforms.Normalize`: `v8` is the same as none).
    #[must_use]
    pub fn serves(&self, wanted: &Self) -> bool {
        let variant = |platform: &Self| match (&*platform.arch, &*platform.variant) {
            ("arm64", "v8") => String::new(),
            (_, variant) => variant.to_owned(),
        };
        let wants = variant(wanted);
        self.os == wanted.os
            && self.arch == wanted.arch
            && (wants.is_empty() || wants == variant(self))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { os, arch, variant } = self;
        if variant.is_empty() {
            return write!(f, "{os}/{arch}");
        }
        write!(f, "{os}/{arch}/{variant}")
    }
}

/// A text that names no platform.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no platform; one looks like linux/arm64 or linux/arm/v7")]
pub struct ParsePlatformError(String);

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParsePlatformError(escape(text.as_bytes()));
        let mut parts = text.split('/');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let platform = Self {
            os: next(),
            arch: next(),
            variant: next(),
        };
        let known = matches!(platform.isa(), arch if arch != Arch::Unknown);
        let is_whole = !platform.os.is_empty() && known && platform.to_string() == text;
        is_whole.then_some(platform).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_as_docker_writes_them() {
        for text in [
            "linux/amd64",
            "linux/arm64/v8",
            "linux/arm/v7",
            "windows/amd64",
        ] {
            let platform: Platform = text.parse().expect("a platform");
            assert_eq!(platform.to_string(), text);
        }
        for text in [
            "",
            "amd64",
            "linux/",
            "linux/x86_64",
            "linux/arm/v7/x",
            "/amd64",
            "linux/arm64/",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn other_words_are_what_containerd_takes_them_for() {
        for (words, platform, isa) in [
            (["linux", "aarch64", ""], "linux/arm64", Arch::Arm64),
            (["", "ARM64", "V8"], "linux/arm64/v8", Arch::Arm64),
            (["Linux", "x86_64", ""], "linux/amd64", Arch::Amd64),
            (["linux", "x86-64", "v3"], "linux/amd64/v3", Arch::Amd64),
            (["linux", "i386", "x"], "linux/386", Arch::I386),
            (["linux", "armhf", ""], "linux/arm/v7", Arch::Arm),
            (["linux", "armel", ""], "linux/arm/v6", Arch::Arm),
            (["linux", "wasm\n", ""], r"linux/wasm\x0a", Arch::Unknown),
        ] {
            let [os, arch, variant] = words;
            let named = Platform::named(os, arch, variant);
            assert_eq!((&*named.to_string(), named.isa()), (platform, isa));
        }
    }

    #[test]
    fn a_variant_is_only_asked_for_where_it_is_named() {
        for (has, wanted, serves) in [
            ("linux/arm64", "linux/arm64", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/amd64/v3", "linux/amd64", true),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("windows/amd64", "linux/amd64", false),
        ] {
            let parse = |text: &str| text.parse::<Platform>().expect("a platform");
            assert_eq!(parse(has).serves(&parse(wanted)), serves, "{has} {wanted}");
        }
    }
}
