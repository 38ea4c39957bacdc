//! Asks a node's container runtime (containerd, CRI-O) about containers, pods and images.
//!
//! Access to the runtime equals root, so this crate must not be able to change anything by itself: its
//! [`Client`] only reads, and what it need not know it does not ask for. Containers' arguments and
//! environment never leave the runtime, and of an image's configuration only what [`ImageConfig`]
//! names is kept. Texts come out as the runtime tells them; whoever shows them escapes them.
//!
//! | item | what |
//! |---|---|
//! | [`Client`] | the calls, each with a deadline and a bound for its answer |
//! | [`Container`], [`Sandbox`], [`Image`] | what they answer |
//! | [`v1`] | generated from `runtime/v1/api.proto`, for tests; features `kubelet` (calls that change things) and `server` |
#![forbid(unsafe_code)]

mod client;
mod container;
mod error;
mod image;
mod sandbox;

pub use client::{Client, Runtime};
pub use container::{Container, Exit, State};
pub use error::CriError;
pub use image::{Image, ImageConfig};
pub use sandbox::Sandbox;

/// Package `runtime.v1`.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    reason = "generated; what they mean is said by k8s.io/cri-api"
)]
#[cfg_attr(
    feature = "server",
    expect(clippy::allow_attributes, reason = "generated")
)]
pub mod v1 {
    tonic::include_proto!("runtime.v1");
}
