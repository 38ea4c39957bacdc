//! auditd with a rule for `execve`: the kernel's audit is switched on for it, and off again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use archtrace_harness::process::Running;
use nix::unistd::Pid;

use super::interrupt::pause;
use super::tool::{Root, Tool};

const START: Duration = Duration::from_secs(10);
/// What waits in the kernel is written by then.
const DRAIN: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(20);

/// What Debian's rules set (`/etc/audit/rules.d/audit.rules`).
const BACKLOG_LIMIT: &str = "8192";
const BACKLOG_WAIT_TIME: &str = "60000";

pub(super) struct Audit {
    root: Root,
    /// What was set before, as long as it has to be set again.
    before: Option<Status>,
    rule: Vec<String>,
    exe: String,
    running: Option<Running>,
    log: Option<BufReader<File>>,
    line: Vec<u8>,
    told: u64,
}

impl Audit {
    pub(super) fn new(root: &Root) -> Self {
        Self {
            root: root.clone(),
            before: None,
            rule: Vec::new(),
            exe: String::new(),
            running: None,
            log: None,
            line: Vec::new(),
            told: 0,
        }
    }

    fn dir(&self) -> PathBuf {
        self.root.dir.join("audit")
    }

    fn log_file(&self) -> PathBuf {
        self.dir().join("audit.log")
    }

    fn ctl(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .root
            .command("/usr/sbin/auditctl", arguments)?
            .output()?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        ensure!(
            output.status.success(),
            "auditctl {} ended with {}: {}",
            arguments.join(" "),
            output.status,
            said(&output.stderr)
        );
        Ok(said(&output.stdout))
    }

    fn status(&self) -> Result<Status> {
        Status::parse(&self.ctl(&["-s"])?)
    }

    /// Somebody else's audit is not touched.
    fn unused(&self) -> Result<Status> {
        let status = self.status()?;
        let rules = self.ctl(&["-l"])?;
        ensure!(
            status.pid == 0 && rules == "No rules",
            "audit is in use on this machine (daemon {}, rules: {rules}); stop it there first",
            status.pid
        );
        ensure!(status.enabled < 2, "audit is locked until the next boot");
        Ok(status)
    }

    fn begin(&mut self, target: &Path) -> Result<()> {
        let before = self.unused()?;
        let dir = self.dir();
        if !dir.is_dir() {
            fs::DirBuilder::new().mode(0o700).create(&dir)?;
        }
        let log = self.log_file();
        File::create(&log)?.set_permissions(fs::Permissions::from_mode(0o600))?;
        let debian = self.root.root.join("etc/audit/auditd.conf");
        let debian =
            fs::read_to_string(&debian).with_context(|| format!("read {}", debian.display()))?;
        fs::write(dir.join("auditd.conf"), configuration(&debian, &log))?;
        self.log = Some(BufReader::new(File::open(&log)?));
        self.told = 0;
        self.line.clear();
        self.exe = format!("exe=\"{}\"", target.display());
        // Only of the target, so that nothing of other people's processes is written down.
        let exe = format!("exe={}", target.display());
        let rule = ["always,exit", "-F", "arch=b64", "-S", "execve", "-F", &exe];
        self.rule = rule.map(str::to_owned).to_vec();
        self.rule
            .extend(["-k", "archtrace-bench"].map(str::to_owned));

        self.before = Some(before);
        let conf = dir.display().to_string();
        let arguments = ["-n", "-s", "nochange", "-c", &conf];
        let mut command = self.root.command("/usr/sbin/auditd", &arguments)?;
        let running = Running::start("auditd", &mut command, Some(&self.root.dir.join("auditd")))?;
        let pid = running.pid();
        self.running = Some(running);
        let start = Instant::now();
        while self.status()?.pid != pid.as_raw() {
            let running = self.running.as_mut().context("auditd does not run")?;
            if let Some(status) = running.ended()? {
                bail!("auditd ended with {status}; it tells reasons to syslog only");
            }
            ensure!(
                start.elapsed() < START,
                "auditd does not listen after {START:?}"
            );
            pause(STEP)?;
        }
        self.ctl(&["-b", BACKLOG_LIMIT])?;
        self.ctl(&["--backlog_wait_time", BACKLOG_WAIT_TIME])?;
        self.change_rule("-a")?;
        self.ctl(&["-e", "1"])?;
        Ok(())
    }

    fn change_rule(&self, how: &str) -> Result<()> {
        let mut arguments = vec![how];
        arguments.extend(self.rule.iter().map(String::as_str));
        self.ctl(&arguments).map(drop)
    }

