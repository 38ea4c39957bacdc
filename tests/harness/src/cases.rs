//! What archtrace must show, case by case. Each case makes its own files and looks only at
//! facts of those, so that any subset can run, in any order.

mod around;
mod binfmt;
mod counts;
mod cpu;
mod credentials;
mod crowd;
mod deploy;
mod direct;
mod failures;
mod flood;
mod hostile;
mod kinds;
mod local;
mod native;
mod node;
mod pods;
mod preflight;
mod privileges;
mod restarts;
mod sigill;
mod storm;
mod story;

use std::fmt;
use std::time::Instant;

use anyhow::Result;

use crate::world::{Place, World};

/// One of them.
pub struct Case {
    /// Unique, without spaces.
    pub name: &'static str,
    /// The lines of the checklist (docs/checklist.md) that it shows.
    pub checklist: &'static [u8],
    /// Where it can run; everywhere if `None`.
    pub only: Option<Place>,
    /// See [`Outcome`].
    pub run: fn(&mut World) -> Result<Outcome>,
}

/// What came of a case that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All was seen; with what was measured.
    Pass(String),
    /// Less is seen on this kernel than elsewhere; what is reported instead. The same on each run.
    Degraded(&'static str),
    /// It does not happen on this kernel; the reason, the same on each run.
    NotApplicable(&'static str),
}

impl From<String> for Outcome {
    fn from(measured: String) -> Self {
        Self::Pass(measured)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass(_) => "ok",
            Self::Degraded(_) => "degraded",
            Self::NotApplicable(_) => "n.a.",
        })
    }
}

impl Outcome {
    fn text(&self) -> &str {
        match self {
            Self::Pass(text) => text,
            Self::Degraded(text) | Self::NotApplicable(text) => text,
        }
    }
}

/// All of them, in the order in which they should run.
pub const ALL: &[Case] = &[
    everywhere("preflight", &[], preflight::hooks_are_proven),
    everywhere("preflight_memory", &[], preflight::starts_leave_nothing),
    everywhere("privileges", &[], privileges::given_up),
    everywhere("node_described", &[], node::described),
    everywhere("node_pages", &[36], node::pages),
    everywhere("node_handlers", &[], node::handlers_come_and_go),
    everywhere("kinds_emulated", &[], kinds::emulated),
    everywhere("kinds_native", &[], kinds::native),
    everywhere("kinds_script", &[9], kinds::script),
    everywhere("kinds_relative", &[], kinds::relative),
    everywhere("binfmt_in_the_container", &[1], binfmt::in_the_container),
    everywhere("binfmt_fixed", &[2], binfmt::fixed),
    everywhere("binfmt_flags", &[3, 4], binfmt::flags),
    everywhere("binfmt_names", &[5, 6, 7, 8], binfmt::names),
    everywhere("binfmt_not_foreign", &[10], binfmt::not_foreign),
    everywhere("binfmt_descriptor", &[11], binfmt::by_descriptor),
    everywhere("binfmt_user_namespace", &[12], binfmt::in_a_user_namespace),
    everywhere("direct_emulators", &[13], direct::emulators),
    everywhere("direct_build", &[14, 15], direct::build),
    everywhere("failures_foreign", &[16], failures::foreign),
    everywhere("failures_cut_off", &[17], failures::cut_off),
    everywhere("failures_corrupt", &[18], failures::corrupt),
    everywhere("failures_text", &[19], failures::text),
    everywhere("failures_interpreter", &[20], failures::interpreter),
    everywhere("failures_32bit", &[21], failures::without_32bit),
    everywhere("failures_variant", &[22], failures::variant),
    everywhere("failures_ordinary", &[], failures::ordinary),
    everywhere("native_compat", &[23], native::compat),
    everywhere("native_neighbours", &[24], native::neighbours),
    everywhere("sigill_native", &[27], sigill::native),
    everywhere("sigill_extensions", &[27], sigill::extensions),
    everywhere("sigill_handled", &[28], sigill::handled),
    everywhere("sigill_emulated", &[29], sigill::emulated),
    everywhere("sigill_sent", &[30], sigill::sent),
    everywhere("around_vanished", &[31], around::vanished),
    everywhere("around_joined", &[33], around::joined),
    everywhere("around_sandboxes", &[34], around::sandboxes),
    everywhere("around_threads", &[37], around::threads),
    everywhere("counts_emulated", &[], counts::emulated),
    everywhere("counts_native", &[], counts::native),
    everywhere("counts_storm", &[], storm::counted),
    everywhere("cpu_of_children", &[], cpu::of_children),
    everywhere("cpu_of_a_build", &[], cpu::of_a_build),
    everywhere("cpu_while_running", &[], cpu::while_running),
    everywhere("hostile_names", &[38], hostile::names),
    everywhere("hostile_files", &[40], hostile::files),
    everywhere("hostile_registry", &[], hostile::registry),
    // Before the agent is started again: what it copied for those who asked is not what others measure.
    everywhere("local_answers", &[], local::answers),
    everywhere("restart_collector", &[], restarts::collector),
    everywhere("restart_agent", &[32, 35], restarts::agent),
    everywhere("credentials_and_spool", &[], credentials::and_spool),
    // Leaves the maps full, of native binaries and of foreign ones.
    Case {
        name: "crowd_of_pods",
        checklist: &[],
        only: Some(Place::Host),
        run: crowd::of_pods,
    },
    everywhere("hostile_flood", &[39], flood::distinct),
    Case {
        name: "nothing_left_attached",
        checklist: &[],
        only: Some(Place::Vm),
        run: restarts::nothing_left_attached,
    },
];

