//! Whether pods run natively.

use archtrace_facts::fleet::NodeFact;
use archtrace_facts::gate::{Doubt, Why};
use serde::Serialize;

use super::coverage::Whole;
use super::facts::{Fact, fact};
use crate::show::human::seconds;
use crate::show::verify::Verified as Value;

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
    watched_seconds: f64,
    not_native: Vec<NotNative<'a>>,
    more_not_native: usize,
    doubts: Vec<Doubted<'a>>,
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

pub(crate) fn verified<'a>(value: &'a Value<'_>) -> Verified<'a> {
    let Value {
        wanted,
        report,
        coverage,
        watched,
    } = *value;
    let not_native = |(why, of): &'a (Why, NodeFact)| NotNative {
        why: why.as_str(),
        fact: fact(of),
    };
    let doubted = |Doubt { kind, what }: &'a Doubt| Doubted {
        doubt: kind.as_str(),
        message: what,
    };
    Verified {
        verdict: report.verdict.as_str(),
        arch: wanted.arch.to_string(),
        cluster: wanted.cluster.as_deref(),
        namespace: &wanted.namespace,
        selector: wanted.labels.to_string(),
        workloads: &wanted.workloads,
        pod_patterns: &wanted.pods,
        expect_pods: wanted.expected,
        pods: report.pods,
        native_pods: report.native_pods,
        watched_seconds: seconds(watched),
        not_native: value.listed().map(not_native).collect(),
        more_not_native: value.left_out(),
        doubts: report.doubts.iter().map(doubted).collect(),
        coverage: coverage.into(),
    }
}
