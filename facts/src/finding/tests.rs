use std::time::SystemTime;

use super::*;
use crate::node::{HookReport, Uncovered};

fn key(mode: Mode, via: Option<Via>, cause: Option<Cause>) -> FactKey {
    FactKey {
        cgroup: "/kubepods.slice".to_owned(),
        binary: "/app".to_owned(),
        path_resolved: true,
        arch: Arch::Amd64,
        mode,
        emulator: None,
        via,
        cause,
    }
}

fn event(kind: EventKind, comm: &str, key: FactKey) -> Event {
    Event {
        time: SystemTime::UNIX_EPOCH,
        kind,
        pid: 1,
        comm: comm.to_owned(),
        key,
        errno: 0,
        count: 1,
        instruction: None,
    }
}

#[test]
fn every_finding_is_in_the_catalogue_once_and_in_order() {
    let ids: Vec<_> = CATALOGUE.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, Id::ALL);
    for entry in CATALOGUE {
        let Entry {
            id,
            severity: _,
            title,
            meaning,
            evidence,
            confirm,
            fix,
        } = entry;
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(id.as_str().chars().all(kebab), "{id}");
        assert!(!title.is_empty() && !title.ends_with('.'), "{id}");
        assert!(meaning.ends_with('.'), "{id}");
        assert!(
            !evidence.is_empty() && !confirm.is_empty() && !fix.is_empty(),
            "{id}"
        );
        assert!(fix.iter().all(|line| line.ends_with('.')), "{id}");
        assert_eq!(id.entry().map(|entry| entry.id), Some(*id));
    }
}

#[test]
fn facts_are_findings_by_mode_and_cause() {
    use Mode::{Compat, Emulated, Failed, Native};
    for (mode, via, cause, expected) in [
        (Native, None, None, None),
        (Compat, None, None, None),
        (
            Emulated,
            Some(Via::BinfmtMisc),
            None,
            Some("emulated-process"),
        ),
        (Emulated, Some(Via::Direct), None, Some("emulated-process")),
        (Emulated, Some(Via::Build), None, Some("emulated-build")),
        (Emulated, None, None, Some("emulated-process")),
        (
            Failed,
            None,
            Some(Cause::ForeignElf),
            Some("exec-format-error"),
        ),
        (
            Failed,
            None,
            Some(Cause::TruncatedElf),
            Some("truncated-binary"),
        ),
        (Failed, None, Some(Cause::No32Bit), Some("no-32bit-support")),
        (
            Failed,
            None,
            Some(Cause::WrongClass),
            Some("wrong-elf-variant"),
        ),
        (Failed, None, Some(Cause::NoShebang), None),
        (Failed, None, Some(Cause::EmptyFile), None),
        (
            Failed,
            None,
            Some(Cause::Other),
            Some("unexplained-exec-failure"),
        ),
        (Failed, None, None, None),
    ] {
        let told = of_fact(&key(mode, via, cause)).map(Id::as_str);
        assert_eq!(told, expected, "{mode} {via:?} {cause:?}");
    }
}

#[test]
fn a_script_without_a_shebang_is_one_where_no_shell_retries_it() {
    for (comm, expected) in [
        ("runc:[2:INIT]", true),
        ("crun", true),
        ("(backup)", true),
        ("bash", false),
        ("sh", false),
        ("tini", false),
        ("", false),
    ] {
        for (cause, id) in [
            (Cause::NoShebang, Id::NoShebang),
            (Cause::EmptyFile, Id::TruncatedBinary),
        ] {
            let failed = event(
                EventKind::FailedExec,
                comm,
                key(Mode::Failed, None, Some(cause)),
            );
            assert_eq!(of_event(&failed), expected.then_some(id), "{comm} {cause}");
        }
        let foreign = key(Mode::Failed, None, Some(Cause::ForeignElf));
        let failed = event(EventKind::FailedExec, comm, foreign);
        assert_eq!(of_event(&failed), Some(Id::ExecFormatError), "{comm}");
    }
}

#[test]
fn an_illegal_instruction_is_one_unless_somebody_sent_the_signal() {
    use Mode::{Compat, Emulated, Native};
    for (mode, origin, mnemonic, expected) in [
        (
            Native,
            Origin::Cpu,
            Some("vpaddd"),
            Some("illegal-instruction"),
        ),
        (Native, Origin::Cpu, None, Some("illegal-instruction")),
        (Compat, Origin::Cpu, None, Some("illegal-instruction")),
        (Native, Origin::Cpu, Some("ud2"), Some("trap-instruction")),
        (Native, Origin::Cpu, Some("udf"), Some("trap-instruction")),
        (Native, Origin::Itself, None, None),
        (Native, Origin::Process, None, None),
        (
            Emulated,
            Origin::Itself,
            None,
            Some("emulated-illegal-instruction"),
        ),
        (
            Emulated,
            Origin::Cpu,
            Some("ud2"),
            Some("emulated-illegal-instruction"),
        ),
        (Emulated, Origin::Process, None, None),
    ] {
        let mut died = event(EventKind::IllegalInstruction, "app", key(mode, None, None));
        assert_eq!(of_event(&died), None, "nothing known");
        died.instruction = Some(IllegalInstruction {
            mnemonic: mnemonic.map(str::to_owned),
            ..IllegalInstruction::unread(origin)
        });
        let told = of_event(&died).map(Id::as_str);
        assert_eq!(told, expected, "{mode} {origin} {mnemonic:?}");
    }
    let emulated = event(
        EventKind::EmulatedExec,
        "sh",
        key(Emulated, Some(Via::Build), None),
    );
    assert_eq!(of_event(&emulated), Some(Id::EmulatedBuild));
}

#[test]
fn nodes_are_findings_by_what_they_can_and_cannot() {
    let info = NodeInfo {
        kernel_release: "6.1".to_owned(),
        page_size: 4096,
        ..NodeInfo::named("node".to_owned(), Arch::Arm64)
    };
    let handler = |arch, enabled| Handler {
        name: "x".to_owned(),
        enabled,
        interpreter: "/x".to_owned(),
        flags: String::new(),
        arch,
        since: None,
    };
    let hook = |tier| HookReport {
        name: "header".to_owned(),
        mechanism: String::new(),
        tier,
        proven: true,
        reasons: Vec::new(),
    };
    let uncovered = Uncovered {
        cgroup: "/kubepods.slice".to_owned(),
        runtime: "gvisor".to_owned(),
    };
    let amd64 = || handler(Some(Arch::Amd64), true);
    for (handlers, uncovered, hooks, expected) in [
        (vec![], vec![], vec![hook(1), hook(2)], &[][..]),
        (
            vec![amd64(), amd64()],
            vec![],
            vec![],
            &["emulation-available"],
        ),
        // Switched off, of no machine, of this one.
        (
            vec![
                handler(Some(Arch::Amd64), false),
                handler(None, true),
                handler(Some(Arch::Arm64), true),
            ],
            vec![],
            vec![],
            &[],
        ),
        (vec![], vec![uncovered], vec![hook(1)], &["pod-not-covered"]),
        (vec![], vec![], vec![hook(1), hook(3)], &["agent-degraded"]),
        (vec![], vec![], vec![hook(0)], &["agent-degraded"]),
    ] {
        let preflight = Preflight {
            hooks,
            handlers,
            uncovered,
            ..Preflight::default()
        };
        let told: Vec<_> = of_node(&info, &preflight)
            .into_iter()
            .map(Id::as_str)
            .collect();
        assert_eq!(told, expected, "{preflight:?}");
    }
}
