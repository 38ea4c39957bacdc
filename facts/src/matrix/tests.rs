use std::time::{Duration, SystemTime};

use super::seen::{Container, MAX_CONTAINERS, MAX_IMAGES, Ran};
use super::*;
use crate::arch::Arch::{Amd64, Arm, Arm64};
use crate::audit::{Audit, Foreign, Role, Skip};
use crate::fact::{Cause, Mode};
use crate::fleet::FleetImage;
use crate::image::Image;
use crate::platform::Platform;
use crate::registry::{Listing, Trouble};

/// No registry is asked.
const NOBODY: fn(&str) -> Option<Arc<Check>> = |_| None;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// `/app` on a node that reports.
fn ran(node_arch: Arch, arch: Arch, mode: Mode, finding: Option<Id>) -> Ran<'static> {
    Ran {
        node: "n1",
        node_arch,
        is_current: true,
        binary: "/app",
        arch,
        mode,
        emulator: "/qemu",
        cause: (mode == Mode::Failed).then_some(Cause::ForeignElf),
        finding,
        last_seen: at(9),
    }
}

fn native(arch: Arch) -> Ran<'static> {
    ran(arch, arch, Mode::Native, None)
}

fn container(name: &str, runs: &[Ran<'_>]) -> Container {
    let mut container = Container {
        name: name.to_owned(),
        ..Container::default()
    };
    container.image("reg/app:1", "sha256:arm64");
    runs.iter().for_each(|ran| container.ran(ran));
    container
}

fn workload(containers: Vec<Container>) -> Seen {
    Seen {
        cluster: "c".to_owned(),
        namespace: "pay".to_owned(),
        workload: "Deployment/api".to_owned(),
        containers,
        more_containers: 0,
    }
}

/// An image that is what it claims, on a node that is that too.
fn image(arch: Arch) -> FleetImage {
    FleetImage {
        image: Image {
            id: format!("sha256:{arch}"),
            names: vec!["docker.io/reg/app:1".to_owned()],
            arch: Some(arch),
            os: "linux".to_owned(),
            variant: String::new(),
            audit: Some(Audit {
                expected: arch,
                files: 10,
                bytes: 10,
                elf: vec![(arch, 2)],
                main: Some(("/app".to_owned(), arch)),
                foreign: Vec::new(),
                more_foreign: 0,
                skipped: Vec::new(),
            }),
        },
        nodes: vec![(arch, 1)],
        last_seen: at(0),
        registry: Vec::new(),
    }
}

fn audited(arch: Arch, change: impl FnOnce(&mut Audit)) -> FleetImage {
    let mut image = image(arch);
    image.image.audit.as_mut().map(change);
    image
}

fn foreign(role: Role) -> Foreign {
    Foreign {
        path: format!("/x/{role}"),
        arch: Amd64,
        role,
    }
}

fn images(all: &[FleetImage]) -> Images {
    let mut images = Images::default();
    all.iter().for_each(|image| images.add(image));
    images
}

/// Layer, status, finding, and how much shows it.
fn told(matrix: &Matrix) -> Vec<(&'static str, &'static str, &str, usize)> {
    let rows = matrix.rows.iter();
    rows.map(|row| {
        (
            row.layer.as_str(),
            row.status.as_str(),
            row.finding.as_str(),
            row.evidence.len(),
        )
    })
    .collect()
}

/// The one row of a layer of a workload with one container.
fn check(layer: Layer, runs: &[Ran<'_>], known: &[FleetImage], status: Status, why: &str) -> Row {
    let seen = workload(vec![container("api", runs)]);
    let matrix = decide(&seen, &images(known), &NOBODY, None, Arm64);
    let rows: Vec<_> = matrix
        .rows
        .iter()
        .filter(|row| row.layer == layer)
        .collect();
    let [row] = rows[..] else {
        panic!("{matrix:?}")
    };
    assert_eq!(row.status, status, "{why}: {row:?}");
    assert!(row.why.contains(why), "{why}: {row:?}");
    assert_eq!(row.action.is_empty(), status == Status::Pass, "{row:?}");
    row.clone()
}

#[test]
fn a_workload_has_a_row_of_each_layer() {
    let seen = workload(vec![container("api", &[native(Arm64)])]);
    let matrix = decide(&seen, &images(&[image(Arm64)]), &NOBODY, Some(&[]), Arm64);
    let all_pass = [
        ("runtime", "PASS", "", 1),
        ("image", "PASS", "", 1),
        ("native_dependencies", "PASS", "", 0),
        ("sidecars", "PASS", "", 0),
        ("agents", "PASS", "", 0),
    ];
    assert_eq!(
        (matrix.status, told(&matrix)),
        (Status::Pass, all_pass.to_vec())
    );
    // Nothing passes that nobody saw.
    let nothing = decide(
        &workload(vec![container("api", &[])]),
        &Images::default(),
        &NOBODY,
        None,
        Arm64,
    );
    let statuses: Vec<_> = nothing.rows.iter().map(|row| row.status.as_str()).collect();
    assert_eq!(statuses, ["GATE", "GATE", "GATE", "PASS", "GATE"]);
    assert_eq!(nothing.status, Status::Gate);
}

#[test]
fn what_ran_decides_about_runtime() {
    let check = |runs: &[Ran<'_>], status, why: &str| check(Layer::Runtime, runs, &[], status, why);
    use Status::{Fix, Gate, Pass};
    let emulated = ran(Arm64, Amd64, Mode::Emulated, Some(Id::EmulatedProcess));
    let failed = ran(Arm64, Amd64, Mode::Failed, Some(Id::ExecFormatError));
    check(&[native(Arm64)], Pass, "native on arm64");
    check(
        &[native(Amd64)],
        Gate,
        "ran on amd64 only, and not yet on arm64",
    );
    check(&[native(Amd64), native(Arm64)], Pass, "native on arm64");
    check(&[], Gate, "nothing of it was seen");
    let row = check(
        &[native(Arm64), emulated],
        Fix,
        "a program runs under an emulator",
    );
    assert_eq!(
        (
            row.finding.as_str(),
            row.evidence[0].what.as_str(),
            row.evidence[0].detail.as_str()
        ),
        ("emulated-process", "/app", "emulated by /qemu on arm64")
    );
    let row = check(
        &[failed],
        Fix,
        "the kernel refused a file of another architecture",
    );
    assert_eq!(row.evidence[0].detail, "failed: foreign_elf on arm64");
    // A build for another platform is meant to be emulated; a script without #! is no failure.
    let build = ran(Arm64, Amd64, Mode::Emulated, Some(Id::EmulatedBuild));
    let script = ran(Arm64, Arch::Unknown, Mode::Failed, None);
    check(&[native(Arm64), build, script], Pass, "native");
    check(
        &[native(Arm64), ran(Arm64, Arm, Mode::Compat, None)],
        Gate,
        "32-bit",
    );
    let silent = Ran {
        is_current: false,
        ..native(Arm64)
    };
    check(&[silent], Gate, "do not report any more");
    check(&[silent, native(Arm64)], Pass, "native");
}

#[test]
fn what_is_hidden_or_died_passes_no_gate() {
    let matrix = |change: fn(&mut Container)| {
        let mut container = container("api", &[native(Arm64)]);
        change(&mut container);
        decide(
            &workload(vec![container]),
            &images(&[image(Arm64)]),
            &NOBODY,
            None,
            Arm64,
        )
        .rows[0]
            .clone()
    };
    let hidden = matrix(|container| container.hidden = Some("gvisor".to_owned()));
    assert_eq!(hidden.status, Status::Gate, "{hidden:?}");
    assert!(hidden.why.contains("gvisor"), "{hidden:?}");
    for (id, status) in [
        (Id::IllegalInstruction, Status::Fix),
        (Id::TrapInstruction, Status::Pass),
    ] {
        let mut container = container("api", &[native(Arm64)]);
        let mut event = native(Arm64).evidence();
        event.kind = EvidenceKind::Event;
        event.detail = "vpaddd needs AVX512F".to_owned();
        container.died(id, event);
        let matrix = decide(
            &workload(vec![container]),
            &images(&[image(Arm64)]),
            &NOBODY,
            None,
            Arm64,
        );
        assert_eq!(matrix.rows[0].status, status, "{matrix:?}");
    }
}

#[test]
fn variants_decide_about_the_image() {
    let check = |known: &[FleetImage], status, why: &str| {
        check(Layer::Image, &[native(Arm64)], known, status, why)
    };
    use Status::{Fix, Gate, Pass};
    check(
        &[image(Arm64)],
        Pass,
        "has a variant for arm64, on 1 node(s)",
    );
    check(&[], Gate, "nothing is known of its platforms");
    // Of a variant that goes by the same name, whichever of them its own pods have.
    let amd64 = {
        let mut image = image(Amd64);
        image.image.id = "sha256:arm64".to_owned();
        image
    };
    check(
        std::slice::from_ref(&amd64),
        Gate,
        "only its variant for amd64 was seen, and none for arm64",
    );
    let other = {
        let mut image = image(Arm64);
        image.image.id = "sha256:other".to_owned();
        image
    };
    check(&[amd64.clone(), other], Pass, "has a variant");
    let unlooked = {
        let mut image = image(Arm64);
        image.image.audit = None;
        image
    };
    check(&[unlooked], Gate, "were not looked at yet");
    let mislabelled = audited(Arm64, |audit| audit.main = Some(("/app".to_owned(), Amd64)));
    let row = check(&[mislabelled], Fix, "not for the platform that it claims");
    assert_eq!(row.evidence[0].detail, "it runs /app, which is amd64");
    let wrong = FleetImage {
        nodes: vec![(Arm64, 2)],
        ..amd64
    };
    let row = check(
        &[wrong],
        Fix,
        "what should run here is for another platform",
    );
    assert_eq!(row.finding, "wrong-platform-image");
    // The right variant on a wrong node is no obstacle.
    let elsewhere = FleetImage {
        nodes: vec![(Amd64, 1), (Arm64, 1)],
        ..image(Arm64)
    };
    check(&[elsewhere], Pass, "has a variant");
}

#[test]
fn what_a_registry_lacks_no_node_can_pull() {
    let listing = |archs: &[Arch]| Check {
        reference: "docker.io/reg/app:1".to_owned(),
        checked_at: Some(at(9)),
        told: Ok(Listing {
            is_index: true,
            digest: String::new(),
            platforms: archs.iter().copied().map(Platform::linux).collect(),
        }),
    };
    let both = || listing(&[Amd64, Arm64]);
    let one = || listing(&[Amd64]);
    let silent = || Check::without("docker.io/reg/app:1", Trouble::Denied, "no");
    let mislabelled = audited(Arm64, |audit| audit.main = Some(("/app".to_owned(), Amd64)));
    for (known, check, status, finding, why) in [
        (
            image(Arm64),
            both(),
            Status::Pass,
            "",
            "has a variant for arm64",
        ),
        (
            image(Arm64),
            one(),
            Status::Fix,
            "missing-platform",
            "its registry has no image for arm64 under this name",
        ),
        (
            image(Amd64),
            both(),
            Status::Gate,
            "",
            "its registry has a variant for arm64, which no node has pulled yet",
        ),
        // What could not be asked changes nothing.
        (
            image(Arm64),
            silent(),
            Status::Pass,
            "",
            "has a variant for arm64",
        ),
        (
            image(Amd64),
            silent(),
            Status::Gate,
            "",
            "nothing is known of its platforms",
        ),
        // What is wrong with what runs comes first.
        (
            mislabelled,
            one(),
            Status::Fix,
            "mislabelled-image",
            "not for the platform",
        ),
    ] {
        let asked = |reference: &str| {
            assert_eq!(reference, "reg/app:1");
            Some(Arc::new(check.clone()))
        };
        let seen = workload(vec![container("api", &[native(Arm64)])]);
        let matrix = decide(&seen, &images(&[known]), &asked, None, Arm64);
        let row = matrix.rows.iter().find(|row| row.layer == Layer::Image);
        let row = row.expect("a row");
        assert_eq!((row.status, &*row.finding), (status, finding), "{row:?}");
        assert!(row.why.contains(why), "{why}: {row:?}");
        let told = row.evidence.iter().filter(|shown| {
            shown.what == check.reference && shown.detail.starts_with("in the registry, ")
        });
        let is_told =
            finding != "mislabelled-image" && !(status == Status::Pass && check.told.is_err());
        assert_eq!(told.count(), usize::from(is_told), "{row:?}");
    }
}

#[test]
fn files_decide_about_native_dependencies() {
    let check = |known: &[FleetImage], status, why: &str| {
        check(Layer::Dependencies, &[native(Arm64)], known, status, why)
    };
    use Status::{Fix, Gate, Pass};
    let with = |roles: &[Role]| {
        audited(Arm64, |audit| {
            audit.foreign = roles.iter().map(|role| foreign(*role)).collect();
        })
    };
    check(&[image(Arm64)], Pass, "all of its native code is for arm64");
    check(&[image(Amd64)], Gate, "no files of a variant for arm64");
    for role in [
        Role::Library,
        Role::JarEntry,
        Role::WheelEntry,
        Role::NodeAddon,
        Role::PythonExtension,
    ] {
        let row = check(&[with(&[Role::Other, role])], Fix, "library");
        assert_eq!(row.finding, "foreign-library");
        assert_eq!(
            (row.evidence.len(), row.evidence[0].detail.as_str()),
            (1, role.as_str())
        );
    }
    check(&[with(&[Role::Program])], Fix, "program");
    check(
        &[with(&[Role::Other])],
        Gate,
        "in places where nothing looks",
    );
    // What it runs is a matter of the image.
    check(&[with(&[Role::Main])], Pass, "all of its");
    check(
        &[audited(Arm64, |audit| audit.more_foreign = 1)],
        Gate,
        "not all of its files",
    );
    let skipped = |why| audited(Arm64, |audit| audit.skipped = vec![(why, 1)]);
    check(&[skipped(Skip::Depth)], Gate, "not all of its files");
    check(&[skipped(Skip::OtherFileSystem)], Pass, "all of its");
    let row = check(&[with(&[Role::JarEntry; 25])], Fix, "library");
    assert_eq!((row.evidence.len(), row.more_evidence), (10, 15));
}

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
        let matrix = decide(&seen, &images(&[image(Arm64)]), &NOBODY, None, Arm64);
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
        let matrix = decide(&seen, &images, &NOBODY, known, Arm64);
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
    let matrix = decide(&seen, &Images::default(), &NOBODY, None, Arm64);
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
