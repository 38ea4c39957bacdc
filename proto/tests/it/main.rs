//! Messages from and to the types of `archtrace_facts`, as a whole.

mod answers;
mod convert;
mod cost;
mod peers;
mod values;
mod verify;
