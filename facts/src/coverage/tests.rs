mod policies;

use std::time::{Duration, SystemTime};

use super::*;
use crate::fact::{Cause, IllegalInstruction, Mode, Origin, Via};
use crate::identity::LastExit;
use crate::policy::{Agent, Match, Nodes, Waiver};

/// What is looked at is this old, in seconds.
fn ago(secs: u64) -> Option<SystemTime> {
    Some(now() - Duration::from_secs(secs))
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

const DAY: u64 = 86_400;

fn native(image: &str) -> Seen<'_> {
    Seen {
        arch: Some(Arch::Arm64),
        mode: Some(Mode::Native),
        first_seen: ago(DAY),
        last_seen: ago(DAY),
        binary: "/falcon",
        container: "sensor",
        image,
        ..Seen::default()
    }
}

fn emulated(processes: u64, secs: u64) -> Seen<'static> {
    Seen {
        arch: Some(Arch::Amd64),
        mode: Some(Mode::Emulated),
        via: Some(Via::BinfmtMisc),
        emulator: "/qemu",
        processes,
        last_seen: ago(secs),
        ..native("")
    }
}

fn failed(cause: Cause, secs: u64) -> Seen<'static> {
    Seen {
        arch: Some(Arch::Amd64),
        mode: Some(Mode::Failed),
        cause: Some(cause),
        last_seen: ago(secs),
        ..native("")
    }
}

fn sandbox(secs: u64) -> Seen<'static> {
    Seen {
        container: "pause",
        first_seen: ago(secs),
        last_seen: ago(secs),
        ..native("")
    }
}

fn restarted(attempt: u32, secs: u64, exit: &LastExit) -> Seen<'_> {
    Seen {
        attempt,
        last_exit: Some(exit),
        first_seen: ago(secs),
        last_seen: ago(secs),
        ..native("r/falcon:7.18")
    }
}

fn agent() -> Agent {
    Agent {
        name: "falcon".to_owned(),
        matches: Match::default(),
        nodes: Nodes::default(),
        certified: None,
        waivers: Vec::new(),
    }
}

const ON: Asked<'static> = Asked {
    cluster: "prod",
    node: "n1",
    arch: Arch::Arm64,
    reports: Reports::Now,
    hidden: None,
    blind: "",
};

/// What is decided, and the words of why.
fn told(agent: &Agent, on: Asked<'_>, seen: &[Seen<'_>], troubles: &[Trouble<'_>]) -> String {
    let verdict = judge(agent, on, seen, troubles, &|_| &[], now());
    format!("{} {}", verdict.status, verdict.reason)
}

#[test]
fn what_is_seen_decides() {
    let exit = LastExit {
        code: 132,
        reason: "Error".to_owned(),
    };
    let ok = || native("r/falcon:7.18");
    let build = Seen {
        via: Some(Via::Build),
        ..emulated(1, 0)
    };
    for (seen, expected) in [
        (vec![], "MISSING nothing on the node matches"),
        (vec![ok()], "NATIVE runs natively"),
        (vec![ok(), build], "NATIVE runs natively"),
        (
            vec![Seen {
                mode: Some(Mode::Compat),
                ..ok()
            }],
            "NATIVE runs natively",
        ),
        (
            vec![ok(), emulated(2, DAY)],
            "EMULATED amd64 program under /qemu, 2 processes",
        ),
        (
            vec![ok(), emulated(0, 599)],
            "EMULATED amd64 program under /qemu, a moment ago",
        ),
        (vec![ok(), emulated(0, 601)], "NATIVE runs natively"),
        (
            vec![emulated(1, 0), failed(Cause::ForeignElf, 5)],
            "FAILING exec format error: foreign_elf, amd64 file",
        ),
        (
            // Nothing ran since.
            vec![failed(Cause::WrongInterpreter, 2 * DAY)],
            "FAILING exec format error: wrong_interpreter, amd64 file",
        ),
        (
            vec![ok(), failed(Cause::ForeignElf, 2 * DAY)],
            "NATIVE runs natively",
        ),
        (
            vec![ok(), failed(Cause::NoShebang, 1), failed(Cause::Other, 1)],
            "NATIVE runs natively",
        ),
        (
            vec![restarted(7, 60, &exit)],
            "FAILING crash loop: started again 7 times, last exit code 132 (Error)",
        ),
        (vec![restarted(7, 700, &exit)], "NATIVE runs natively"),
        (vec![restarted(2, 60, &exit)], "NATIVE runs natively"),
        (
            vec![sandbox(30)],
            "MISSING its pod came just now, and no container of it runs yet",
        ),
        (
            vec![sandbox(DAY)],
            "FAILING its pod is there, and no container of it runs: it cannot start, or crashes",
        ),
        (vec![sandbox(DAY), ok()], "NATIVE runs natively"),
    ] {
        assert_eq!(told(&agent(), ON, &seen, &[]), expected, "{seen:?}");
    }
}

