//! The programs do what they say, on this CPU and under an emulator.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use archtrace_guests::{Isa, Program, build};

/// Where Debian, Fedora and Alpine put a static user-mode QEMU.
fn emulator(isa: Isa) -> Option<&'static Path> {
    let candidates: &[&str] = match isa {
        Isa::Amd64 => &["/usr/bin/qemu-x86_64-static", "/usr/bin/qemu-x86_64"],
        Isa::Arm64 => &["/usr/bin/qemu-aarch64-static", "/usr/bin/qemu-aarch64"],
        Isa::I386 => &["/usr/bin/qemu-i386-static", "/usr/bin/qemu-i386"],
    };
    candidates.iter().map(Path::new).find(|path| path.exists())
}

/// Every way in which this machine can run `isa`: by itself, or by an emulator.
fn runners(isa: Isa) -> Vec<Option<&'static Path>> {
    let native = Isa::native();
    let direct = native == Some(isa) || (native, isa) == (Some(Isa::Amd64), Isa::I386);
    let mut runners: Vec<_> = emulator(isa).map(Some).into_iter().collect();
    runners.extend(direct.then_some(None));
    runners
}

fn command(runner: Option<&Path>, file: &Path) -> Command {
    match runner {
        None => Command::new(file),
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.arg(file);
            command
        }
    }
}

fn file(isa: Isa, program: Program) -> tempfile::TempPath {
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    file.write_all(&build(isa, program)).expect("written");
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o755))
        .expect("made executable");
    // Closed, since a file that is open for writing cannot be executed.
    file.into_temp_path()
}

fn check(program: Program, expected: i32) {
    for isa in [Isa::Amd64, Isa::Arm64, Isa::I386] {
        let file = file(isa, program);
        for runner in runners(isa) {
            let status = command(runner, &file).status().expect("started");
            assert_eq!(
                status.code(),
                Some(expected),
                "{isa:?} {program:?} by {runner:?}: {status}"
            );
        }
    }
}

#[test]
fn programs_end_as_they_say() {
    check(Program::Exit(0), 0);
    check(Program::Exit(42), 42);
    check(Program::Spin(100_000), 0);
    check(
        Program::Forks {
            children: 1,
            iterations: Some(1),
        },
        0,
    );
    check(
        Program::Forks {
            children: 7,
            iterations: Some(1000),
        },
        0,
    );
}

#[test]
fn endless_programs_run_until_they_are_killed() {
    for isa in [Isa::Amd64, Isa::Arm64, Isa::I386] {
        for program in [Program::Pause, Program::Burn] {
            let file = file(isa, program);
            for runner in runners(isa) {
                let mut child = command(runner, &file).spawn().expect("started");
                std::thread::sleep(Duration::from_millis(50));
                assert_eq!(
                    child.try_wait().expect("waited"),
                    None,
                    "{isa:?} {program:?}"
                );
                child.kill().expect("killed");
                assert_eq!(child.wait().expect("waited").signal(), Some(9));
            }
        }
    }
}

#[test]
fn spinning_takes_time_in_proportion() {
    let Some(isa) = Isa::native() else { return };
    let time = |iterations| {
        let file = file(isa, Program::Spin(iterations));
        let start = Instant::now();
        assert!(command(None, &file).status().expect("started").success());
        start.elapsed()
    };
    assert!(
        time(200_000_000) > 4 * time(2_000_000),
        "a hundred times the work took no longer"
    );
}
