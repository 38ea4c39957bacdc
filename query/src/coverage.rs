//! How it is with mandated agents: from what agents keep now, and what happened of late.
//!
//! | module | what |
//! |---|---|
//! | [`ledger`] | what the live view does not keep and a policy asks for: labels, restarts, deaths |
//! | [`digests`] | what else images go by, as of some seconds ago |
//! | [`look`] | a look at all nodes |
//! | [`judged`] | what such a look came to, so that the next one looks at what changed |
//! | [`standing`] | what changed since the last look, for whoever notes it |

pub(crate) mod digests;
pub(crate) mod judged;
pub(crate) mod ledger;
pub(crate) mod look;
pub(crate) mod standing;
