//! Whether pods run natively.

use archtrace_facts::fleet::NodeFact;
use archtrace_facts::gate::{self, Doubt, Report, Wanted, Why};
use serde::Serialize;

use super::coverage::Whole;
use super::events::{Event, event};
use super::facts::{Fact, fact};
use crate::show::human::{seconds, utc};

#[derive(Serialize)]
pub(crate) struct Verified<'a> {
    verdict: &'static str,
    arch: String,
    cluster: Option<&'a str>,
    namespace: &'a str,
    selector: String,
    workloads: &'a [String],
    pod_patterns: &'a [String],
    expect_pods: Option<u64>,
    pods: u64,
    native_pods: u64,
    since: String,
    watched_seconds: f64,
    not_native: Vec<NotNative<'a>>,
    more_not_native: u64,
    died: Vec<Event<'a>>,
    more_died: u64,
    doubts: Vec<Doubted<'a>>,
    more_doubts: u64,
    coverage: Whole<'a>,
}

#[derive(Serialize)]
struct NotNative<'a> {
    why: &'static str,
    #[serde(flatten)]
    fact: Fact<'a>,
}

#[derive(Serialize)]
struct Doubted<'a> {
    doubt: &'static str,
    message: &'a str,
}

pub(crate) fn verified<'a>(wanted: &'a Wanted, value: &'a gate::Verified) -> Verified<'a> {
    let gate::Verified {
        report:
            Report {
                verdict,
                pods,
                native_pods,
                not_native,
                more_not_native,
                died,
                more_died,
                doubts,
                more_doubts,
            },
        coverage,
        since,
        watched,
        ended: _,
    } = value;
    let refuted = |(why, of): &'a (Why, NodeFact)| NotNative {
        why: why.as_str(),
        fact: fact(of),
    };
    let doubted = |Doubt { kind, what }: &'a Doubt| Doubted {
        doubt: kind.as_str(),
        message: what,
    };
    Verified {
        verdict: verdict.as_str(),
        arch: wanted.arch.to_string(),
        cluster: wanted.cluster.as_deref(),
        namespace: &wanted.namespace,
        selector: wanted.labels.to_string(),
        workloads: &wanted.workloads,
        pod_patterns: &wanted.pods,
        expect_pods: wanted.expected,
        pods: *pods,
        native_pods: *native_pods,
        since: utc(*since),
        watched_seconds: seconds(*watched),
        not_native: not_native.iter().map(refuted).collect(),
        more_not_native: *more_not_native,
        died: died.iter().map(event).collect(),
        more_died: *more_died,
        doubts: doubts.iter().map(doubted).collect(),
        more_doubts: *more_doubts,
        coverage: coverage.into(),
    }
}
