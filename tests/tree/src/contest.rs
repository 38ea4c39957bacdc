//! How long it takes, beside another program that asks the same of each file.
//!
//! They take turns within one run, because machines drift; the tree is warm, since each has seen it
//! before its first turn is measured.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

/// Who is measured.
struct Contestant {
    name: &'static str,
    command: Command,
    times: Vec<Duration>,
}

/// Measures, and prints a table.
pub(crate) fn run(
    tree: &Path,
    scanelf: &Path,
    archtrace: Option<&Path>,
    rounds: usize,
) -> Result<()> {
    let this = std::env::current_exe().context("find this program")?;
    let walk = |words: &[&str]| {
        let mut command = Command::new(&this);
        command.arg("walk").args(words).arg(tree);
        command
    };
    let mut peer = Command::new(scanelf);
    // The machine of each ELF file, and its name.
    peer.args(["-q", "-R", "-F", "%a%F"]).arg(tree);
    let mut contestants = vec![
        new("scanelf -R", peer),
        new("audit, 1 thread", walk(&["--threads", "1"])),
        new("audit, 2 threads", walk(&["--threads", "2"])),
        new("audit, as an agent", walk(&["--guest"])),
    ];
    if let Some(program) = archtrace {
        let mut scan = Command::new(program);
        scan.args(["scan", "--arch", "arm64", "-o", "json"])
            .arg(tree);
        contestants.push(new("archtrace scan", scan));
    }
    for round in 0..=rounds {
        for contestant in &mut contestants {
            let time = once(&mut contestant.command)?;
            if round > 0 {
                contestant.times.push(time);
            }
        }
    }
    let peer = contestants.first_mut().map(median).unwrap_or_default();
    println!("{:<20} {:>9} {:>9} {:>9}", "", "MEDIAN", "BEST", "FASTER");
    for contestant in &mut contestants {
        let median = median(contestant);
        let best = contestant.times.first().copied().unwrap_or_default();
        println!(
            "{:<20} {:>6.0} ms {:>6.0} ms {:>8.1}x",
            contestant.name,
            median.as_secs_f64() * 1e3,
            best.as_secs_f64() * 1e3,
            peer.as_secs_f64() / median.as_secs_f64()
        );
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("ask for what children used")?;
    println!(
        "no process took more than {} KiB of memory",
        usage.max_rss()
    );
    for guest in [false, true] {
        let words: &[&str] = if guest {
            &["--guest"]
        } else {
            &["--threads", "2"]
        };
        let output = walk(words).output().context("start this program")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let memory = text.lines().last().unwrap_or_default();
        let who = if guest { "as an agent" } else { "2 threads" };
        println!(
            "memory, {who}: {}",
            memory.trim_start_matches("VmHWM:").trim()
        );
    }
    Ok(())
}

fn new(name: &'static str, command: Command) -> Contestant {
    Contestant {
        name,
        command,
        times: Vec::new(),
    }
}

fn once(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status();
    let time = start.elapsed();
    let name = command.get_program().display();
    let status = status.with_context(|| format!("start {name}"))?;
    // archtrace has findings: 2.
    ensure!(
        matches!(status.code(), Some(0 | 2)),
        "{name} ended with {status}"
    );
    Ok(time)
}

fn median(contestant: &mut Contestant) -> Duration {
    contestant.times.sort_unstable();
    let middle = contestant.times.len() / 2;
    contestant.times.get(middle).copied().unwrap_or_default()
}
