use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::*;

const POD: &str = "00000000-0000-4000-8000-000000000001";
const SET: &str = "00000000-0000-4000-8000-000000000002";

fn known() -> Known {
    Known {
        names: Arc::default(),
        counts: Arc::default(),
        waiting: Waiting::default(),
        began_again: None,
        said: Vec::new(),
    }
}

fn source(kind: Kind) -> Source {
    Source {
        kind,
        events: futures_util::stream::pending().boxed(),
        is_read: true,
        was_told: false,
        all_is_news: false,
        trouble: None,
    }
}

fn object(name: &str, uid: &str, (kind, by): (&str, &str)) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        owner_references: Some(vec![OwnerReference {
            kind: kind.to_owned(),
            name: "its-owner".to_owned(),
            uid: by.to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        }]),
        ..ObjectMeta::default()
    }
}

/// A watch that was silent for long goes on without a list.
#[test]
fn a_controller_that_is_told_late_is_a_reason_to_begin_again() {
    let (mut known, mut pods, mut sets) = (known(), source(Kind::Pod), source(Kind::ReplicaSet));
    let of_set = ("ReplicaSet", SET);
    let of_deployment = ("Deployment", "00000000-0000-4000-8000-000000000003");
    let pod = object("api-7c9-x", POD, of_set);
    known.take(&mut pods, Some(Ok(Event::Apply(pod))));
    let set = || object("api-7c9", SET, of_deployment);
    known.take(&mut sets, Some(Ok(Event::Apply(set()))));
    assert!(sets.has_news() && !sets.has_news());
    // The same again, and one that no pod waits for, are none.
    known.take(&mut sets, Some(Ok(Event::Apply(set()))));
    let other = object(
        "web-1",
        "00000000-0000-4000-8000-000000000009",
        of_deployment,
    );
    known.take(&mut sets, Some(Ok(Event::Apply(other))));
    assert!(!sets.has_news());
}

#[test]
fn all_pods_are_read_again_once_a_minute_at_most() {
    let (mut known, now) = (known(), Instant::now());
    let at = |seconds| now + Duration::from_secs(seconds);
    for (seconds, gave_up, has_news, expected) in [
        (0, false, true, false),
        (1, true, false, false),
        (2, true, true, true),
        (3, true, true, false),
        (61, true, true, false),
        (62, true, true, true),
        (200, false, true, false),
    ] {
        known.waiting.gave_up = gave_up;
        let begins = known.begins_again(at(seconds), || has_news);
        assert_eq!(begins, expected, "{seconds}");
    }
    // What is told within the minute is asked for when that is over.
    known.waiting.gave_up = true;
    assert!(known.begins_again(at(300), || true));
    known.waiting.gave_up = true;
    known.begins_again(at(301), || panic!("it would be forgotten"));
}

/// The annotation of a mirror pod may name any UID.
#[test]
fn a_mirror_pod_is_not_stored_as_another_pod() {
    let (mut known, mut pods) = (known(), source(Kind::Pod));
    let real = || object("db-0", POD, ("StatefulSet", SET));
    known.take(&mut pods, Some(Ok(Event::Apply(real()))));
    let mirror = || ObjectMeta {
        annotations: Some(BTreeMap::from([(MIRROR.to_owned(), POD.to_owned())])),
        ..object(
            "evil",
            "00000000-0000-4000-8000-000000000007",
            ("Node", SET),
        )
    };
    known.waiting = Waiting::default();
    pods.all_is_news = true;
    known.take(&mut pods, Some(Ok(Event::Apply(mirror()))));
    assert!(known.waiting.is_empty(), "its name would be stored");
    known.take(&mut pods, Some(Ok(Event::Delete(mirror()))));
    (0..3).for_each(|_| known.names.write().forget());
    let workload = known.names.read().workload(POD, "db-0");
    assert_eq!(workload.as_deref(), Some("StatefulSet/its-owner"));
    known.take(&mut pods, Some(Ok(Event::Delete(real()))));
    (0..3).for_each(|_| known.names.write().forget());
    assert!(!known.names.read().knows(POD));
}
