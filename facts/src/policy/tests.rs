use std::time::Duration;

use super::rules::{At, Part, problem};
use super::*;

fn agent(name: &str, matches: Match) -> Agent {
    Agent {
        name: name.to_owned(),
        matches,
        nodes: Nodes::default(),
        certified: None,
        waivers: Vec::new(),
    }
}

fn namespace(pattern: &str) -> Match {
    Match {
        namespace: Some(pattern.to_owned()),
        ..Match::default()
    }
}

fn workload(pattern: &str) -> Match {
    Match {
        workload: Some(pattern.to_owned()),
        ..Match::default()
    }
}

fn unit(pattern: &str) -> Match {
    Match {
        unit: Some(pattern.to_owned()),
        ..Match::default()
    }
}

fn label(key: &str, pattern: &str) -> Match {
    Match {
        labels: [(key.to_owned(), pattern.to_owned())].into(),
        ..Match::default()
    }
}

fn on(archs: &[Arch]) -> Nodes {
    Nodes {
        archs: archs.to_vec(),
        ..Nodes::default()
    }
}

fn waiver(statuses: &[Status], nodes: Nodes) -> Waiver {
    Waiver {
        owner: "o".to_owned(),
        reason: "r".to_owned(),
        expires: SystemTime::UNIX_EPOCH,
        nodes,
        statuses: statuses.to_vec(),
    }
}

fn check(agents: Vec<Agent>, expected: Option<(At, &str)>) {
    let told = problem(&Policy { agents });
    let told = told.as_ref().map(|told| (told.at, told.what.as_str()));
    match (told, expected) {
        (None, None) => {}
        (Some((at, what)), Some((expected, part))) => {
            assert!(at == expected && what.contains(part), "{at:?}: {what}");
        }
        (told, expected) => panic!("{told:?}, not {expected:?}"),
    }
}

#[test]
fn what_no_policy_may_say() {
    use Part::{Certified, Match as Matches, Name, Waiver as Waivers};
    let one = |change: fn(&mut Agent)| {
        let mut one = agent("a", namespace("falcon"));
        change(&mut one);
        vec![one]
    };
    let refused = |part, what| Some((At::Agent(0, part), what));
    let none = || Version::Tag("1".to_owned());
    check(Vec::new(), Some((At::Policy, "names no agent")));
    check(one(|_| {}), None);
    check(
        one(|agent| agent.matches = Match::default()),
        refused(Matches, "has no condition"),
    );
    check(
        one(|agent| agent.matches = namespace("**")),
        refused(Matches, "match.namespace: * stands for everything"),
    );
    check(one(|agent| agent.matches = label("app", "*")), None);
    check(
        one(|agent| agent.matches.unit = Some("falcon.service".to_owned())),
        refused(Matches, "unit and namespace never hold together"),
    );
    let mut of_unit = agent("a", unit("falcon.service"));
    of_unit.certified = Some([(Arch::Arm64, vec![none()])].into());
    check(vec![of_unit], refused(Certified, "of systemd has none"));
    check(
        one(|agent| agent.certified = Some([(Arch::Arm64, Vec::new())].into())),
        refused(Certified, "certified.arm64: names no version"),
    );
    let mut elsewhere = agent("a", namespace("falcon"));
    elsewhere.nodes = on(&[Arch::Arm64]);
    elsewhere.certified = Some([(Arch::Amd64, vec![none()])].into());
    check(vec![elsewhere], refused(Certified, "does not have amd64"));
    for (status, why) in [
        (Status::Stale, "no state to get used to"),
        (Status::Native, "it needs no waiver"),
    ] {
        let mut waived = agent("a", namespace("falcon"));
        let fine = waiver(&[Status::Missing], Nodes::default());
        waived.waivers = vec![fine, waiver(&[status], Nodes::default())];
        check(vec![waived], refused(Waivers(1), why));
    }
    let mut nowhere = agent("a", namespace("falcon"));
    nowhere.nodes = on(&[Arch::Arm64]);
    nowhere.waivers = vec![waiver(&[], on(&[Arch::Amd64]))];
    check(vec![nowhere], refused(Waivers(0), "none of those on which"));
    let many = (0..101).map(|i| agent(&i.to_string(), namespace(&i.to_string())));
    check(many.collect(), Some((At::Agent(100, Name), "101 agents")));
}

