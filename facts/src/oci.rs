//! What documents of an image are, by the words in them (OCI image-spec; Docker's image/spec v2.2).

/// Whether a descriptor of this media type leads to an index of manifests.
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json"
    )
}

/// Whether a descriptor of this media type leads to the configuration of an image. Charts, signatures and other
/// artifacts have manifests too.
#[must_use]
pub fn is_image_config(media_type: &str) -> bool {
    matches!(
        media_type,
        "" | "application/vnd.oci.image.config.v1+json"
            | "application/vnd.docker.container.image.v1+json"
    )
}

/// Whether what is for this platform is about another image and none itself: BuildKit's attestations are.
#[must_use]
pub fn is_attestation(os: &str, arch: &str) -> bool {
    os == "unknown" && arch == "unknown"
}
