use super::*;
use archtrace_facts::arch::Arch;
use std::time::Duration;

fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
}

fn evidence(id: Id, subject: &str, node: &str, time: u64) -> Evidence {
    Evidence {
        id,
        cluster: "c".to_owned(),
        namespace: "shop".to_owned(),
        kind: SubjectKind::Workload,
        subject: subject.to_owned(),
        binary: "/app".to_owned(),
        arch: Some(Arch::Arm64),
        emulator: format!("/qemu-{node}"),
        node: Some(("c".to_owned(), node.to_owned())),
        more_nodes: 0,
        count: 1,
        processes: 2,
        first_seen: Some(at(time)),
        last_seen: Some(at(time)),
    }
}

fn found(wanted: Wanted) -> Findings {
    let mut findings = Findings::new(wanted);
    for (id, subject, node, time) in [
        (Id::EmulationAvailable, "n2", "n2", 1),
        (Id::EmulatedProcess, "b", "n1", 5),
        (Id::EmulatedProcess, "a", "n2", 7),
        (Id::EmulatedProcess, "a", "n1", 9),
        (Id::EmulatedProcess, "a", "n1", 3),
        (Id::ExecFormatError, "z", "n1", 4),
    ] {
        findings.add(evidence(id, subject, node, time));
    }
    findings
}

const ALL: Wanted = Wanted {
    ids: Vec::new(),
    least: Severity::Info,
};

#[test]
fn evidence_for_the_same_thing_is_one_finding() {
    let page = found(ALL).page(None, 10);
    let (_, of_a) = page
        .iter()
        .find(|(_, finding)| finding.subject == "a")
        .expect("found");
    assert_eq!(
        (
            of_a.nodes,
            of_a.evidence,
            of_a.processes,
            of_a.emulator.as_str()
        ),
        (2, 3, 6, "/qemu-n1")
    );
    assert_eq!(of_a.node_names, ["n1", "n2"]);
    assert_eq!(
        (of_a.first_seen, of_a.last_seen),
        (Some(at(3)), Some(at(9)))
    );
    let severities: Vec<_> = page.iter().map(|(_, finding)| finding.severity).collect();
    assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
}

#[test]
fn pages_continue_where_they_ended_whatever_came_meanwhile() {
    let all = found(ALL).page(None, 10);
    let mut keys = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let mut findings = found(ALL);
        // Behind and before the place.
        findings.add(evidence(
            Id::EmulatedProcess,
            &format!("a{}", keys.len()),
            "n9",
            1,
        ));
        let page = findings.page(after.as_ref(), 1);
        let Some((key, _)) = page.into_iter().next() else {
            break;
        };
        let numbers = key.to_numbers();
        assert_eq!(Key::from_numbers(&numbers).as_ref(), Some(&key));
        if !key.subject.starts_with("a") || key.subject == "a" {
            keys.push(key.clone());
        }
        after = Some(key);
    }
    assert_eq!(
        keys,
        all.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    );
}

#[test]
fn only_what_is_wanted() {
    let subjects = |ids: &[Id], least| {
        let wanted = Wanted {
            ids: ids.to_vec(),
            least,
        };
        let page = found(wanted).page(None, 10);
        let mut subjects: Vec<_> = page
            .into_iter()
            .map(|(_, finding)| finding.subject)
            .collect();
        subjects.sort();
        subjects
    };
    assert_eq!(subjects(&[Id::ExecFormatError], Severity::Info), ["z"]);
    assert_eq!(
        subjects(&[Id::EmulationAvailable], Severity::Critical),
        [""; 0]
    );
    assert_eq!(subjects(&[], Severity::Info).len(), 4);
}
