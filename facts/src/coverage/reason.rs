//! Why it is so with an agent on a node, in a sentence.

use std::fmt;

use super::judge::tag;
use crate::arch::Arch;
use crate::fact::{Cause, IllegalInstruction, Mode};
use crate::identity::LastExit;
use crate::policy::Version;

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// Every binary of it runs by the CPU, and it is of this version, if it has to be of one.
    Native(Option<&'a Version>),
    /// There are certified versions, none for this instruction set.
    NoneCertified(Arch),
    /// This image is none of them.
    NotCertified(&'a str, Arch),
    /// It runs outside of a container.
    NoImage,
    /// This emulator runs a binary of this instruction set, in so many processes.
    Emulated(Option<Arch>, &'a str, u64),
    /// The kernel refused to execute a file of this instruction set.
    Refused(Option<Arch>, Option<Cause>),
    /// It died of this.
    IllegalInstruction(&'a IllegalInstruction, Option<Mode>),
    /// Its container was started again and again.
    Restarts(u32, Option<&'a LastExit>),
    /// Its pod is there, and nothing runs in it.
    NothingRuns,
    /// Its pod came just now.
    Starting,
    /// Nothing is there.
    Nothing,
    /// A pod that may be its own runs in this sandbox.
    Hidden(&'a str),
    /// The node does not tell of itself any more.
    Silent,
    /// It never did.
    NeverReported,
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native(None) => f.write_str("runs natively"),
            Self::Native(Some(Version::Tag(tag))) => {
                write!(f, "runs natively, certified as tag {tag}")
            }
            Self::Native(Some(Version::Digest(digest))) => {
                write!(f, "runs natively, certified as {digest}")
            }
            Self::NoneCertified(arch) => write!(f, "no version is certified for {arch}"),
            Self::NotCertified(image, arch) => match tag(image) {
                Some(tag) => write!(f, "tag {tag} is not certified for {arch}"),
                None => write!(f, "its digest is not certified for {arch}"),
            },
            Self::NoImage => f.write_str(
                "runs outside of a container, or in one whose image is not known: so is its version",
            ),
            Self::Emulated(arch, emulator, processes) => {
                write!(f, "{} program under {emulator}", word(*arch))?;
                match processes {
                    0 => f.write_str(", a moment ago"),
                    1 => f.write_str(", 1 process"),
                    many => write!(f, ", {many} processes"),
                }
            }
            Self::Refused(arch, cause) => {
                let cause = cause.map_or("unknown", Cause::as_str);
                write!(f, "exec format error: {cause}, {} file", word(*arch))
            }
            Self::IllegalInstruction(instruction, mode) => {
                let sentence = instruction.sentence(mode.unwrap_or(Mode::Native));
                write!(f, "died of SIGILL: {sentence}")
            }
            Self::Restarts(attempt, exit) => {
                write!(f, "crash loop: started again {attempt} times")?;
                match exit {
                    Some(LastExit { code, reason }) if reason.is_empty() => {
                        write!(f, ", last exit code {code}")
                    }
                    Some(LastExit { code, reason }) => {
                        write!(f, ", last exit code {code} ({reason})")
                    }
                    None => Ok(()),
                }
            }
            Self::NothingRuns => {
                f.write_str("its pod is there, and no container of it runs: it cannot start, or crashes")
            }
            Self::Starting => f.write_str("its pod came just now, and no container of it runs yet"),
            Self::Nothing => f.write_str("nothing on the node matches"),
            Self::Hidden(sandbox) => write!(
                f,
                "nothing on the node matches, and of a pod that may be it nothing is seen: it runs in {sandbox}"
            ),
            Self::Silent => f.write_str("the node does not report any more"),
            Self::NeverReported => f.write_str("the node should report and never did"),
        }
    }
}

fn word(arch: Option<Arch>) -> Arch {
    arch.unwrap_or(Arch::Unknown)
}
