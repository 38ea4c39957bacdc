//! What goes over the wire between agents, collector and CLI.
//!
//! This crate must not decide anything and must not do I/O of its own: it holds the generated
//! code and the one place where it meets the types of `archtrace_facts`. Nobody else
//! interprets protobuf messages.
//!
//! | module | what |
//! |---|---|
//! | [`v1`] | generated from `archtrace/v1/*.proto`; features `client` and `server` |
//! | [`codec`] | how messages become bytes |
//! | [`convert`] | protobuf messages from and to domain types; peers' data is checked here |
#![forbid(unsafe_code)]

pub mod codec;
pub mod convert;

/// Metadata of a status `Unavailable` by which a collector ends a stream as planned: connections have an
/// age at which they end, and collectors are restarted. The value is a number of milliseconds; the
/// agent connects again after a random time of at most that, and counts no failure.
pub const RECONNECT: &str = "archtrace-reconnect-ms";

/// Package `archtrace.v1`.
#[expect(
    missing_docs,
    clippy::large_enum_variant,
    reason = "generated; the comments there are those of the .proto files"
)]
#[cfg_attr(
    any(feature = "client", feature = "server"),
    expect(
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )
)]
#[cfg_attr(
    feature = "client",
    expect(clippy::missing_errors_doc, reason = "generated: a status, always")
)]
#[cfg_attr(
    feature = "server",
    expect(clippy::allow_attributes, reason = "generated")
)]
pub mod v1 {
    tonic::include_proto!("archtrace.v1");
}

/// The descriptors of every message and service, for `grpc.reflection.v1`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
