//! Why there is no answer.

use std::time::Duration;

use archtrace_facts::registry::{Problem, Trouble};

/// Why a registry told nothing of a reference. Texts are printable, and hold neither a secret nor more of
/// a URL than its host: queries of redirects are as good as passwords.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It does not have it.
    #[error("{host} has no {what} (any more): new nodes cannot pull it")]
    Gone {
        /// The registry.
        host: String,
        /// Of what.
        what: String,
    },
    /// It does not let us ask.
    #[error("{host} answered {status}; {hint}")]
    Denied {
        /// The registry.
        host: String,
        /// What it answered.
        status: u16,
        /// What to do about it.
        hint: String,
    },
    /// It wants to be asked later.
    #[error(
        "{host} is asked too often (429); fewer replicas with --registry-check, or credentials, raise the limit"
    )]
    Busy {
        /// The registry.
        host: String,
        /// After what time, if it said so.
        retry_after: Option<Duration>,
    },
    /// It failed.
    #[error("{host} answered {status}")]
    Unavailable {
        /// Who.
        host: String,
        /// What it answered.
        status: u16,
        /// After what time to ask again, if it said so.
        retry_after: Option<Duration>,
    },
    /// There was no connection, or no answer in time.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// Who.
        host: String,
        /// Why.
        reason: String,
    },
    /// It is on this machine or its link, and nobody said that it may be asked.
    #[error(
        "{host} was not asked: it is on the collector's own machine or network link, where a cloud's metadata are; \
         --registry-only names what is asked all the same"
    )]
    Local {
        /// Who.
        host: String,
    },
    /// What it answered is of no use.
    #[error("{host} answered what is of no use: {what}")]
    Invalid {
        /// Who.
        host: String,
        /// What is wrong with it.
        what: String,
    },
    /// It has something else under this name.
    #[error("{host} has no image there, but {what}")]
    NoImage {
        /// The registry.
        host: String,
        /// What there is.
        what: String,
    },
}

impl RegistryError {
    /// In a word.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Gone { .. } => Trouble::Gone,
            Self::Denied { .. } => Trouble::Denied,
            Self::Busy { .. } => Trouble::Busy,
            Self::Unavailable { .. } => Trouble::Unavailable,
            Self::Unreachable { .. } => Trouble::Unreachable,
            Self::Local { .. } => Trouble::NotAsked,
            Self::Invalid { .. } => Trouble::Invalid,
            Self::NoImage { .. } => Trouble::NoImage,
        }
    }

    /// Whether the same may work a moment later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. } | Self::Unavailable { .. } | Self::Unreachable { .. }
        )
    }

    /// After what time it wants to be asked again, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn invalid(host: &str, what: impl Into<String>) -> Self {
        Self::Invalid {
            host: host.to_owned(),
            what: what.into(),
        }
    }
}

/// Letters of what is kept for people of each tag: hosts of redirects may have 64 kB.
const MAX_MESSAGE: usize = 300;

impl From<&RegistryError> for Problem {
    fn from(error: &RegistryError) -> Self {
        Self {
            trouble: error.trouble(),
            message: error.to_string().chars().take(MAX_MESSAGE).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let error = RegistryError::invalid(&"ж".repeat(64 << 10), "x");
        let Problem { trouble, message } = (&error).into();
        assert_eq!(trouble, Trouble::Invalid);
        assert_eq!(message, "ж".repeat(MAX_MESSAGE));
    }
}
