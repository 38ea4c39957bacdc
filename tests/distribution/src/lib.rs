//! A real registry for tests: Debian's docker-registry (the reference implementation, "distribution"), with a
//! temporary directory of its own, on a port of loopback.
//!
//! ```no_run
//! use archtrace_distribution::{Access, Registry};
//!
//! if let Some(registry) = Registry::start(&Access::Everybody) {
//!     registry.index("team/app", "1", &[("linux", "amd64"), ("linux", "arm64")]);
//! }
//! ```
//!
//! | module | what |
//! |---|---|
//! | `server` | starting it, and ending it with whoever started it, however that ends |
//! | `push` | images, by the API |
//! | `http` | as little of HTTP as that takes |
//!
//! What must not happen here: something is left running, or outside of the temporary directory; anything
//! listens beyond loopback.
#![forbid(unsafe_code)]

mod http;
mod push;
mod server;

pub use push::{Pushed, digest};
pub use server::{Access, PASSWORD, Registry, USER, VARIABLE};
