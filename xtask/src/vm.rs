//! `cargo xtask vm`: boots real kernels under emulation and runs the test cases there.

mod boot;
mod image;

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::{binaries, kernel, setup};

const EXAMPLES: &str = "\
Examples:
  cargo xtask vm --kernel 6.1 --arch amd64                one kernel
  cargo xtask vm --kernel 6.1 --arch arm64 --case kinds   only the cases whose name holds 'kinds'
  cargo xtask vm --all                                    the whole matrix";

/// So many machines run at once: each keeps about a CPU busy, and the cases measure times.
const MACHINES_AT_ONCE: usize = 2;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Version of the kernel
    #[arg(long, required_unless_present = "all", value_enum)]
    kernel: Option<Version>,
    /// Architecture of the machine [default: this machine's]
    #[arg(long, value_enum)]
    arch: Option<Arch>,
    /// Every machine of the matrix (narrowed by --kernel and --arch)
    #[arg(long)]
    all: bool,
    /// Only the cases whose name contains this
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
}

/// A kernel version that a node of EKS runs, or the oldest that is promised to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Version {
    #[value(name = "5.10")]
    V5_10,
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
}

impl Version {
    fn as_str(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        }
    }
}

/// An architecture of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arch {
    #[value(name = "amd64")]
    Amd64,
    #[value(name = "arm64")]
    Arm64,
}

impl Arch {
    /// This machine's, if it is one of these.
    pub(crate) fn host() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Kubernetes' and Debian's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's name of the platform.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }
}

/// A machine to boot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) version: Version,
    pub(crate) arch: Arch,
    /// The tier in which the agent has to run there, for each of header and failure hook.
    pub(crate) tier: u8,
}

impl Machine {
    fn new(version: Version, arch: Arch) -> Self {
        // fentry needs BPF trampolines, which arm64 has since 6.4 (6.0 without ftrace's direct
        // calls); kprobes are everywhere.
        let tier = match (arch, version) {
            (Arch::Amd64, _) | (Arch::Arm64, Version::V6_12) => 1,
            (Arch::Arm64, Version::V5_10 | Version::V6_1) => 2,
        };
        Self {
            version,
            arch,
            tier,
        }
    }

    /// Such as `arm64 6.12`.
    pub(crate) fn name(self) -> String {
        format!("{} {}", self.arch.as_str(), self.version.as_str())
    }
}

/// The machines on which every case has to pass.
pub(crate) fn matrix() -> Vec<Machine> {
    use Version::{V5_10, V6_1, V6_12};
    [
        (V6_1, Arch::Amd64),
        (V6_1, Arch::Arm64),
        (V5_10, Arch::Amd64),
        (V6_12, Arch::Arm64),
        (V6_12, Arch::Amd64),
    ]
    .map(|(version, arch)| Machine::new(version, arch))
    .to_vec()
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args {
        kernel,
        arch,
        all,
        case,
    } = args;
    let machines = match (kernel, all) {
        (Some(version), false) => {
            let Some(arch) = arch.or(Arch::host()) else {
                bail!("say which one: --arch amd64 or --arch arm64")
            };
            vec![Machine::new(*version, arch)]
        }
        _ => matrix()
            .into_iter()
            .filter(|machine| kernel.is_none_or(|version| machine.version == version))
            .filter(|machine| arch.is_none_or(|arch| machine.arch == arch))
            .collect(),
    };
    setup::prepare(setup::Purpose::Vm)?;
    let failed: Vec<_> = run(&machines, case.as_deref())?
        .into_iter()
        .filter(|report| !report.passed())
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = failed.iter().map(|report| report.machine.name()).collect();
    bail!(
        "failed on {}; the machines' consoles are in {}",
        names.join(", "),
        crate::paths::logs().display()
    )
}

/// What came of one machine.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Cases that passed and failed, or why there is no such count.
    pub(crate) cases: Result<(u32, u32)>,
    pub(crate) seconds: f64,
}

impl Report {
    /// Whether every case passed, and at least one ran.
    pub(crate) fn passed(&self) -> bool {
        matches!(self.cases, Ok((passed, 0)) if passed > 0)
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
        let programs = binaries::build_static(arch)?;
        for machine in of_arch {
            let kernel = kernel::get(machine.version, arch)?;
            let image = image::make(*machine, &kernel, &programs)?;
            pending.push((*machine, kernel, image));
        }
    }
    // The emulated arm64 machines take the longest.
    pending.sort_by_key(|(machine, ..)| machine.arch == Arch::Arm64);
    let pending = Mutex::new(pending);
    let reports = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..MACHINES_AT_ONCE {
            scope.spawn(|| {
                while let Some((machine, kernel, image)) =
                    pending.lock().ok().and_then(|mut list| list.pop())
                {
                    let start = Instant::now();
                    let cases = boot::boot(machine, &kernel.image, &image, case);
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
        Ok((passed, failed)) => eprintln!(
            "[{name}] {passed} passed, {failed} failed ({:.1} s)",
            report.seconds
        ),
        Err(error) => eprintln!("[{name}] FAIL {error:#} ({:.1} s)", report.seconds),
    }
}