#[test]
fn deaths_count_until_it_runs_again() {
    let sve = IllegalInstruction {
        mnemonic: Some("ptrue".to_owned()),
        extension: Some("SVE".to_owned()),
        cpu_has: Some(false),
        ..IllegalInstruction::unread(Origin::Cpu)
    };
    let death = |secs| Trouble {
        seen: Seen {
            last_seen: ago(secs),
            ..native("r/falcon:7.18")
        },
        instruction: Some(&sve),
    };
    let failing = "FAILING died of SIGILL: needs SVE, this CPU has none";
    let ran = native("r/falcon:7.18");
    for (seen, secs, expected) in [
        (vec![ran], 60, failing),
        (vec![ran], DAY - 1, failing),
        (vec![ran], DAY + 1, "NATIVE runs natively"),
        (vec![sandbox(DAY)], 2 * DAY, failing),
        (vec![], 2 * DAY, failing),
    ] {
        assert_eq!(
            told(&agent(), ON, &seen, &[death(secs)]),
            expected,
            "{secs}"
        );
    }
    let refused = Trouble {
        seen: failed(Cause::ForeignElf, 300),
        instruction: None,
    };
    assert_eq!(
        told(&agent(), ON, &[sandbox(DAY)], &[refused]),
        "FAILING exec format error: foreign_elf, amd64 file"
    );
    let shell = Trouble {
        seen: failed(Cause::NoShebang, 1),
        instruction: None,
    };
    assert_eq!(told(&agent(), ON, &[ran], &[shell]), "NATIVE runs natively");
}

#[test]
fn a_silent_node_is_never_fine() {
    let seen = [native("r/falcon:7.18")];
    for (reports, expected) in [
        (Reports::Before, "STALE the node does not report any more"),
        (
            Reports::Never,
            "UNKNOWN the node should report and never did",
        ),
    ] {
        assert_eq!(
            told(&agent(), Asked { reports, ..ON }, &seen, &[]),
            expected
        );
    }
}

#[test]
fn what_a_node_cannot_see_is_never_fine() {
    let on = Asked {
        blind: "has no hook for header",
        ..ON
    };
    let ok = native("r/falcon:7.18");
    for (seen, expected) in [
        (
            vec![ok],
            "UNKNOWN what is seen of it runs natively, but archtrace's agent has no hook for header",
        ),
        // What is wrong is known all the same.
        (
            vec![ok, emulated(2, DAY)],
            "EMULATED amd64 program under /qemu, 2 processes",
        ),
        (vec![], "MISSING nothing on the node matches"),
    ] {
        assert_eq!(told(&agent(), on, &seen, &[]), expected);
    }
}

#[test]
fn outcomes_are_those_of_the_worst() {
    let total = |status, nodes| Total {
        agent: "a".to_owned(),
        status,
        nodes,
    };
    for (totals, outcome) in [
        (vec![], Outcome::NotKnown),
        (vec![total(Status::Native, 0)], Outcome::NotKnown),
        (
            vec![total(Status::Native, 9), total(Status::Waived, 1)],
            Outcome::Fine,
        ),
        (
            vec![total(Status::Native, 9), total(Status::Failing, 0)],
            Outcome::Fine,
        ),
        (
            vec![total(Status::Native, 9), total(Status::Unknown, 1)],
            Outcome::NotKnown,
        ),
        (
            vec![total(Status::Stale, 9), total(Status::Uncertified, 1)],
            Outcome::Violated,
        ),
        (vec![total(Status::Missing, 1)], Outcome::Violated),
    ] {
        assert_eq!(Outcome::of(&totals), outcome, "{totals:?}");
    }
}

