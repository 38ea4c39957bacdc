//! What an architecture fact is, and how one is derived.
//!
//! This crate decides; it never looks. It must not do I/O, ask for the time, spawn anything or
//! use `unsafe`: what the kernel, `/proc` or a file said comes in as bytes, and what follows from
//! it goes out as a value. That is what makes every decision testable as data.
//!
//! | module | from | to |
//! |---|---|---|
//! | [`arch`] | ELF machine, class and byte order | Kubernetes' names |
//! | [`elf`] | the first bytes of a file | what kind of executable it is |
//! | [`binfmt`] | a `binfmt_misc` entry | which files it claims, for which machine |
//! | [`failure`] | a file and the error of its exec | why the kernel refused it |
//! | [`emulator`] | what a file holds | whether it is an emulator |
//! | [`maps`] | `/proc/<pid>/maps` | which file an address was mapped from |
//! | [`mounts`] | `/proc/<pid>/mountinfo` | which mounts lead to a file, and whether they may hang |
//! | [`sandbox`] | a process's names and cgroup | whether it hides a pod from us |
//! | [`verdict`] | the passes of one exec | native, compat, emulated or failed, and why |
//! | [`finding`] | facts, events, nodes | what somebody should act on, and how |
//! | [`fact`] | — | the vocabulary: facts, events, losses |
//! | [`identity`] | a cgroup's path | the pod and container, or the systemd unit |
//! | [`controllers`] | references to owners, as the Kubernetes API tells them | what a pod belongs to |
//! | [`pod_event`] | an event in a pod | what `kubectl describe pod` shows of it, and how often |
//! | [`audit`] | the files of an image | those of another machine, and why they matter |
//! | [`image`] | — | what an image claims to be for, and what its files are |
//! | [`oci`] | words in the documents of an image | what these are |
//! | [`platform`] | `linux/arm64` | which nodes it is for |
//! | [`registry`] | a reference, and what its registry told | whether it has an image for an architecture |
//! | [`tar`] | the blocks of a tar archive | names, kinds and sizes of its entries |
//! | [`aggregate`] | kernel counters and verdicts | facts with counts and times, and what changed |
//! | [`isa`] | the bytes of an instruction | its name, and the extensions it needs |
//! | [`cost`] | emulated CPU time | by whom and when it was used, and what it was worth |
//! | [`cpu`] | `/proc/cpuinfo` | which CPU it is, and whether it has an extension |
//! | [`sigill`] | an illegal instruction | the sentence that a person needs |
//! | [`zip`] | the end of a file | where the entries of an archive are |
//! | [`node`], [`report`] | — | what one agent tells of its node and sends to a collector |
//! | [`digest`] | a set of facts | one number, to compare what two sides hold |
//! | [`select`] | a question | which facts and events are meant |
//! | [`policy`] | — | which agents have to run, where, in which versions; and what no policy may say |
//! | [`coverage`] | a policy, and what was seen on a node | whether its agents run as they have to |
//! | [`fleet`] | — | what a collector answers about many nodes |
//! | [`gate`] | facts of pods, and the state of their nodes | whether all of them run natively |
//! | [`matrix`] | what was seen of a workload and its images | whether it may move to another architecture, row by row |
//! | [`backoff`] | failures, and a random number | how long to wait |
//! | [`sentence`] | an event, a loss or a change of a handler | what people read of it |
//! | [`human`] | numbers and times | as people read them |
//! | [`text`] | bytes of unknown encoding, errors | printable text |
#![forbid(unsafe_code)]

pub mod aggregate;
pub mod arch;
pub mod audit;
pub mod backoff;
pub mod binfmt;
pub mod controllers;
pub mod cost;
pub mod coverage;
pub mod cpu;
pub mod digest;
pub mod elf;
pub mod emulator;
pub mod fact;
pub mod failure;
pub mod finding;
pub mod fleet;
pub mod gate;
pub mod human;
pub mod identity;
pub mod image;
pub mod isa;
pub mod maps;
pub mod matrix;
pub mod mounts;
pub mod node;
pub mod oci;
pub mod platform;
pub mod pod_event;
pub mod policy;
pub mod registry;
pub mod report;
pub mod sandbox;
pub mod select;
pub mod sentence;
pub mod sigill;
pub mod tar;
pub mod text;
pub mod verdict;
pub mod zip;
