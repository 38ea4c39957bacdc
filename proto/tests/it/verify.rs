//! Whether pods run natively.

use std::time::Duration;

use archtrace_facts::fleet::{NodeEvent, NodeFact};
use archtrace_facts::gate::{Doubt, DoubtKind, Question, Report, Verdict, Verified, Wanted, Why};
use archtrace_proto::v1;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::values::{arch, coverage, fact, identity, record, text, time};

prop_compose! {
    fn node_fact()(
        fact in fact(), words in vec(text(), 2), node_arch in arch(), identity in identity(), flags: [bool; 2],
    ) -> NodeFact {
        let [cluster, node] = std::array::from_fn(|i| words[i].clone());
        let [current, ended] = flags;
        NodeFact { cluster, node, node_arch, fact, identity, current, ended }
    }
}

prop_compose! {
    fn node_event()(
        record in record(), words in vec(text(), 2), node_arch in arch(), identity in identity(), numbers: [u64; 2],
    ) -> NodeEvent {
        let [cluster, node] = std::array::from_fn(|i| words[i].clone());
        let [stream_id, sequence] = numbers;
        NodeEvent { cluster, node, node_arch, stream_id, sequence, record, identity }
    }
}

prop_compose! {
    fn doubt()(kind in select(DoubtKind::ALL), what in text()) -> Doubt {
        Doubt { kind, what }
    }
}

prop_compose! {
    fn report()(
        verdict in select(Verdict::ALL),
        numbers: [u64; 5],
        not_native in vec((select(Why::ALL), node_fact()), 0..3),
        died in vec(node_event(), 0..3),
        doubts in vec(doubt(), 0..3),
    ) -> Report {
        let [pods, native_pods, more_not_native, more_died, more_doubts] = numbers;
        Report {
            verdict, pods, native_pods, not_native, more_not_native, died, more_died, doubts, more_doubts,
        }
    }
}

prop_compose! {
    fn question()(
        namespace in "[a-z]{1,9}",
        cluster in of("[a-z*]{1,9}"),
        arch in arch(),
        pods in vec(text(), 0..3),
        workloads in vec(text(), 0..3),
        labels in select(&["", "app=api", "tier in (web,batch),version!=v1,!legacy"][..]),
        expected in of(1_u64..),
        seconds in 0_u64..=86_400,
        since in of(time()),
        unwatched in of(0_u64..=86_400),
    ) -> Question {
        let labels = labels.parse().expect("a selector");
        let unwatched = unwatched.map(Duration::from_secs);
        let wanted = Wanted { arch, cluster, namespace, pods, workloads, labels, expected };
        Question { wanted, duration: Duration::from_secs(seconds), since, unwatched }
    }
}

proptest! {
    #[test]
    fn questions_come_back(question in question()) {
        prop_assert_eq!(Question::try_from(v1::VerifyPodsRequest::from(&question)), Ok(question));
    }

    #[test]
    fn answers_come_back(
        report in report(), coverage in coverage(), since in time(), millis: u32, ended: bool,
    ) {
        let watched = Duration::from_millis(millis.into());
        let verified = Verified { report, coverage, since, watched, ended };
        prop_assert_eq!(Verified::try_from(v1::VerifyPodsResponse::from(&verified)), Ok(verified));
    }
}

#[test]
fn what_is_no_question_is_refused_by_name() {
    let right = v1::VerifyPodsRequest {
        namespace: "pay".to_owned(),
        arch: "arm64".to_owned(),
        ..v1::VerifyPodsRequest::default()
    };
    assert!(Question::try_from(right.clone()).is_ok());
    let duration = |seconds| prost_types::Duration { seconds, nanos: 0 };
    let changed = |change: fn(&mut v1::VerifyPodsRequest)| {
        let mut request = right.clone();
        change(&mut request);
        request
    };
    for (request, field) in [
        (
            changed(|request| request.namespace.clear()),
            "namespace: is missing",
        ),
        (
            changed(|request| request.arch = "x86_64".to_owned()),
            "arch: ",
        ),
        (
            changed(|request| request.selector = "a is b".to_owned()),
            "selector: ",
        ),
        (
            v1::VerifyPodsRequest {
                duration: Some(duration(86_401)),
                ..right.clone()
            },
            "duration: is longer than a day",
        ),
        (
            v1::VerifyPodsRequest {
                duration: Some(duration(-1)),
                ..right.clone()
            },
            "duration: ",
        ),
    ] {
        let error = Question::try_from(request).expect_err(field).to_string();
        assert!(error.starts_with(field), "{error}");
    }
}