const fn everywhere(
    name: &'static str,
    checklist: &'static [u8],
    run: fn(&mut World) -> Result<Outcome>,
) -> Case {
    Case {
        name,
        checklist,
        only: None,
        run,
    }
}

/// Those of pods, which take a world with a container runtime.
pub const PODS: &[Case] = &[
    everywhere("pods_kinds", &[33], pods::kinds),
    everywhere("pods_format_error", &[], pods::format_error),
    everywhere("pods_missing_emulator", &[], pods::missing_emulator),
    everywhere("pods_recovers", &[], pods::recovers),
    everywhere("pods_brief", &[], pods::brief),
    everywhere("pods_restarted", &[], pods::restarted),
    everywhere("pods_unit", &[], pods::unit),
    everywhere("pods_mislabelled", &[25], pods::mislabelled),
    everywhere("pods_foreign_files", &[26], pods::foreign_files),
    everywhere("pods_named_later", &[], pods::later),
    everywhere("pods_many", &[], pods::many),
    everywhere("pods_short_lived", &[31], pods::short_lived),
    everywhere("story_paykit", &[], story::paykit),
    // It puts files where a node has them.
    Case {
        name: "deploy",
        checklist: &[],
        only: Some(Place::Vm),
        run: deploy::chart,
    },
];

/// Runs those of `all` whose name contains `filter`, prints a line for each, and returns how many
/// passed (or are degraded or not applicable) and failed.
///
/// A line is `case <name> ok|degraded|n.a.|FAIL #<line of the checklist>… (<seconds> s) <text>`.
pub fn run(world: &mut World, all: &[Case], filter: &str) -> (u32, u32) {
    let (mut passed, mut failed) = (0, 0);
    let here = |case: &&Case| {
        case.only.is_none_or(|place| place == world.place()) && case.name.contains(filter)
    };
    let cases: Vec<_> = all.iter().filter(here).collect();
    for case in cases {
        let start = Instant::now();
        // An agent that died must not go unnoticed, whatever the case looks at.
        let result = (case.run)(world).and_then(|told| world.check_health().map(|()| told));
        let seconds = start.elapsed().as_secs_f64();
        let (state, text) = match result {
            Ok(outcome) => {
                passed += 1;
                (outcome.to_string(), outcome.text().to_owned())
            }
            Err(error) => {
                failed += 1;
                // One line, whatever it says.
                ("FAIL".to_owned(), format!("{error:#}").replace('\n', " "))
            }
        };
        let numbers: String = case
            .checklist
            .iter()
            .map(|line| format!("#{line} "))
            .collect();
        println!(
            "case {} {state} {numbers}({seconds:.1} s) {text}",
            case.name
        );
    }
    (passed, failed)
}
