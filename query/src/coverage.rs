//! How it is with mandated agents: from what agents keep now, and what happened of late.
//!
//! | module | what |
//! |---|---|
//! | [`ledger`] | what the live view does not keep and a policy asks for: labels, restarts, deaths |
//! | [`digests`] | what else images go by, as of some seconds ago |
//! | [`look`] | a look at all nodes |
//! | [`standing`] | what changed since the last look, for whoever notes it |

pub(crate) mod digests;
pub(crate) mod ledger;
pub(crate) mod look;
pub(crate) mod standing;
