//! The real collector, as a process that can be killed.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How a collector is to be started.
#[derive(Clone, Debug)]
pub struct Config {
    /// The program.
    pub program: PathBuf,
    /// As `--store` takes it.
    pub store: String,
    /// More options.
    pub options: Vec<String>,
    /// Where it logs to. Appended to.
    pub log: PathBuf,
}

/// A running collector. It is killed when this is dropped.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    address: SocketAddr,
}

/// It has a store to open, on a machine that may have much else to do.
const START: Duration = Duration::from_secs(60);

impl Collector {
    /// Starts it on a free port of the loopback device, and waits until it listens.
    ///
    /// # Errors
    /// If it cannot be started, or ends, or does not say where it listens; with what it logged.
    pub fn start(config: &Config) -> Result<Self> {
        let Config {
            program,
            store,
            options,
            log,
        } = config;
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("open {}", log.display()))?;
        let logged = file.metadata()?.len();
        let mut command = Command::new(program);
        command
            .args(["--listen", "127.0.0.1:0", "--store", store])
            .args(options);
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        // A Ctrl-C at the terminal leaves it to its owner.
        let child = command.process_group(0).spawn();
        let child = child.with_context(|| format!("start {}", program.display()))?;
        let mut collector = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let deadline = Instant::now() + START;
        loop {
            let told = tail(log, logged)?;
            if let Some(address) = address(&told) {
                collector.address = address;
                return Ok(collector);
            }
            if let Some(status) = collector.child.try_wait()? {
                bail!("the collector ended with {status}; it said:\n{told}");
            }
            if Instant::now() > deadline {
                bail!("the collector does not listen after {START:?}; it said:\n{told}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its page is, once it said so in its log.
    ///
    /// # Errors
    /// If it does not.
    pub fn page(&self, log: &Path) -> Result<SocketAddr> {
        let deadline = Instant::now() + START;
        loop {
            let told = tail(log, 0)?;
            if let Some(page) = page(&told) {
                return Ok(page);
            }
            if Instant::now() > deadline {
                bail!("the collector does not say where its page is; it said:\n{told}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// If it had ended by itself.
    pub fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the collector had ended with {status}");
        }
        self.child.kill().context("kill the collector")?;
        self.child.wait().context("wait for the collector")?;
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // After an end there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, as cargo builds it beside the one that asks, or from `$ARCHTRACE_PROGRAMS`.
///
/// # Errors
/// If it is not there: with what to do.
pub fn program() -> Result<PathBuf> {
    const NAME: &str = "archtrace-collector";
    if let Some(programs) = std::env::var_os("ARCHTRACE_PROGRAMS") {
        return Ok(Path::new(&programs).join(NAME));
    }
    let own = std::env::current_exe().context("find this program")?;
    // Tests are in a directory below.
    let beside = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(NAME));
    beside
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "there is no {NAME} beside {}; run: cargo build -p {NAME}",
                own.display()
            )
        })
}

/// What was logged behind the first `skip` bytes.
fn tail(log: &Path, skip: u64) -> Result<String> {
    let mut file = File::open(log).with_context(|| format!("open {}", log.display()))?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(skip))?;
    let mut bytes = Vec::new();
    file.take(1 << 20).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `address=127.0.0.1:50061`, whole.
fn address(told: &str) -> Option<SocketAddr> {
    let line = told.lines().find(|line| line.contains("listening"))?;
    let (_, rest) = line.split_once("address=")?;
    rest.split_once(' ')?.0.parse().ok()
}

/// `the page is at http://127.0.0.1:50080/`, of whoever started last.
fn page(told: &str) -> Option<SocketAddr> {
    let (_, rest) = told.rsplit_once("the page is at http://")?;
    rest.split_once('/')?.0.parse().ok()
}
