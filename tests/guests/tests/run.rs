//! The programs do what they say, on this CPU and under an emulator.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use archtrace_guests::{Emulator, Flaw, Instruction, Isa, Program, build, dynamic, flawed};

const ALL: [Isa; 4] = [Isa::Amd64, Isa::Arm64, Isa::I386, Isa::Arm];

/// User-mode QEMU, static (Debian, Fedora, Alpine) or not, if it is in `$PATH`.
fn emulator(isa: Isa) -> Option<PathBuf> {
    let name = match isa {
        Isa::Amd64 => "qemu-x86_64",
        Isa::Arm64 => "qemu-aarch64",
        Isa::I386 => "qemu-i386",
        Isa::Arm => "qemu-arm",
    };
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|dir| [dir.join(format!("{name}-static")), dir.join(name)])
        .find(|path| path.exists())
}

/// Every way in which this machine can run `isa`: by itself, or by an emulator.
fn runners(isa: Isa) -> Vec<Option<PathBuf>> {
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
    written(&build(isa, program))
}

/// Has another process write the file: a child that another test starts meanwhile would have inherited the
/// descriptor until its exec, and who executes what somebody may write to gets ETXTBSY (execve(2)).
fn written(content: &[u8]) -> tempfile::TempPath {
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    let file = file.into_temp_path();
    let mut install = Command::new("install")
        .args(["--mode=755", "/dev/stdin"])
        .arg(&file)
        .stdin(Stdio::piped())
        .spawn()
        .expect("coreutils have it");
    let mut stdin = install.stdin.take().expect("piped");
    stdin.write_all(content).expect("it reads");
    drop(stdin);
    assert!(install.wait().expect("it is ours").success());
    file
}

fn check(program: Program, expected: i32) {
    for isa in ALL {
        check_isa(isa, program, &[], |status| status.code() == Some(expected));
    }
}

/// In every way in which it can run here.
fn check_isa(
    isa: Isa,
    program: Program,
    arguments: &[&Path],
    as_expected: impl Fn(ExitStatus) -> bool,
) {
    let file = file(isa, program);
    for runner in runners(isa) {
        let mut command = command(runner.as_deref(), &file);
        let status = command.args(arguments).status().expect("started");
        assert!(
            as_expected(status),
            "{isa:?} {program:?} by {runner:?}: {status}"
        );
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
fn programs_die_of_sigill_unless_they_handle_it() {
    const SIGILL: i32 = 4;
    for isa in [Isa::Amd64, Isa::Arm64] {
        for program in [Program::Execute(Instruction::Undefined), Program::Raise] {
            check_isa(isa, program, &[], |status| status.signal() == Some(SIGILL));
        }
        check_isa(isa, Program::Probe, &[], |status| status.success());
        let some_cpus = [Instruction::Avx512, Instruction::Sve, Instruction::Lse];
        for program in some_cpus.map(Program::Execute) {
            check_isa(isa, program, &[], |status| {
                status.success() || status.signal() == Some(SIGILL)
            });
        }
    }
}

#[test]
fn programs_execute_others() {
    let Some(native) = Isa::native() else { return };
    let target = file(native, Program::Exit(42));
    for isa in [Isa::Amd64, Isa::Arm64] {
        for program in [
            Program::Exec,
            Program::ExecByEmulator,
            Program::ExecInThread,
        ] {
            check_isa(isa, program, &[&target], |status| status.code() == Some(42));
        }
        let times = Program::Shell { times: 17 };
        check_isa(isa, times, &[&target], |status| status.success());
        let nothing = Path::new("/nowhere");
        check_isa(isa, Program::Exec, &[nothing], |status| {
            status.code() == Some(1)
        });
    }
}

#[test]
fn loaders_map_what_they_are_given_last() {
    let Some(native) = Isa::native() else { return };
    let guest = file(native.foreign(), Program::Exit(0));
    for emulator in [Emulator::Box64, Emulator::Qemu, Emulator::BuildKit] {
        let loader = file(native, Program::Load(emulator));
        let mut child = command(None, &loader).arg(&guest).spawn().expect("started");
        let proc = PathBuf::from(format!("/proc/{}", child.id()));
        let end = Instant::now() + Duration::from_secs(5);
        let name = guest.to_string_lossy().into_owned();
        let mapped = || {
            let maps = std::fs::read_to_string(proc.join("maps")).expect("read");
            maps.lines()
                .any(|line| line.ends_with(&*name) && line.contains(" r--p "))
        };
        while !mapped() {
            assert!(Instant::now() < end, "{emulator:?} did not map {name}");
            std::thread::sleep(Duration::from_millis(1));
        }
        let arguments = std::fs::read(proc.join("cmdline")).expect("read");
        assert_eq!(
            arguments.split(|byte| *byte == 0).any(|word| word == b"-0"),
            emulator == Emulator::BuildKit,
            "{emulator:?}"
        );
        child.kill().expect("killed");
        child.wait().expect("waited");
    }
}

#[test]
fn flawed_files_are_refused() {
    const ENOEXEC: i32 = 8;
    const ENOENT: i32 = 2;
    let Some(native) = Isa::native() else { return };
    let flaws = [Flaw::Type, Flaw::EntrySize, Flaw::NoSegments];
    let rows = flaws.map(|flaw| (flawed(native, flaw), ENOEXEC));
    let missing = dynamic(native, Program::Exit(0), b"/no/such/interpreter");
    for (content, errno) in rows.into_iter().chain([(missing, ENOENT)]) {
        let file = written(&content);
        let error = command(None, &file).spawn().expect_err("it was executed");
        assert_eq!(error.raw_os_error(), Some(errno), "{error}");
    }
}

#[test]
fn endless_programs_run_until_they_are_killed() {
    for isa in ALL {
        for program in [Program::Pause, Program::Burn] {
            let file = file(isa, program);
            for runner in runners(isa) {
                let mut child = command(runner.as_deref(), &file).spawn().expect("started");
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
