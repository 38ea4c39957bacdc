//! Whether pods run natively.

use std::time::Duration;

use archtrace_facts::fleet::NodeFact;
use archtrace_facts::gate::{Doubt, Question, Report, Verified, Wanted, Why};

use crate::convert::{
    ConvertError, at_most, each, from_duration, required, some_text, some_time, to_duration,
    to_text, to_texts, to_time, to_word,
};
use crate::v1;

impl From<&Question> for v1::VerifyPodsRequest {
    fn from(question: &Question) -> Self {
        let Question {
            wanted:
                Wanted {
                    arch,
                    cluster,
                    namespace,
                    pods,
                    workloads,
                    labels,
                    expected,
                },
            duration,
            since,
            unwatched,
        } = question;
        Self {
            namespace: namespace.clone(),
            pods: pods.clone(),
            workloads: workloads.clone(),
            selector: labels.to_string(),
            cluster: cluster.clone().unwrap_or_default(),
            arch: arch.to_string(),
            expected_pods: expected.unwrap_or_default(),
            duration: Some(from_duration(*duration)),
            since: since.map(Into::into),
            unwatched: unwatched.map(from_duration),
        }
    }
}

impl TryFrom<v1::VerifyPodsRequest> for Question {
    type Error = ConvertError;

    fn try_from(request: v1::VerifyPodsRequest) -> Result<Self, ConvertError> {
        let v1::VerifyPodsRequest {
            namespace,
            pods,
            workloads,
            selector,
            cluster,
            arch,
            expected_pods,
            duration,
            since,
            unwatched,
        } = request;
        if namespace.is_empty() {
            return Err(ConvertError::missing("namespace"));
        }
        let duration = match duration {
            None => Duration::ZERO,
            some => to_duration("duration", some)?,
        };
        if duration > Self::LONGEST {
            return Err(ConvertError::new("duration", "is longer than a day"));
        }
        let wanted = Wanted {
            arch: to_word("arch", &arch)?,
            cluster: some_text("cluster", cluster)?,
            namespace: to_text("namespace", namespace)?,
            pods: to_texts("pods", pods)?,
            workloads: to_texts("workloads", workloads)?,
            labels: to_word("selector", &selector)?,
            expected: (expected_pods > 0).then_some(expected_pods),
        };
        Ok(Self {
            wanted,
            duration,
            since: some_time("since", since)?,
            unwatched: unwatched
                .map(|unwatched| to_duration("unwatched", Some(unwatched)))
                .transpose()?,
        })
    }
}

impl From<&Verified> for v1::VerifyPodsResponse {
    fn from(verified: &Verified) -> Self {
        let Verified {
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
            ended,
        } = verified;
        let not_native = not_native.iter().map(|(why, fact)| v1::NotNative {
            why: why.to_string(),
            fact: Some(fact.into()),
        });
        let doubts = doubts.iter().map(|Doubt { kind, what }| v1::Doubt {
            kind: kind.to_string(),
            what: what.clone(),
        });
        Self {
            verdict: verdict.to_string(),
            pods: *pods,
            native_pods: *native_pods,
            not_native: not_native.collect(),
            more_not_native: *more_not_native,
            died: died.iter().map(Into::into).collect(),
            more_died: *more_died,
            doubts: doubts.collect(),
            more_doubts: *more_doubts,
            coverage: Some(coverage.into()),
            since: Some((*since).into()),
            watched: Some(from_duration(*watched)),
            ended: *ended,
        }
    }
}

impl TryFrom<v1::VerifyPodsResponse> for Verified {
    type Error = ConvertError;

    fn try_from(response: v1::VerifyPodsResponse) -> Result<Self, ConvertError> {
        let v1::VerifyPodsResponse {
            verdict,
            pods,
            native_pods,
            not_native,
            more_not_native,
            died,
            more_died,
            doubts,
            more_doubts,
            coverage,
            since,
            watched,
            ended,
        } = response;
        for (field, count) in [
            ("not_native", not_native.len()),
            ("died", died.len()),
            ("doubts", doubts.len()),
        ] {
            at_most(field, count, Report::LISTED)?;
        }
        let fact = |v1::NotNative { why, fact }| -> Result<(Why, NodeFact), ConvertError> {
            Ok((to_word("why", &why)?, required("fact", fact)?))
        };
        let doubt = |v1::Doubt { kind, what }| {
            Ok(Doubt {
                kind: to_word("kind", &kind)?,
                what: to_text("what", what)?,
            })
        };
        Ok(Self {
            report: Report {
                verdict: to_word("verdict", &verdict)?,
                pods,
                native_pods,
                not_native: each("not_native", not_native, fact)?,
                more_not_native,
                died: each("died", died, TryInto::try_into)?,
                more_died,
                doubts: each("doubts", doubts, doubt)?,
                more_doubts,
            },
            coverage: required("coverage", Some(coverage.unwrap_or_default()))?,
            since: to_time("since", since)?,
            watched: to_duration("watched", watched)?,
            ended,
        })
    }
}
