//! Which pods are meant.

use super::*;
use crate::identity::LabelSelector;

#[test]
fn pods_are_meant_by_what_is_known_of_them() {
    let identity = native("api-1").identity;
    let bare = Identity {
        workload: String::new(),
        labels: [].into(),
        ..identity.clone()
    };
    let unit = Identity {
        unit: "cron.service".to_owned(),
        ..Identity::default()
    };
    let unnamed = Identity {
        pod_uid: UID.to_owned(),
        ..Identity::default()
    };
    let all = wanted("", None);
    let pod = |pattern: &str| Wanted {
        pods: vec![pattern.to_owned()],
        ..all.clone()
    };
    let workload = |pattern: &str| Wanted {
        workloads: vec![pattern.to_owned()],
        ..all.clone()
    };
    let cluster = |pattern: &str| Wanted {
        cluster: Some(pattern.to_owned()),
        ..all.clone()
    };
    let other = Wanted {
        namespace: "web".to_owned(),
        ..all.clone()
    };
    for (wanted, identity, member) in [
        (&all, &identity, Member::Yes),
        (&all, &bare, Member::Yes),
        (&all, &unit, Member::No),
        (&all, &unnamed, Member::Unknown),
        (&other, &identity, Member::No),
        (&other, &unnamed, Member::Unknown),
        (&pod("api-*"), &identity, Member::Yes),
        (&pod("web-*"), &identity, Member::No),
        (&workload("*/api"), &identity, Member::Yes),
        (&workload("*/web"), &identity, Member::No),
        (&workload("*/api"), &bare, Member::Unknown),
        (&cluster("c*"), &identity, Member::Yes),
        (&cluster("d"), &unnamed, Member::No),
    ] {
        assert_eq!(
            wanted.member("c", identity),
            member,
            "{wanted:?} {identity:?}"
        );
        // What is asked for has all that may be meant.
        let fact = NodeFact {
            identity: identity.clone(),
            ..native("x")
        };
        let is_asked = wanted.selection().matches_fact(&fact);
        assert!(is_asked || member == Member::No, "{wanted:?} {identity:?}");
    }
    assert!(LabelSelector::default().is_everything());
}
