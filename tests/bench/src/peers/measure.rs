//! What is measured of one tool.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use archtrace_harness::process::Running;
use archtrace_harness::world::run;
use nix::unistd::Pid;

use super::interrupt::{check, pause};
use super::tool::Tool;
use crate::footprint::{cpu_seconds, status};
use crate::kernel_time::{Stats, used};
use crate::summary::{Pairs, Spread, percentile, sorted};

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amounts {
    /// Execs one after another, for the kernel time.
    pub(super) execs: u32,
    /// Pairs of batches, with and without.
    pub(super) pairs: usize,
    /// Execs of one batch.
    pub(super) batch: u32,
    /// How long nothing is done.
    pub(super) idle: Duration,
    /// What each of the shells of a storm executes.
    pub(super) shell_execs: u32,
}

/// So many shells execute at once in a storm.
pub(super) const SHELLS: u32 = 8;

/// Whoever was just started or stopped has calmed down by then.
const SETTLED: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Nanoseconds of its programs in the kernel for each exec; none if it has no such programs.
    pub(super) programs: Option<f64>,
    /// Nanoseconds of its thread in the kernel for each exec.
    pub(super) kernel_thread: f64,
    pub(super) slower: Slower,
    pub(super) idle: Footprint,
    pub(super) storm: Storm,
}

/// How many times longer execs take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slower {
    /// One that nothing else disturbed, which those of the faster half mostly are: the lower quartile.
    pub(super) quartile: Spread,
    pub(super) median: Spread,
    /// The same in microseconds.
    pub(super) difference: Spread,
    /// All of them together.
    pub(super) total: Spread,
}

/// Of its process: per cent of a CPU, and kilobytes resident, of which files are no part that it owns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Footprint {
    pub(super) cpu: f64,
    pub(super) rss: f64,
    pub(super) own: f64,
}

/// As many execs at once as the machine can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm {
    pub(super) execs: u64,
    pub(super) told: u64,
    pub(super) rate: f64,
    /// Microseconds of CPU time of its process for each exec, until all is told.
    pub(super) cpu: f64,
    /// Kilobytes resident at most.
    pub(super) rss: f64,
}

impl Figures {
    /// What an exec costs in the kernel, in nanoseconds: accounted where there are programs, else what the
    /// median exec takes longer.
    pub(super) fn kernel(&self) -> Spread {
        let Spread { median, low, high } = self.slower.difference;
        let [median, low, high] = [median, low, high]
            .map(|microseconds| self.programs.unwrap_or(microseconds * 1e3) + self.kernel_thread);
        Spread { median, low, high }
    }
}

/// Measures `tool`, which runs neither before nor afterwards.
pub(super) fn measure(
    tool: &mut dyn Tool,
    amounts: Amounts,
    programs: [&Path; 3],
) -> Result<Figures> {
    let result = all(tool, amounts, programs);
    let stopped = tool.stop();
    // What went wrong first is told.
    let figures = result?;
    stopped?;
    Ok(figures)
}

fn all(
    tool: &mut dyn Tool,
    amounts: Amounts,
    [native, shell, stormy]: [&Path; 3],
) -> Result<Figures> {
    tool.start(native)?;
    let (programs, kernel_thread) = kernel_time(tool, native, amounts.execs)?;
    let idle = idle(tool, amounts.idle)?;
    tool.stop()?;
    let slower = slower(tool, native, amounts)?;
    tool.start(stormy)?;
    let storm = storm(tool, shell, stormy, amounts.shell_execs)?;
    Ok(Figures {
        programs,
        kernel_thread,
        slower,
        idle,
        storm,
    })
}

/// Nanoseconds for each exec: of the tool's programs, and of its thread in the kernel.
fn kernel_time(tool: &mut dyn Tool, native: &Path, execs: u32) -> Result<(Option<f64>, f64)> {
    // First sight of a binary may cost more.
    batch(native, 100)?;
    let pid = tool.pid()?;
    let thread = tool.kernel_thread()?;
    let thread_seconds = || thread.map_or(Ok(0.0), cpu_seconds);
    let _stats = Stats::switch_on()?;
    let (before, thread_before) = (used(pid)?, thread_seconds()?);
    batch(native, execs)?;
    pause(SETTLED)?;
    let (after, thread_after) = (used(pid)?, thread_seconds()?);
    // Those that run on every exec, once on each; others of the machine are none of its cost.
    let each = after.iter().map(|(id, now)| now.since(before.get(id)));
    let each = each.filter(|used| used.runs >= u64::from(execs));
    let ns = each.map(|used| used.ns as f64 / used.runs as f64).sum();
    let programs = (!after.is_empty()).then_some(ns);
    let thread = (thread_after - thread_before) * 1e9 / f64::from(execs);
    Ok((programs, thread))
}

