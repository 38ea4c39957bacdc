use proptest::prelude::*;

use super::*;

fn uid(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// An object, and what controls it: `kind/name/number`.
fn put(known: &mut Controllers, kind: Kind, number: u32, by: &str) -> Result<bool, Skipped> {
    let parts: Vec<_> = by.split('/').collect();
    let by_uid = parts.get(2).and_then(|number| number.parse().ok()).map(uid);
    let by_uid = by_uid.unwrap_or_default();
    let controller = (!by.is_empty()).then(|| Reference {
        kind: parts[0],
        name: parts[1],
        uid: &by_uid,
    });
    let object = Object {
        uid: &uid(number),
        name: "it",
        controller,
        is_mirror: false,
    };
    known.put(kind, &object)
}

fn workload(known: &Controllers, number: u32) -> Option<String> {
    known.workload(&uid(number), "a-pod")
}

#[test]
fn a_pod_belongs_to_what_people_know() {
    let mut known = Controllers::default();
    for (kind, number, by) in [
        (Kind::ReplicaSet, 100, "Deployment/api/900"),
        (Kind::ReplicaSet, 101, ""),
        (Kind::ReplicaSet, 102, "Rollout/shop/901"),
        (Kind::Job, 103, "CronJob/nightly/902"),
        (Kind::Job, 104, ""),
        (Kind::Pod, 0, "ReplicaSet/api-7c9/100"),
        (Kind::Pod, 1, "ReplicaSet/alone/101"),
        (Kind::Pod, 2, "ReplicaSet/shop-7c9/102"),
        (Kind::Pod, 3, "Job/nightly-28/103"),
        (Kind::Pod, 4, "Job/once/104"),
        (Kind::Pod, 5, "StatefulSet/db/105"),
        (Kind::Pod, 6, "DaemonSet/falcon/106"),
        (Kind::Pod, 7, ""),
        (Kind::Pod, 8, "ReplicaSet/unknown/107"),
    ] {
        assert_eq!(put(&mut known, kind, number, by), Ok(true), "{number}");
        assert_eq!(put(&mut known, kind, number, by), Ok(false), "{number}");
    }
    let expected = [
        Some("Deployment/api"),
        Some("ReplicaSet/it"),
        Some("Rollout/shop"),
        Some("CronJob/nightly"),
        Some("Job/it"),
        Some("StatefulSet/db"),
        Some("DaemonSet/falcon"),
        Some("Pod/a-pod"),
        None,
        None,
    ];
    for (number, expected) in (0..).zip(expected) {
        assert_eq!(workload(&known, number).as_deref(), expected, "{number}");
        assert_eq!(known.knows(&uid(number)), number < 9);
    }
    // A name is asked for by whoever has one.
    assert_eq!(known.workload(&uid(7), ""), None);
    // It was adopted.
    assert_eq!(
        put(&mut known, Kind::ReplicaSet, 101, "Deployment/new/903"),
        Ok(true)
    );
    assert_eq!(workload(&known, 1).as_deref(), Some("Deployment/new"));
    assert_eq!(
        put(&mut known, Kind::Pod, 5, "DaemonSet/falcon/106"),
        Ok(true)
    );
    assert_eq!(workload(&known, 5).as_deref(), Some("DaemonSet/falcon"));
}

#[test]
fn what_is_gone_is_remembered_for_a_while_and_then_leaves_nothing() {
    let mut known = Controllers::default();
    let fill = |known: &mut Controllers| {
        put(known, Kind::ReplicaSet, 100, "Deployment/api/900").expect("room");
        put(known, Kind::Pod, 0, "ReplicaSet/api-7c9/100").expect("room");
        put(known, Kind::Pod, 1, "StatefulSet/db/101").expect("room");
    };
    fill(&mut known);
    known.remove(Kind::ReplicaSet, &uid(100), false);
    known.remove(Kind::Pod, &uid(0), false);
    known.remove(Kind::Pod, &uid(0), false);
    known.remove(Kind::Pod, "no uid", false);
    known.forget();
    assert_eq!(workload(&known, 0).as_deref(), Some("Deployment/api"));
    // One that is told again is there again.
    put(&mut known, Kind::Pod, 0, "ReplicaSet/api-7c9/100").expect("room");
    known.forget();
    assert_eq!(workload(&known, 0).as_deref(), Some("Deployment/api"));
    // A list that names neither.
    for kind in [Kind::Pod, Kind::ReplicaSet, Kind::Job] {
        known.begin(kind);
        known.end(kind);
    }
    assert_eq!(workload(&known, 0).as_deref(), Some("Deployment/api"));
    known.forget();
    known.forget();
    assert_eq!((known.pods(), workload(&known, 0)), (0, None));
    assert!(
        known.controllers.is_empty() && known.texts.is_empty(),
        "{known:?}"
    );
}

#[test]
fn a_list_takes_away_what_it_does_not_name_of_its_own_kind() {
    let mut known = Controllers::default();
    for (kind, number) in [
        (Kind::ReplicaSet, 100),
        (Kind::Job, 101),
        (Kind::ReplicaSet, 102),
    ] {
        put(&mut known, kind, number, "").expect("room");
    }
    // One that was broken off says nothing.
    known.begin(Kind::ReplicaSet);
    known.begin(Kind::ReplicaSet);
    put(&mut known, Kind::ReplicaSet, 102, "").expect("room");
    known.end(Kind::ReplicaSet);
    let there = |known: &Controllers, number| {
        known
            .controllers
            .contains_key(&uid(number).parse().expect("one"))
    };
    assert_eq!(
        [100, 101, 102].map(|number| there(&known, number)),
        [false, true, true]
    );
    known.begin(Kind::Job);
    known.end(Kind::Job);
    assert_eq!(
        [100, 101, 102].map(|number| there(&known, number)),
        [false, false, true]
    );
}

/// Whoever may create a pod may write another pod's UID into its annotation.
#[test]
fn a_mirror_pod_takes_nothing_from_a_pod_that_is_one() {
    let mut known = Controllers::default();
    let mirror = |known: &mut Controllers, number| {
        let object = Object {
            uid: &uid(number),
            name: "evil",
            controller: None,
            is_mirror: true,
        };
        known.put(Kind::Pod, &object)
    };
    assert_eq!(
        put(&mut known, Kind::Pod, 0, "StatefulSet/db/100"),
        Ok(true)
    );
    assert_eq!(mirror(&mut known, 0), Err(Skipped::Invalid));
    known.remove(Kind::Pod, &uid(0), true);
    known.forget();
    known.forget();
    assert_eq!(workload(&known, 0).as_deref(), Some("StatefulSet/db"));
    // It may be there first.
    assert_eq!(mirror(&mut known, 1), Ok(true));
    assert_eq!(mirror(&mut known, 1), Ok(false));
    assert_eq!(
        put(&mut known, Kind::Pod, 1, "StatefulSet/db/100"),
        Ok(true)
    );
    known.remove(Kind::Pod, &uid(1), true);
    assert_eq!(mirror(&mut known, 1), Err(Skipped::Invalid));
    assert_eq!(workload(&known, 1).as_deref(), Some("StatefulSet/db"));
    // A static pod comes and goes.
    assert_eq!(mirror(&mut known, 2), Ok(true));
    known.remove(Kind::Pod, &uid(2), true);
    known.forget();
    known.forget();
    assert!(!known.knows(&uid(2)) && known.knows(&uid(1)));
}

/// What was waited for is told apart from what comes before its pods.
#[test]
fn a_controller_is_awaited_from_its_first_pod_until_it_is_told() {
    let mut known = Controllers::default();
    let check = |known: &Controllers, expected: bool, when: &str| {
        assert_eq!(known.awaits(&uid(100)), expected, "{when}");
    };
    check(&known, false, "nobody names it");
    put(&mut known, Kind::Pod, 0, "ReplicaSet/api-7c9/100").expect("room");
    check(&known, true, "a pod does");
    put(&mut known, Kind::ReplicaSet, 100, "Deployment/api/900").expect("room");
    check(&known, false, "it was told");
    put(&mut known, Kind::Pod, 1, "StatefulSet/db/101").expect("room");
    assert!(!known.awaits(&uid(101)), "its pods say what it is");
    assert!(!known.awaits("no uid"));
}

#[test]
fn bounds_are_told_and_hold() {
    let mut known = Controllers::with_limits(2, 2);
    assert_eq!(put(&mut known, Kind::Pod, 0, "StatefulSet/a/100"), Ok(true));
    assert_eq!(put(&mut known, Kind::Job, 101, ""), Ok(true));
    assert_eq!(put(&mut known, Kind::Job, 102, ""), Err(Skipped::Full));
    assert_eq!(
        put(&mut known, Kind::Pod, 1, "StatefulSet/b/103"),
        Err(Skipped::Full)
    );
    assert_eq!(put(&mut known, Kind::Pod, 1, "StatefulSet/a/100"), Ok(true));
    assert_eq!(put(&mut known, Kind::Pod, 2, ""), Err(Skipped::Full));
    // What is known may change.
    assert_eq!(put(&mut known, Kind::Pod, 1, ""), Ok(true));
    assert_eq!((known.pods(), known.controllers.len()), (2, 2));
    let (long, nine) = ("a".repeat(254), uid(9));
    let cases: [(&str, &str); 4] = [("x", "a"), ("", "a"), (&nine, ""), (&nine, &long)];
    for (uid, name) in cases {
        let object = Object {
            uid,
            name,
            controller: None,
            is_mirror: false,
        };
        assert_eq!(
            known.put(Kind::Pod, &object),
            Err(Skipped::Invalid),
            "{object:?}"
        );
    }
}

/// docs/collector.md tells these numbers.
#[test]
fn a_fleet_of_ten_thousand_nodes_fits() {
    let mut known = Controllers::default();
    for set in 0..300_000_u32 {
        let by = format!("Deployment/deployment-{}/900", set / 10);
        put(&mut known, Kind::ReplicaSet, 1_000_000 + set, &by).expect("room");
    }
    for pod in 0..300_000_u32 {
        let by = format!("ReplicaSet/set-{0}/{0}", 1_000_000 + pod / 10 * 10);
        put(&mut known, Kind::Pod, pod, &by).expect("room");
    }
    let bytes = known.bytes();
    assert!((20 << 20..64 << 20).contains(&bytes), "{bytes}");
    let of_pods = known.pods.capacity() / 7 * 8 * (size_of::<(Uid, Pod)>() + 1);
    assert!(of_pods / 300_000 < 80, "{of_pods}");
}

proptest! {
    /// Whatever happens, every controller is held by as many pods as name it, and nothing is left behind.
    #[test]
    fn nothing_leaks(steps in prop::collection::vec((0..7_u8, 0..6_u32, 0..4_u32), 0..80)) {
        let mut known = Controllers::with_limits(5, 5);
        for (step, number, by) in steps {
            let kind = if by % 2 == 0 { Kind::ReplicaSet } else { Kind::Job };
            match step {
                0 => { let _ = put(&mut known, Kind::Pod, number, &format!("{}/x/{}", kind.as_str(), 100 + by)); }
                1 => { let _ = put(&mut known, Kind::Pod, number, &format!("StatefulSet/x/{}", 110 + by)); }
                2 => { let _ = put(&mut known, kind, 100 + by, &format!("Deployment/{number}/200")); }
                3 => known.remove(Kind::Pod, &uid(number), false),
                4 => known.remove(kind, &uid(100 + by), false),
                5 => known.forget(),
                _ => { known.begin(kind); known.end(kind); }
            }
            let mut held: HashMap<Uid, u32> = HashMap::new();
            for pod in known.pods.values() {
                if let Some(controller) = pod.controller {
                    *held.entry(controller).or_default() += 1;
                }
            }
            prop_assert!(known.pods.len() <= 5 && known.controllers.len() <= 5);
            for (uid, controller) in &known.controllers {
                prop_assert_eq!(controller.pods, held.remove(uid).unwrap_or(0));
                prop_assert!(controller.pods > 0 || controller.is_told);
            }
            prop_assert!(held.is_empty());
            let texts = known.controllers.values().filter_map(|known| known.workload.clone());
            prop_assert_eq!(texts.collect::<HashSet<_>>(), known.texts.clone());
        }
    }

    #[test]
    fn any_text_is_a_uid_or_is_not(text in "\\PC*", hex in "[0-9a-fA-F-]{30,40}") {
        let _ = text.parse::<Uid>();
        let digits = hex.bytes().filter(|byte| *byte != b'-').count();
        prop_assert_eq!(hex.parse::<Uid>().is_ok(), digits == 32);
    }
}
