//! One virtual machine from boot to poweroff.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use super::{Arch, Cases, Machine};
use crate::paths;

/// A machine that is not done by then hangs: all cases take about two minutes, those of pods some more,
/// and twice that where both CPUs of a small machine are busy.
const TIME_LIMIT: Duration = Duration::from_secs(1200);

/// Lines of console output that may wait to be read; a reader that falls behind slows the
/// machine down, and nothing is lost.
const LINES: usize = 64;

/// What the kernel's command line has besides where systemd is to take over. The rest of what Debian's
/// kernels have switched on costs time, and nothing here uses it.
const PODS: &str = " archtrace.pods systemd.unit=archtrace.target systemd.show_status=0 \
                    systemd.unified_cgroup_hierarchy=1 apparmor=0 audit=0";

/// Boots `machine` and returns what the cases showed.
///
/// # Errors
/// If QEMU cannot be started, or the machine ends or hangs before it has run all cases.
pub(super) fn boot(
    machine: Machine,
    kernel: &Path,
    image: &Path,
    disk: Option<&Path>,
    case: Option<&str>,
) -> Result<Cases> {
    let name = machine.name();
    let log = paths::logs().join(format!("vm-{}.log", name.replace(' ', "-")));
    let mut log_file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
    let mut command = qemu(machine, kernel, image, disk, case);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log_file.try_clone()?);
    let child = command
        .spawn()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    let mut child = Ended(child);
    let console = child.0.stdout.take().context("no pipe from QEMU")?;

    let (sender, lines) = mpsc::sync_channel(LINES);
    let reader = thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + TIME_LIMIT;
    let mut result = Err(anyhow!(
        "the machine ended before all cases had run; its console is in {}",
        log.display()
    ));
    let mut cases = Cases::default();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                writeln!(log_file, "{line}")?;
                // Firmware and kernel may have left a partial line before ours.
                let at = line.find("case ").or_else(|| line.find("    | "));
                if let Some(at) = at {
                    eprintln!("[{name}] {}", &line[at..]);
                }
                if cases.hear(&line[at.unwrap_or(0)..]) {
                    result = Ok(std::mem::take(&mut cases));
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                drop(child);
                let limit = TIME_LIMIT.as_secs();
                result = Err(anyhow!(
                    "not done after {limit} s; its console is in {}",
                    log.display()
                ));
                break;
            }
            Err(RecvTimeoutError::Disconnected) => {
                child.0.wait()?;
                break;
            }
        }
    }
    drop(lines);
    // Its pipe is closed now, whichever way the machine ended.
    let _ = reader.join();
    if result.is_ok() {
        fs::remove_file(image).with_context(|| format!("remove {}", image.display()))?;
    }
    result
}

fn qemu(
    machine: Machine,
    kernel: &Path,
    image: &Path,
    disk: Option<&Path>,
    case: Option<&str>,
) -> Command {
    let (program, hardware, console): (_, &[&str], _) = match machine.arch {
        // Multi-threaded translation crashed one boot in three.
        Arch::Amd64 => (
            "qemu-system-x86_64",
            &["-M", "q35", "-accel", "tcg,thread=single"],
            "ttyS0",
        ),
        Arch::Arm64 => (
            "qemu-system-aarch64",
            &["-M", "virt", "-accel", "tcg,thread=multi"],
            "ttyAMA0",
        ),
    };
    let mut line = format!(
        "console={console} quiet loglevel=4 panic=-1 mitigations=off archtrace.tier={} {}",
        machine.tier, machine.options
    );
    if let Some(case) = case {
        line.push_str(&format!(" archtrace.case={case}"));
    }
    let mut memory = "1024";
    let mut command = Command::new(program);
    if let Some(disk) = disk {
        line.push_str(PODS);
        // Also for what a disk would hold elsewhere: caches of files, and writes not yet done.
        memory = "2048";
        let drive = format!(
            "file={},format=raw,if=none,id=disk,snapshot=on,cache=unsafe",
            disk.display()
        );
        command.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"]);
    }
    command.args(hardware).args([
        "-cpu",
        machine.cpu,
        "-m",
        memory,
        "-smp",
        "2",
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-serial",
        "stdio",
    ]);
    command
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(image)
        .arg("-append")
        .arg(line);
    command
}

/// A child that does not outlive its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
