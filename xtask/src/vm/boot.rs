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

/// A machine, and what it is booted with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boot<'a> {
    pub(super) machine: Machine,
    pub(super) kernel: &'a Path,
    /// The initramfs.
    pub(super) image: &'a Path,
    /// The machine sees a copy-on-write view of it.
    pub(super) disk: Option<&'a Path>,
    /// What the init is told on the kernel's command line.
    pub(super) task: &'a str,
    /// Whether each instruction takes a nanosecond of the machine's time, whatever it takes here. Two
    /// runs then take the same time, and one CPU is all there is.
    pub(super) counted: bool,
}

/// Runs the cases that the machine is told to, and returns what they showed.
///
/// # Errors
/// See [`run`].
pub(super) fn cases(boot: Boot<'_>) -> Result<Cases> {
    let name = boot.machine.name();
    let mut cases = Cases::default();
    run(boot, |line| {
        // Firmware and kernel may have left a partial line before ours.
        let at = line.find("case ").or_else(|| line.find("    | "));
        if let Some(at) = at {
            eprintln!("[{name}] {}", &line[at..]);
        }
        cases.hear(&line[at.unwrap_or(0)..])
    })?;
    Ok(cases)
}

/// Boots a machine and has `hear` take in the lines of its console, until it is off. The initramfs is
/// removed where it did all that it was booted for.
///
/// # Errors
/// If QEMU cannot be started, or the machine ends or hangs before `hear` has said of a line that it was
/// the last one.
pub(super) fn run(boot: Boot<'_>, mut hear: impl FnMut(&str) -> bool) -> Result<()> {
    let Boot { machine, image, .. } = boot;
    let log = paths::logs().join(format!("vm-{}.log", machine.name().replace(' ', "-")));
    let mut log_file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
    let mut command = qemu(boot);
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
        "the machine ended before it was done; its console is in {}",
        log.display()
    ));
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                writeln!(log_file, "{line}")?;
                if hear(&line) {
                    result = Ok(());
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

fn qemu(boot: Boot<'_>) -> Command {
    let Boot {
        machine,
        kernel,
        image,
        disk,
        task,
        counted,
    } = boot;
    let (program, hardware, console): (_, &[&str], _) = match machine.arch {
        Arch::Amd64 => ("qemu-system-x86_64", &["-M", "q35"], "ttyS0"),
        Arch::Arm64 => ("qemu-system-aarch64", &["-M", "virt"], "ttyAMA0"),
    };
    let (accelerator, cpus): (&[&str], _) = match machine.arch {
        _ if counted => (
            &[
                "-accel",
                "tcg,thread=single",
                "-icount",
                "shift=0,sleep=off",
            ],
            "1",
        ),
        // Multi-threaded translation crashed one boot in three.
        Arch::Amd64 => (&["-accel", "tcg,thread=single"], "2"),
        Arch::Arm64 => (&["-accel", "tcg,thread=multi"], "2"),
    };
    let mut line = format!(
        "console={console} quiet loglevel=4 panic=-1 mitigations=off archtrace.tier={} {} {task}",
        machine.tier, machine.options
    );
    let mut memory = "1024";
    let mut command = Command::new(program);
    if machine.pods {
        line.push_str(PODS);
    }
    if let Some(disk) = disk {
        // Also for what a disk would hold elsewhere: caches of files, and writes not yet done.
        memory = "2048";
        let drive = format!(
            "file={},format=raw,if=none,id=disk,snapshot=on,cache=unsafe",
            disk.display()
        );
        command.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"]);
    }
    command.args(hardware).args(accelerator).args([
        "-cpu",
        machine.cpu,
        "-m",
        memory,
        "-smp",
        cpus,
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
