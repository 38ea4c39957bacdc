//! What `archtrace verify` found.

use archtrace_facts::gate::{Verified, Wanted};

use super::{json, lines, table};
use crate::args::Output;

pub(crate) fn verified(wanted: &Wanted, verified: &Verified, output: Output) -> String {
    match output {
        Output::Json => lines([json::verified(wanted, verified)].into_iter()),
        Output::Wide | Output::Table => table::verified(wanted, verified),
    }
}
