//! What is around a workload's own images: sidecars, agents, and bounds.

use super::*;

#[test]
fn other_containers_are_sidecars() {
    let emulated = ran(Arm64, Amd64, Mode::Emulated, Some(Id::EmulatedProcess));
    let bad = |name: &str| container(name, &[emulated]);
    let good = |name: &str| container(name, &[native(Arm64)]);
    let sidecars = |workload_name: &str, containers: Vec<Container>| {
        let seen = Seen {
            workload: workload_name.to_owned(),
            ..workload(containers)
        };
        let matrix = decide(&seen, &images(&[image(Arm64)]), None, Arm64);
        let rows = matrix
            .rows
            .into_iter()
            .filter(|row| row.layer == Layer::Sidecars);
        rows.map(|row| (row.component, row.status.as_str()))
            .collect::<Vec<_>>()
    };
    let row = |name: &str, status| (name.to_owned(), status);
    for (name, containers, expected) in [
        ("Deployment/api", vec![good("api")], vec![row("", "PASS")]),
        (
            "Deployment/api",
            vec![good("api"), bad("helper"), good("x")],
            vec![row("helper", "FIX"), row("x", "PASS")],
        ),
        (
            "Deployment/web",
            vec![good("api"), bad("istio-proxy")],
            vec![row("istio-proxy", "FIX")],
        ),
        // Nobody knows which is which: both are the workload's own.
        (
            "Deployment/web",
            vec![good("api"), good("helper")],
            vec![row("", "PASS")],
        ),
        ("Deployment/web", vec![good("envoy")], vec![row("", "PASS")]),
        // The sandbox belongs to the node, unless it is the trouble.
        (
            "Deployment/api",
            vec![good("api"), good("pause")],
            vec![row("", "PASS")],
        ),
        (
            "Deployment/api",
            vec![good("api"), bad("pause")],
            vec![row("pause", "FIX")],
        ),
    ] {
        assert_eq!(
            sidecars(name, containers.clone()),
            expected,
            "{name} {containers:?}"
        );
    }
}

#[test]
fn policy_decides_about_agents() {
    let seen = workload(vec![container("api", &[native(Arm64)])]);
    let images = images(&[image(Arm64)]);
    let edr = |status| Row {
        component: "edr".to_owned(),
        ..row(Layer::Agents, "", status, "falcon 7.1 is not certified")
    };
    for (known, status, why) in [
        (None, Status::Gate, "no policy"),
        (Some(&[][..]), Status::Pass, "mandates no agent"),
        (Some(&[edr(Status::Fix)]), Status::Fix, "not certified"),
        (
            Some(&[edr(Status::Waived)]),
            Status::Waived,
            "not certified",
        ),
    ] {
        let matrix = decide(&seen, &images, known, Arm64);
        assert_eq!(matrix.status, status, "{matrix:?}");
        assert!(matrix.rows[4].why.contains(why), "{matrix:?}");
    }
}

#[test]
fn what_is_kept_is_bounded_and_does_not_depend_on_order() {
    let names: Vec<_> = (0..30).map(|i| format!("/bin/{i:02}")).collect();
    let emulated = |binary| Ran {
        binary,
        ..ran(Arm64, Amd64, Mode::Emulated, Some(Id::EmulatedProcess))
    };
    let mut forth: Vec<_> = names.iter().map(|name| emulated(name.as_str())).collect();
    let first = container("api", &forth);
    forth.reverse();
    let second = container("api", &forth);
    let evidence = |container: &Container| {
        let mut names: Vec<_> = container
            .bad
            .iter()
            .map(|(_, of)| of.what.clone())
            .collect();
        names.sort_unstable();
        names
    };
    assert_eq!(evidence(&first), evidence(&second));
    assert_eq!((first.bad.len(), first.more_bad), (Row::EVIDENCE, 20));
    let mut seen = Seen::default();
    for i in 0..MAX_CONTAINERS + 5 {
        seen.container(&format!("c{i}"));
    }
    assert_eq!(
        (seen.containers.len(), seen.more_containers),
        (MAX_CONTAINERS, 5)
    );
    let matrix = decide(&seen, &Images::default(), None, Arm64);
    let said = |row: &Row| row.layer == Layer::Sidecars && row.status == Status::Gate;
    assert!(matrix.rows.iter().any(said), "{matrix:?}");
    let mut container = container("api", &[]);
    for i in 0..MAX_IMAGES + 2 {
        container.image(&format!("reg/app:{i}"), "");
    }
    assert_eq!(
        (container.images.len(), container.more_images),
        (MAX_IMAGES, 3)
    );
}
