//! What archtrace must show, case by case. Each case makes its own files and looks only at
//! facts of those, so that any subset can run, in any order.

mod counts;
mod cpu;
mod hostile;
mod kinds;
mod preflight;
mod restarts;

use std::time::Instant;

use anyhow::Result;

use crate::world::{Place, World};

/// One of them.
pub struct Case {
    /// Unique, without spaces.
    pub name: &'static str,
    /// Where it can run; everywhere if `None`.
    pub only: Option<Place>,
    /// Says what it measured.
    pub run: fn(&mut World) -> Result<String>,
}

/// All of them, in the order in which they should run.
pub const ALL: &[Case] = &[
    everywhere("preflight", preflight::hooks_are_proven),
    everywhere("kinds_emulated", kinds::emulated),
    everywhere("kinds_native", kinds::native),
    everywhere("kinds_compat", kinds::compat),
    everywhere("kinds_script", kinds::script),
    everywhere("kinds_failed", kinds::failed),
    everywhere("kinds_relative", kinds::relative),
    everywhere("counts_emulated", counts::emulated),
    everywhere("counts_native", counts::native),
    everywhere("cpu_of_children", cpu::of_children),
    everywhere("cpu_while_running", cpu::while_running),
    everywhere("hostile_names", hostile::names),
    everywhere("hostile_files", hostile::files),
    everywhere("hostile_registry", hostile::registry),
    everywhere("restart_collector", restarts::collector),
    everywhere("restart_agent", restarts::agent),
    Case {
        name: "nothing_left_attached",
        only: Some(Place::Vm),
        run: restarts::nothing_left_attached,
    },
];

const fn everywhere(name: &'static str, run: fn(&mut World) -> Result<String>) -> Case {
    Case {
        name,
        only: None,
        run,
    }
}

/// Runs the cases whose name contains `filter`, prints a line for each, and returns how many
/// passed and failed.
pub fn run(world: &mut World, filter: &str) -> (u32, u32) {
    let (mut passed, mut failed) = (0, 0);
    let here = |case: &&Case| {
        case.only.is_none_or(|place| place == world.place()) && case.name.contains(filter)
    };
    let cases: Vec<_> = ALL.iter().filter(here).collect();
    for case in cases {
        let start = Instant::now();
        // An agent that died must not go unnoticed, whatever the case looks at.
        let result = (case.run)(world).and_then(|told| world.check_health().map(|()| told));
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(told) => {
                passed += 1;
                println!("case {} ok ({seconds:.1} s) {told}", case.name);
            }
            Err(error) => {
                failed += 1;
                println!("case {} FAIL ({seconds:.1} s) {error:#}", case.name);
            }
        }
    }
    (passed, failed)
}