/// What decides at one moment decides the same until the moment that is told, and then something else, unless
/// two of what it looks at say the same.
#[test]
fn it_stays_so_for_as_long_as_is_told() {
    let exit = LastExit {
        code: 1,
        reason: "Error".to_owned(),
    };
    let waived = |secs| Agent {
        waivers: vec![Waiver {
            owner: "sec".to_owned(),
            reason: "later".to_owned(),
            expires: now() + Duration::from_secs(secs),
            nodes: Nodes::default(),
            statuses: Vec::new(),
        }],
        ..agent()
    };
    let died = Trouble {
        seen: native(""),
        instruction: None,
    };
    let died = Trouble {
        seen: Seen {
            last_seen: ago(590),
            cause: Some(Cause::ForeignElf),
            mode: Some(Mode::Failed),
            ..died.seen
        },
        ..died
    };
    let nanosecond = Duration::from_nanos(1);
    let just_after = |secs| Some(Duration::from_secs(secs) + nanosecond);
    let ran = Seen {
        last_seen: ago(0),
        ..native("")
    };
    for (agent, seen, troubles, expected) in [
        (agent(), vec![], vec![], None),
        (agent(), vec![ran], vec![], None),
        (agent(), vec![emulated(1, 10)], vec![], None),
        (agent(), vec![emulated(0, 10)], vec![], just_after(590)),
        (agent(), vec![emulated(0, 700)], vec![], None),
        (
            agent(),
            vec![ran, failed(Cause::ForeignElf, 599)],
            vec![],
            just_after(1),
        ),
        (agent(), vec![ran], vec![died], just_after(10)),
        (
            agent(),
            vec![restarted(3, 100, &exit)],
            vec![],
            just_after(500),
        ),
        (agent(), vec![restarted(2, 100, &exit)], vec![], None),
        (
            agent(),
            vec![sandbox(20)],
            vec![],
            Some(Duration::from_secs(100)),
        ),
        (agent(), vec![sandbox(120)], vec![], None),
        (waived(5), vec![], vec![], Some(Duration::from_secs(5))),
        (waived(0), vec![], vec![], None),
    ] {
        let at = |time| {
            let verdict = judge(&agent, ON, &seen, &troubles, &|_| &[], time);
            (verdict.status, verdict.reason.to_string())
        };
        let until = steady_until(&agent, &seen, &troubles, now());
        assert_eq!(until, expected.map(|behind| now() + behind), "{seen:?}");
        match until {
            None => assert_eq!(at(now()), at(now() + Duration::from_secs(9 * DAY))),
            Some(until) => {
                assert_eq!(at(now()), at(until - nanosecond), "{seen:?}");
                assert_ne!(at(now()), at(until), "{seen:?}");
            }
        }
    }
}

#[test]
fn what_may_be_in_a_sandbox_is_not_missing() {
    use Status::{Emulated, Failing, Missing, Native, Unknown};
    let hidden = Asked {
        hidden: Some("gvisor"),
        ..ON
    };
    for (seen, without, with) in [
        (vec![], Missing, Unknown),
        (vec![sandbox(DAY)], Failing, Unknown),
        // What was seen is known.
        (vec![native("")], Native, Native),
        (vec![emulated(1, 0)], Emulated, Emulated),
    ] {
        for (on, status) in [(ON, without), (hidden, with)] {
            let told = told(&agent(), on, &seen, &[]);
            assert!(told.starts_with(status.as_str()), "{told}: {seen:?}");
            assert_eq!(told.contains("gvisor"), status == Unknown, "{told}");
        }
    }
    let silent = Asked {
        reports: Reports::Before,
        ..hidden
    };
    assert!(told(&agent(), silent, &[], &[]).starts_with("STALE"));
}