fn idle(tool: &mut dyn Tool, time: Duration) -> Result<Footprint> {
    let pid = tool.pid()?;
    settle(pid)?;
    let before = cpu_seconds(pid)?;
    pause(time)?;
    let cpu = 100.0 * (cpu_seconds(pid)? - before) / time.as_secs_f64();
    Ok(Footprint {
        cpu,
        rss: kilobytes(pid, "VmRSS")?,
        own: kilobytes(pid, "RssAnon")?,
    })
}

/// Waits until a process does next to nothing, so that its start is not taken for what is measured.
fn settle(pid: Pid) -> Result<()> {
    const LITTLE: f64 = 0.01;
    const ROUNDS: usize = 10;
    for _ in 0..ROUNDS {
        let before = cpu_seconds(pid)?;
        pause(SETTLED)?;
        if cpu_seconds(pid)? - before < LITTLE {
            break;
        }
    }
    Ok(())
}

/// Execs with the tool and without it. Every second pair is the other way round, so that what drifts does
/// not favour either.
pub(super) fn slower(tool: &mut dyn Tool, native: &Path, amounts: Amounts) -> Result<Slower> {
    let mut all: [Pairs; 3] = Default::default();
    for pair in 0..amounts.pairs {
        for second in [false, true] {
            let with = (pair % 2 == 0) == second;
            if second {
                if with {
                    tool.start(native)?;
                    settle(tool.pid()?)?;
                } else {
                    tool.stop()?;
                    pause(SETTLED)?;
                }
                batch(native, 20)?;
            }
            for (pairs, value) in all.iter_mut().zip(batch(native, amounts.batch)?) {
                let side = if with {
                    &mut pairs.with
                } else {
                    &mut pairs.without
                };
                side.push(value);
            }
        }
    }
    tool.stop()?;
    let [quartiles, medians, totals] = all;
    Ok(Slower {
        quartile: quartiles.ratio(),
        median: medians.ratio(),
        difference: medians.difference(),
        total: totals.ratio(),
    })
}

/// Microseconds of the lower quartile, of the median, and of all on average, of execs one after another.
fn batch(native: &Path, execs: u32) -> Result<[f64; 3]> {
    let mut times = Vec::new();
    let start = Instant::now();
    for number in 0..execs {
        if number % 100 == 0 {
            check()?;
        }
        let start = Instant::now();
        run(native, 1)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let mean = start.elapsed().as_secs_f64() * 1e6 / f64::from(execs);
    let times = sorted(times);
    Ok([percentile(&times, 25), percentile(&times, 50), mean])
}

fn storm(tool: &mut dyn Tool, shell: &Path, native: &Path, each: u32) -> Result<Storm> {
    let execs = u64::from(each) * u64::from(SHELLS);
    let pid = tool.pid()?;
    settle(pid)?;
    reset_peak(pid)?;
    let before = cpu_seconds(pid)?;
    let rate = execs as f64 / shells(shell, native)?.as_secs_f64();
    let mut told = tool.told()?;
    let mut news = Instant::now();
    while told < execs && news.elapsed() < tool.patience() {
        pause(Duration::from_millis(500))?;
        let now = tool.told()?;
        if now != told {
            (told, news) = (now, Instant::now());
        }
    }
    let cpu = (cpu_seconds(pid)? - before) * 1e6 / execs as f64;
    let rss = kilobytes(pid, "VmHWM")?;
    tool.stop()?;
    // Some print the last of it only now.
    let told = tool.told()?;
    Ok(Storm {
        execs,
        told,
        rate,
        cpu,
        rss,
    })
}

/// How long it takes the shells to execute all of theirs.
pub(super) fn shells(shell: &Path, native: &Path) -> Result<Duration> {
    let start = Instant::now();
    let mut shells = (0..SHELLS)
        .map(|_| {
            let mut command = Command::new(shell);
            command.arg(native).stdout(Stdio::null());
            Running::start("shell", &mut command, None)
        })
        .collect::<Result<Vec<_>>>()?;
    while let Some(shell) = shells.last_mut() {
        check()?;
        match shell.ended()? {
            Some(status) => {
                ensure!(status.success(), "a shell ended with {status}");
                shells.pop();
            }
            None => sleep(Duration::from_millis(1)),
        }
    }
    Ok(start.elapsed())
}

/// Forgets how much was resident at most (`proc_pid_clear_refs(5)`): compilers at the start, mostly.
fn reset_peak(pid: Pid) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    std::fs::write(&path, "5").with_context(|| format!("write {path}"))
}

fn kilobytes(pid: Pid, field: &str) -> Result<f64> {
    let value = status(pid, field)?;
    let number = value
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    number.with_context(|| format!("{field} of {pid} is {value}"))
}