#[test]
fn one_process_is_one_agent() {
    let overlaps = Some((At::Agent(1, Part::Match), "overlaps that of 'a'"));
    let both = |a, b| vec![agent("a", a), agent("b", b)];
    let narrower = Match {
        workload: Some("DaemonSet/x".to_owned()),
        ..namespace("kube-system")
    };
    check(
        vec![agent("a", namespace("x")), agent("a", namespace("y"))],
        Some((At::Agent(1, Part::Name), "'a' is there twice")),
    );
    check(both(namespace("x"), namespace("y")), None);
    check(both(namespace("kube-*"), namespace("*-system")), overlaps);
    check(both(namespace("kube-*"), narrower.clone()), overlaps);
    check(both(narrower, namespace("kube-*")), overlaps);
    check(both(label("app", "x"), label("app", "y")), None);
    check(both(label("app", "x"), label("team", "y")), None);
    check(both(label("app", "x*"), label("app", "*y")), overlaps);
    // Nobody can tell whether a pod of that workload is in that namespace.
    check(both(namespace("x"), workload("DaemonSet/y")), None);
    let mut apart = both(namespace("x"), namespace("x"));
    apart[0].nodes = on(&[Arch::Arm64]);
    apart[1].nodes = on(&[Arch::Amd64]);
    check(apart, None);
}

#[test]
fn dates_are_days_or_times() {
    let secs = |secs| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(secs));
    for (text, time) in [
        ("2027-03-31", secs(1_806_537_600)),
        ("2027-03-31T12:00:00Z", secs(1_806_494_400)),
        ("2027-03-31 12:00:00+02:00", secs(1_806_487_200)),
        ("1960-01-01", None),
        ("2027-02-30", None),
        ("soon", None),
        ("", None),
        ("9999-12-31", None),
    ] {
        let told = words::expiry(text);
        assert_eq!(told.as_ref().ok(), time.as_ref(), "{text}: {told:?}");
    }
}

#[test]
fn versions_are_tags_or_digests() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let is = |text: &str, expected: Option<Version>| {
        assert_eq!(words::version(text).ok(), expected, "{text}");
    };
    is("7.18.*", Some(Version::Tag("7.18.*".to_owned())));
    is(&digest, Some(Version::Digest(digest.clone())));
    is("sha256:12", None);
    is(&digest.to_uppercase(), None);
    is("registry/falcon:7.18", None);
    is("", None);
}

#[test]
fn what_is_not_known_of_a_node_leaves_it_in() {
    let nodes = Nodes {
        clusters: vec!["prod-*".to_owned()],
        names: vec!["ip-*".to_owned(), "edge".to_owned()],
        archs: vec![Arch::Arm64],
    };
    for (cluster, name, arch, expected) in [
        (Some("prod-1"), "ip-1", Some(Arch::Arm64), true),
        (Some("prod-1"), "edge", Some(Arch::Amd64), false),
        (Some("test"), "ip-1", Some(Arch::Arm64), false),
        (Some("prod-1"), "node", Some(Arch::Arm64), false),
        (Some("prod-1"), "ip-1", None, true),
        (None, "ip-1", None, true),
        (None, "node", None, false),
    ] {
        assert_eq!(nodes.has(cluster, name, arch), expected, "{name} {arch:?}");
    }
    assert!(Nodes::default().has(Some(""), "", Some(Arch::Unknown)));
}

#[test]
fn a_pod_whose_processes_nobody_sees_may_be_the_agents() {
    let labels = [("app".to_owned(), "falcon".to_owned())].into();
    let binary = |matches: Match| Match {
        executable: Some("/falcon".to_owned()),
        image: Some("r/falcon".to_owned()),
        ..matches
    };
    for (named, labelled, matches, may_be) in [
        (true, true, binary(namespace("falcon")), true),
        (true, true, namespace("other"), false),
        (true, true, workload("DaemonSet/falcon"), true),
        (true, true, workload("DaemonSet/other"), false),
        (true, true, label("app", "falc*"), true),
        (true, true, label("app", "other"), false),
        (true, true, unit("falcon.service"), false),
        // What is not known may be anything.
        (true, false, workload("DaemonSet/other"), true),
        (true, false, label("app", "other"), true),
        (true, false, namespace("other"), false),
        (false, false, namespace("other"), true),
        (false, false, unit("falcon.service"), false),
    ] {
        let text = |field| match field {
            TextField::Namespace if named => "falcon".into(),
            TextField::Workload if labelled => "DaemonSet/falcon".into(),
            // The sandbox itself.
            TextField::Binary => "/usr/bin/runsc".into(),
            _ => "".into(),
        };
        let words = Words::of(text, &labels);
        assert_eq!(
            matches.may_be_pod(&words),
            may_be,
            "{matches:?} {named} {labelled}"
        );
    }
}
