//! What the kernel side and the agent must agree on.
//!
//! The programs themselves are this package's binary, which exists for BPF targets only. This
//! library is `no_std`, holds plain data and must not depend on anything; with the feature `user`
//! the agent gets the types in the form that aya's maps take.
#![no_std]

pub mod abi;
#[cfg(feature = "user")]
mod user;

#[cfg(feature = "user")]
pub use user::Item;
