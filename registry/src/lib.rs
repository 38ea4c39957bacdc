//! Asks registries for which platforms they have an image, by the API of the OCI distribution
//! specification.
//!
//! | module | what |
//! |---|---|
//! | [`client`] | one reference: index or image, and its platforms |
//! | `transport` | one request: deadlines, bounds, redirects |
//! | `place` | where a name may lead |
//! | `login` | what a registry wants to see before it answers |
//! | [`credentials`] | names and passwords, from Docker's `config.json` |
//! | `document` | indexes, manifests and configurations |
//! | [`error`] | why there is no answer |
//!
//! A registry is foreign, and whoever may start a pod chooses which one is asked. What must not happen here:
//! an answer is believed or kept beyond its bound, a credential goes to another host than the one it is for
//! (or to the one that this registry names for tokens), a secret gets into a log or an error, a program is
//! run, anything is changed.
#![forbid(unsafe_code)]

pub mod client;
pub mod credentials;
mod document;
pub mod error;
mod login;
mod place;
mod transport;

pub use client::Client;
pub use credentials::Credentials;
pub use error::RegistryError;
pub use place::{is_local_address, is_loopback};
pub use transport::{Options, RootsError, roots};
