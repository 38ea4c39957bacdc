//! What registries have.

use archtrace_facts::platform::Platform;
use archtrace_facts::registry::{Check, DeployedTag, Listing, Problem, User};

use crate::convert::image::{from_count, to_count};
use crate::convert::{
    ConvertError, at_most, each, required, some_time, to_text, to_texts, to_word,
};
use crate::v1;
use crate::v1::tag_check::Told;

impl From<&Check> for v1::TagCheck {
    fn from(check: &Check) -> Self {
        let Check {
            reference,
            checked_at,
            told,
        } = check;
        Self {
            reference: reference.clone(),
            checked_at: checked_at.map(Into::into),
            told: Some(match told {
                Ok(listing) => Told::Listing(listing.into()),
                Err(Problem { trouble, message }) => Told::Problem(v1::TagProblem {
                    trouble: trouble.to_string(),
                    message: message.clone(),
                }),
            }),
        }
    }
}

impl TryFrom<v1::TagCheck> for Check {
    type Error = ConvertError;

    fn try_from(check: v1::TagCheck) -> Result<Self, ConvertError> {
        let told = check.told.ok_or_else(|| ConvertError::missing("told"))?;
        Ok(Self {
            reference: to_text("reference", check.reference)?,
            checked_at: some_time("checked_at", check.checked_at)?,
            told: match told {
                Told::Listing(listing) => Ok(required("listing", Some(listing))?),
                Told::Problem(v1::TagProblem { trouble, message }) => Err(Problem {
                    trouble: to_word("problem.trouble", &trouble)?,
                    message: to_text("problem.message", message)?,
                }),
            },
        })
    }
}

impl From<&Listing> for v1::TagListing {
    fn from(listing: &Listing) -> Self {
        let Listing {
            is_index,
            digest,
            platforms,
        } = listing;
        Self {
            is_index: *is_index,
            digest: digest.clone(),
            platforms: platforms.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<v1::TagListing> for Listing {
    type Error = ConvertError;

    fn try_from(listing: v1::TagListing) -> Result<Self, ConvertError> {
        let v1::TagListing {
            is_index,
            digest,
            platforms,
        } = listing;
        at_most("platforms", platforms.len(), Self::MAX_PLATFORMS)?;
        Ok(Self {
            is_index,
            digest: to_text("digest", digest)?,
            platforms: each("platforms", platforms, |text| to_platform(&text))?,
        })
    }
}

/// Registries have words of which none of ours is known: an architecture that Go has and we have not.
fn to_platform(text: &str) -> Result<Platform, ConvertError> {
    let text = to_text("platform", text.to_owned())?;
    let mut parts = text.splitn(3, '/').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    Ok(Platform {
        os: next(),
        arch: next(),
        variant: next(),
    })
}

impl From<&DeployedTag> for v1::DeployedTag {
    fn from(tag: &DeployedTag) -> Self {
        let DeployedTag {
            reference,
            verdict,
            why,
            check,
            users,
            more_users,
            nodes,
            node_names,
        } = tag;
        Self {
            reference: reference.clone(),
            verdict: verdict.to_string(),
            why: why.clone(),
            check: Some(check.into()),
            users: users.iter().map(Into::into).collect(),
            more_users: *more_users,
            nodes: nodes.iter().map(from_count).collect(),
            node_names: node_names.clone(),
        }
    }
}

impl TryFrom<v1::DeployedTag> for DeployedTag {
    type Error = ConvertError;

    fn try_from(tag: v1::DeployedTag) -> Result<Self, ConvertError> {
        let v1::DeployedTag {
            reference,
            verdict,
            why,
            check,
            users,
            more_users,
            nodes,
            node_names,
        } = tag;
        at_most("users", users.len(), Self::USERS)?;
        at_most("node_names", node_names.len(), Self::NAMES)?;
        Ok(Self {
            reference: to_text("reference", reference)?,
            verdict: to_word("verdict", &verdict)?,
            why: to_text("why", why)?,
            check: required("check", check)?,
            users: each("users", users, TryInto::try_into)?,
            more_users,
            nodes: each("nodes", nodes, to_count)?,
            node_names: to_texts("node_names", node_names)?,
        })
    }
}

impl From<&User> for v1::TagUser {
    fn from(user: &User) -> Self {
        let User {
            cluster,
            namespace,
            workload,
        } = user.clone();
        Self {
            cluster,
            namespace,
            workload,
        }
    }
}

impl TryFrom<v1::TagUser> for User {
    type Error = ConvertError;

    fn try_from(user: v1::TagUser) -> Result<Self, ConvertError> {
        let v1::TagUser {
            cluster,
            namespace,
            workload,
        } = user;
        Ok(Self {
            cluster: to_text("cluster", cluster)?,
            namespace: to_text("namespace", namespace)?,
            workload: to_text("workload", workload)?,
        })
    }
}
