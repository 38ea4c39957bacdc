//! Which facts and events are asked for.
//!
//! What holds, wherever it is decided (here, or by a store):
//!
//! - Texts are compared as they are, upper and lower case apart. A text that something does not have
//!   is the empty one, so `emulator = ""` holds for what is native, and a pattern `*` for everything.
//! - Numbers and times that something does not have hold no comparison but `!=`.
//! - A [`Filter`]'s architectures and modes are of what has them: a loss has neither, a change of a
//!   handler has the architecture that the handler claims.
//! - `since` is about a fact's `last_seen`, an event's time, and when a loss ended.
//!
//! | module | what |
//! |---|---|
//! | [`mod@matches`] | whether something is meant |
//! | [`parse`] | conditions as people write them |
//! | `print` | and the way back |

pub mod matches;
pub mod parse;
mod print;

use std::time::SystemTime;

use crate::arch::Arch;
use crate::fact::{Mode, words};

pub use matches::{Subject, wildcard};
pub use parse::ParseError;

/// Something passes if one of `allow` matches (or there is none), none of `deny` does, and `expression`
/// holds, if there is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// One of these.
    pub allow: Vec<Filter>,
    /// None of these.
    pub deny: Vec<Filter>,
    /// And this.
    pub expression: Option<Expr>,
}

/// A condition holds if its list is empty or one of its values matches; all conditions must hold. In
/// texts, `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Names of clusters.
    pub clusters: Vec<String>,
    /// Names of nodes.
    pub nodes: Vec<String>,
    /// Instruction sets of nodes.
    pub node_archs: Vec<Arch>,
    /// Names of namespaces.
    pub namespaces: Vec<String>,
    /// Names of pods.
    pub pods: Vec<String>,
    /// Names of containers.
    pub containers: Vec<String>,
    /// Workloads as kind and name, such as `Deployment/api`.
    pub workloads: Vec<String>,
    /// Images, as pods ask for them.
    pub images: Vec<String>,
    /// Paths of binaries.
    pub binaries: Vec<String>,
    /// Instruction sets of binaries, and of what a handler claims.
    pub archs: Vec<Arch>,
    /// How they ran.
    pub modes: Vec<Mode>,
    /// Only what was seen at or after this time.
    pub since: Option<SystemTime>,
}

/// A condition as people write it.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of these; the parser makes two or more.
    And(Vec<Expr>),
    /// One of these; the parser makes two or more.
    Or(Vec<Expr>),
    /// Not this.
    Not(Box<Expr>),
    /// A field compared with a value.
    Compare(Field, Op, Value),
}

/// What can be compared. A field that something does not have holds no comparison but `!=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Texts.
    Text(TextField),
    /// Numbers.
    Number(NumberField),
    /// Times.
    Time(TimeField),
}

words! {
    /// Fields that are texts.
    TextField, "field" {
        /// Cluster of the node.
        Cluster = "cluster",
        /// Name of the node.
        Node = "node",
        /// Instruction set of the node.
        NodeArch = "node_arch",
        /// Namespace of the pod.
        Namespace = "namespace",
        /// Name of the pod.
        Pod = "pod",
        /// Name of the container.
        Container = "container",
        /// Kind and name of what the pod belongs to.
        Workload = "workload",
        /// The image, as the pod asks for it.
        Image = "image",
        /// Digest of the image's configuration.
        ImageId = "image_id",
        /// Unit of systemd.
        Unit = "unit",
        /// Path of the cgroup.
        Cgroup = "cgroup",
        /// The binary.
        Binary = "binary",
        /// Instruction set of the binary, or what a handler claims.
        Arch = "arch",
        /// How it ran.
        Mode = "mode",
        /// What interprets it.
        Emulator = "emulator",
        /// How it came to that.
        Via = "via",
        /// Why it failed.
        Cause = "cause",
        /// Of events, losses and changes of handlers: the word of [`crate::report::Record::kind`].
        Kind = "kind",
        /// Of events: name of the task.
        Comm = "comm",
        /// Of losses: where.
        Stage = "stage",
    }
}

words! {
    /// Fields that are numbers.
    NumberField, "field" {
        /// Execs, how many like it, or how many were lost.
        Count = "count",
        /// Of facts: processes alive.
        Processes = "processes",
        /// Of facts: CPU time in nanoseconds (people write it as a duration).
        Cpu = "cpu",
        /// Of events.
        Pid = "pid",
        /// Of events.
        Errno = "errno",
    }
}

words! {
    /// Fields that are times.
    TimeField, "field" {
        /// Of facts.
        FirstSeen = "first_seen",
        /// Of facts.
        LastSeen = "last_seen",
        /// Of events; of losses when they ended.
        Time = "time",
    }
}

/// How values are compared. Texts know `=`, `!=` and `:` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`: in texts, `*` stands for any characters.
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `:`, contains; `*` stands for itself.
    Has,
}

impl Op {
    /// Every one, the longer spellings first.
    pub const ALL: [Self; 7] = [
        Self::LessOrEqual,
        Self::GreaterOrEqual,
        Self::NotEqual,
        Self::Less,
        Self::Greater,
        Self::Equal,
        Self::Has,
    ];

    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Has => ":",
        }
    }
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// A time.
    Time(SystemTime),
}
