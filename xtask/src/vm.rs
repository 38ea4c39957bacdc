//! `cargo xtask vm`: boots real kernels under emulation and runs the test cases there.

mod bench;
mod boot;
mod deploy;
mod disk;
mod image;
mod machine;

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};

pub(crate) use bench::{Bench, bench};
use boot::Boot;
pub(crate) use disk::disk;
pub(crate) use machine::{Arch, Machine, Version, matrix};

use crate::checklist::{self, Column};
use crate::{binaries, setup};

const EXAMPLES: &str = "\
Examples:
  cargo xtask vm --kernel 6.1 --arch amd64                one kernel
  cargo xtask vm --kernel 6.1 --arch arm64 --case kinds   only the cases whose name holds 'kinds'
  cargo xtask vm --pods --arch arm64                      a node with systemd and containerd
  cargo xtask vm --all                                    the whole matrix
  cargo xtask vm --all --write                            and what it showed to docs/checklist.md";

/// So many machines run at once: each keeps about a CPU busy, and the cases measure times.
const MACHINES_AT_ONCE: usize = 2;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Version of the kernel
    #[arg(long, required_unless_present_any = ["all", "pods"], value_enum)]
    kernel: Option<Version>,
    /// Nodes with systemd and containerd, and the cases of pods (narrowed by --arch)
    #[arg(long, conflicts_with_all = ["all", "kernel"])]
    pods: bool,
    /// Architecture of the machine [default: this machine's]
    #[arg(long, value_enum)]
    arch: Option<Arch>,
    /// Every machine of the matrix (narrowed by --kernel and --arch)
    #[arg(long)]
    all: bool,
    /// Only the cases whose name contains this
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Write what was seen to docs/checklist.md, rather than compare
    #[arg(long, conflicts_with = "case")]
    write: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args {
        kernel,
        pods,
        arch,
        all,
        case,
        write,
    } = args;
    let machines = match (kernel, *all || *pods) {
        (Some(version), false) => {
            let Some(arch) = arch.or(Arch::host()) else {
                bail!("say which one: --arch amd64 or --arch arm64")
            };
            vec![Machine::new(*version, arch)]
        }
        _ => matrix()
            .into_iter()
            .filter(|machine| kernel.is_none_or(|version| machine.version == version))
            .filter(|machine| *all || machine.pods)
            .filter(|machine| arch.is_none_or(|arch| machine.arch == arch))
            .collect(),
    };
    setup::prepare(setup::Purpose::Vm)?;
    let reports = run(&machines, case.as_deref())?;
    let failed: Vec<_> = reports.iter().filter(|report| !report.passed()).collect();
    if failed.is_empty() {
        return match case {
            Some(_) => Ok(()),
            None => checklist::settle(&columns(&reports), *write),
        };
    }
    let names: Vec<_> = failed.iter().map(|report| report.machine.name()).collect();
    bail!(
        "failed on {}; the machines' consoles are in {}",
        names.join(", "),
        crate::paths::logs().display()
    )
}

/// What the machines that ran all cases showed of the checklist.
pub(crate) fn columns(reports: &[Report]) -> Vec<(String, Column)> {
    reports
        .iter()
        .filter_map(|report| {
            let cases = report.cases.as_ref().ok()?;
            Some((report.machine.column(), cases.column.clone()))
        })
        .collect()
}

/// What came of one machine.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// What the cases showed, or why that is not known.
    pub(crate) cases: Result<Cases>,
    pub(crate) seconds: f64,
}

/// What the cases showed that ran on one machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cases {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    /// The tier in which headers are seen.
    pub(crate) tier: u32,
    pub(crate) column: Column,
    /// What those that failed said: a summary has to tell it, as what is above it may be cut off.
    pub(crate) failures: Vec<String>,
}

impl Cases {
    /// Takes in a line of their output; whether it was the last one: `end passed=N failed=N tier=N`.
    pub(crate) fn hear(&mut self, line: &str) -> bool {
        checklist::note(&mut self.column, line);
        if let Some(case) = line.strip_prefix("case ")
            && case.contains(" FAIL ")
        {
            self.failures.push(case.to_owned());
        }
        let Some(counts) = line.strip_prefix("end ") else {
            return false;
        };
        for (name, value) in counts.split(' ').filter_map(|word| word.split_once('=')) {
            let value = value.parse().unwrap_or(0);
            match name {
                "passed" => self.passed = value,
                "failed" => self.failed = value,
                "tier" => self.tier = value,
                _ => {}
            }
        }
        true
    }
}

impl Report {
    /// Whether every case passed, and at least one ran.
    pub(crate) fn passed(&self) -> bool {
        matches!(&self.cases, Ok(cases) if cases.failed == 0 && cases.passed > 0)
    }
}

/// Boots `machines` and runs the cases whose name contains `case`.
///
/// # Errors
/// If a program for them cannot be built or a kernel not be fetched. What fails in a machine
/// is told in its report.
pub(crate) fn run(machines: &[Machine], case: Option<&str>) -> Result<Vec<Report>> {
    let mut pending = Vec::new();
    for arch in [Arch::Amd64, Arch::Arm64] {
        let of_arch: Vec<_> = machines
            .iter()
            .filter(|machine| machine.arch == arch)
            .collect();
        if of_arch.is_empty() {
            continue;
        }
        let programs = binaries::build_static(arch, &[])?;
        for machine in of_arch {
            let kernel = machine.kernel()?;
            let deployed = machine.pods.then(|| deploy::files(arch, &programs));
            let deployed = deployed.transpose()?.unwrap_or_default();
            let image = image::make(*machine, &kernel, &programs, &[], &deployed)?;
            let disk = machine.pods.then(|| disk(arch)).transpose()?;
            pending.push((*machine, kernel, image, disk));
        }
    }
    // The longest go first, which are last here: nodes with pods, then arm64, so that no CPU waits for one of them.
    pending.sort_by_key(|(machine, ..)| (machine.pods, machine.arch == Arch::Arm64));
    let task = case.map(|case| format!("archtrace.case={case}"));
    let task = task.unwrap_or_default();
    let pending = Mutex::new(pending);
    let reports = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..MACHINES_AT_ONCE {
            scope.spawn(|| {
                while let Some((machine, kernel, image, disk)) =
                    pending.lock().ok().and_then(|mut list| list.pop())
                {
                    let start = Instant::now();
                    let boot = Boot {
                        machine,
                        kernel: &kernel.image,
                        image: &image,
                        disk: disk.as_deref(),
                        task: &task,
                        counted: false,
                    };
                    let cases = boot::cases(boot);
                    let report = Report {
                        machine,
                        cases,
                        seconds: start.elapsed().as_secs_f64(),
                    };
                    tell(&report);
                    let Ok(mut reports) = reports.lock() else {
                        return;
                    };
                    reports.push(report);
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap_or_default();
    reports.sort_by_key(|report| report.machine.name());
    Ok(reports)
}

fn tell(report: &Report) {
    let name = report.machine.name();
    match &report.cases {
        Ok(cases) => eprintln!(
            "[{name}] {} passed, {} failed ({:.1} s)",
            cases.passed, cases.failed, report.seconds
        ),
        Err(error) => eprintln!("[{name}] FAIL {error:#} ({:.1} s)", report.seconds),
    }
}
