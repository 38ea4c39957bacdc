mod around;
mod registry;

use std::time::{Duration, SystemTime};

use super::seen::{Container, MAX_CONTAINERS, MAX_IMAGES, Ran};
use super::*;
use crate::arch::Arch::{Amd64, Arm, Arm64};
use crate::audit::{Audit, Foreign, Role, Skip};
use crate::fact::{Cause, Mode};
use crate::fleet::FleetImage;
use crate::image::Image;

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
    let blind = matrix(|container| {
        container.blind = Some(("n1".to_owned(), "has no hook for header".to_owned()));
    });
    assert_eq!(blind.status, Status::Gate, "{blind:?}");
    assert!(
        blind.why.contains("n1") && blind.why.contains("no hook"),
        "{blind:?}"
    );
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