    /// All of it is tried, whatever fails.
    fn restore(&mut self) -> Result<()> {
        let Some(before) = self.before.take() else {
            return Ok(());
        };
        let rules = self.ctl(&["-l"])?;
        let rule = match rules.as_str() {
            "No rules" => Ok(()),
            _ => self.change_rule("-d"),
        };
        let start = Instant::now();
        while start.elapsed() < DRAIN && self.status().is_ok_and(|status| status.backlog > 0) {
            std::thread::sleep(STEP);
        }
        let set = [
            ("-e", before.enabled),
            ("-b", before.backlog_limit),
            ("--backlog_wait_time", before.backlog_wait_time),
        ]
        .map(|(option, value)| self.ctl(&[option, &value.to_string()]));
        // At its end the daemon takes itself out of the kernel.
        self.running = None;
        rule?;
        for result in set {
            result?;
        }
        Ok(())
    }
}

impl Tool for Audit {
    fn name(&self) -> &'static str {
        "auditd"
    }

    fn start(&mut self, target: &Path) -> Result<()> {
        self.begin(target).context("start auditd")
    }

    fn stop(&mut self) -> Result<()> {
        self.restore().context("set audit back")
    }

    fn pid(&mut self) -> Result<Pid> {
        Ok(self.running.as_ref().context("auditd does not run")?.pid())
    }

    fn told(&mut self) -> Result<u64> {
        let log = self.log.as_mut().context("auditd was not started")?;
        // At the end of the file a line may be there in part.
        while log.read_until(b'\n', &mut self.line)? > 0 {
            if self.line.ends_with(b"\n") {
                self.told += u64::from(tells_of(&self.line, &self.exe));
                self.line.clear();
            }
        }
        Ok(self.told)
    }

    fn kernel_thread(&self) -> Result<Option<Pid>> {
        for entry in fs::read_dir("/proc").context("list /proc")? {
            let path = entry?.path();
            // Threads of the kernel have names of their own only; another's name is nobody's business.
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            if name.trim() == "kauditd" {
                let pid = path
                    .file_name()
                    .and_then(|name| name.to_str()?.parse().ok());
                return Ok(pid.map(Pid::from_raw));
            }
        }
        Ok(None)
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            eprintln!(
                "could not set the kernel's audit back; see auditctl -s and auditctl -l: {error:#}"
            );
        }
    }
}

/// What `auditctl -s` says, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    enabled: u64,
    pid: i32,
    backlog: u64,
    backlog_limit: u64,
    backlog_wait_time: u64,
}

impl Status {
    fn parse(text: &str) -> Result<Self> {
        let values: BTreeMap<_, _> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        fn value<T: std::str::FromStr>(values: &BTreeMap<&str, &str>, name: &str) -> Result<T> {
            let value = values.get(name).and_then(|value| value.trim().parse().ok());
            value.with_context(|| format!("auditctl -s has no {name}"))
        }
        Ok(Self {
            enabled: value(&values, "enabled")?,
            pid: value(&values, "pid")?,
            backlog: value(&values, "backlog")?,
            backlog_limit: value(&values, "backlog_limit")?,
            backlog_wait_time: value(&values, "backlog_wait_time")?,
        })
    }
}

/// Debian's own, with its log elsewhere and in one file, so that all of it can be counted. The group it is
/// for would be looked up, and the root has none.
fn configuration(debian: &str, log: &Path) -> String {
    let mut own = String::new();
    for line in debian.lines() {
        match line.split_once('=').map(|(name, _)| name.trim()) {
            Some("log_file") => own.push_str(&format!("log_file = {}", log.display())),
            Some("log_group") => continue,
            Some("max_log_file_action") => own.push_str("max_log_file_action = IGNORE"),
            _ => own.push_str(line),
        }
        own.push('\n');
    }
    own
}

/// Whether a record is of an exec: each has several, of which one says which file runs.
fn tells_of(record: &[u8], exe: &str) -> bool {
    String::from_utf8_lossy(record)
        .split(' ')
        .any(|word| word == exe)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Status, configuration, tells_of};

    #[test]
    fn records_of_auditd() {
        let log = include_str!("captured/audit.log");
        let told = |exe: &str| {
            let lines = log.lines();
            lines.filter(|line| tells_of(line.as_bytes(), exe)).count()
        };
        assert_eq!(told("exe=\"/tmp/bench/native\""), 3);
        assert_eq!(told("exe=\"/tmp/bench/nat\""), 0);
    }

    #[test]
    fn status_of_the_kernel() {
        let status = Status::parse(include_str!("captured/auditctl.txt")).expect("a status");
        let expected = Status {
            enabled: 1,
            pid: 7428,
            backlog: 0,
            backlog_limit: 8192,
            backlog_wait_time: 60_000,
        };
        assert_eq!(status, expected);
        let error = Status::parse("enabled 1\n").expect_err("a status in part");
        assert_eq!(error.to_string(), "auditctl -s has no pid");
    }

    #[test]
    fn configuration_elsewhere() {
        let debian = "#\nwrite_logs = yes\nlog_file = /var/log/audit/audit.log\nlog_group = adm\n\
                      max_log_file = 8\nmax_log_file_action = ROTATE\n";
        let expected = "#\nwrite_logs = yes\nlog_file = /tmp/log\n\
                        max_log_file = 8\nmax_log_file_action = IGNORE\n";
        assert_eq!(configuration(debian, Path::new("/tmp/log")), expected);
    }
}
