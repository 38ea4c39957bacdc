//! One cluster: a directory, and a server that may come and go.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Error;
use crate::keeper::Keeper;
use crate::programs::{Programs, run, system};

/// The superuser of every cluster.
pub const USER: &str = "archtrace";

/// Its password: connections have to name it.
pub const PASSWORD: &str = "s3cret-of-a-test";

/// How long a server may take until it takes connections: recovery included, on a machine that does other
/// things too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A PostgreSQL of its own.
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    dir: PathBuf,
    port: u16,
    keeper: Mutex<Option<Keeper>>,
}

impl Cluster {
    /// Makes a cluster and starts its server.
    ///
    /// # Errors
    /// If PostgreSQL says no, or the directory for temporary files cannot be written to.
    pub fn start(programs: Programs) -> Result<Self, Error> {
        let dir = tempfile::Builder::new()
            .prefix("archtrace-postgres")
            .tempdir()
            .map_err(|reason| system("make a directory", reason))?;
        let secret = dir.path().join("password");
        fs::write(&secret, PASSWORD).map_err(|reason| system("write the password", reason))?;
        if let Some((user, group)) = programs.owner() {
            for path in [dir.path(), &secret] {
                chown(path, Some(user.as_raw()), Some(group.as_raw()))
                    .map_err(|reason| system("give the directory away", reason))?;
            }
        }
        let mut initdb = programs.command(programs.path("initdb"));
        initdb
            .args([
                "--no-sync",
                "--no-instructions",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["--auth=scram-sha-256", "--username", USER, "--pwfile"])
            .arg(&secret)
            .arg(dir.path().join("data"));
        run("initdb", &mut initdb)?;
        let port = free_port().map_err(|reason| system("find a free port", reason))?;
        let cluster = Self {
            programs,
            // From here on the keeper removes it.
            dir: dir.keep(),
            port,
            keeper: Mutex::new(None),
        };
        cluster.resume()?;
        Ok(cluster)
    }

    /// Makes an empty database, and returns its URL. `name` is made of lower-case letters, digits and `_`.
    ///
    /// # Panics
    /// If the server does not.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        if let Err(error) = self.sql("postgres", &format!("CREATE DATABASE {name}")) {
            panic!("{error}");
        }
        self.url(name)
    }

    /// The URL of a database, with user and password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// The port of loopback that it listens on; the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets the server speak TLS from its next connection on, with this certificate and key, in PEM.
    ///
    /// # Errors
    /// If they cannot be written, or the server does not take them.
    pub fn speak_tls(&self, certificate: &str, key: &str) -> Result<(), Error> {
        let data = self.dir.join("data");
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = data.join(name);
            let what = "write a certificate";
            fs::write(&path, text).map_err(|reason| system(what, reason))?;
            let mode = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&path, mode).map_err(|reason| system(what, reason))?;
            if let Some((user, group)) = self.programs.owner() {
                chown(&path, Some(user.as_raw()), Some(group.as_raw()))
                    .map_err(|reason| system(what, reason))?;
            }
        }
        // ALTER SYSTEM has to be alone.
        self.sql("postgres", "ALTER SYSTEM SET ssl = on")?;
        self.sql("postgres", "SELECT pg_reload_conf()")
    }

    /// Runs statements.
    ///
    /// # Errors
    /// What the server said.
    pub fn sql(&self, database: &str, statements: &str) -> Result<(), Error> {
        let mut psql = self.psql(database);
        psql.args(["--set", "ON_ERROR_STOP=1", "--command", statements]);
        run(statements, &mut psql)
    }

    /// A `psql` that is connected to a database, prints bare values and reads no file of the user's.
    #[must_use]
    pub fn psql(&self, database: &str) -> Command {
        let mut psql = self.programs.command(self.programs.path("psql"));
        psql.env("PGPASSWORD", PASSWORD)
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--host", "127.0.0.1", "--username", USER])
            .args(["--port", &self.port.to_string(), "--dbname", database]);
        psql
    }

    /// Statements that make what is in a database, those that insert rows included.
    ///
    /// # Errors
    /// If `pg_dump` says no.
    pub fn dump(&self, database: &str) -> Result<String, Error> {
        let mut dump = self.programs.command(self.programs.path("pg_dump"));
        dump.env("PGPASSWORD", PASSWORD)
            .args([
                "--inserts",
                "--rows-per-insert=100",
                "--no-owner",
                "--no-privileges",
            ])
            .args(["--host", "127.0.0.1", "--username", USER])
            .args(["--port", &self.port.to_string(), "--dbname", database]);
        let output = dump
            .output()
            .map_err(|reason| system("run pg_dump", reason))?;
        if !output.status.success() {
            return Err(Error::Failed {
                what: "pg_dump".to_owned(),
                output: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends the server as its administrator would: connections are cut off, data is written out.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn stop(&self) -> Result<(), Error> {
        self.end(Signal::SIGINT)
    }

    /// Ends the server with -9: it has to recover when it comes back.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn kill(&self) -> Result<(), Error> {
        self.end(Signal::SIGKILL)
    }

    fn end(&self, signal: Signal) -> Result<(), Error> {
        let keeper = self
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        keeper.map_or(Ok(()), |keeper| keeper.end(signal))
    }

    /// Starts the server again, on the same port, and waits until it takes connections.
    ///
    /// # Errors
    /// What it wrote to its log, if it does not.
    pub fn resume(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let keeper = self.spawn()?;
            match self.ready(&keeper, deadline) {
                Ok(()) => {
                    *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
                    return Ok(());
                }
                // What a killed server left behind may hold memory or the port for a moment.
                Err(_) if Instant::now() < deadline => {
                    keeper.end(Signal::SIGQUIT)?;
                    thread::sleep(Duration::from_millis(200));
                }
                Err(error) => {
                    *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
                    return Err(error);
                }
            }
        }
    }

    /// [`Cluster::stop`] and [`Cluster::resume`].
    ///
    /// # Errors
    /// As theirs.
    pub fn restart(&self) -> Result<(), Error> {
        self.stop()?;
        self.resume()
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn spawn(&self) -> Result<Keeper, Error> {
        let data = self.dir.join("data");
        let port = self.port.to_string();
        let program = self.programs.path("postgres");
        let mut arguments: Vec<&OsStr> = vec![program.as_os_str(), "-D".as_ref(), data.as_ref()];
        arguments.extend(["-p", &port].map(OsStr::new));
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            // Two replicas with a pool each, and what looks into the database beside them.
            "max_connections=100",
            // What ends here is a process, never the machine: what was written is written.
            "fsync=off",
            "shared_buffers=64MB",
            "log_min_messages=warning",
        ] {
            arguments.extend(["-c", setting].map(OsStr::new));
        }
        let shell = self.programs.command("sh");
        Keeper::start(shell, &self.dir, &self.log(), &arguments)
    }

    /// Waits until the server answers; gives up early if it has ended.
    fn ready(&self, keeper: &Keeper, deadline: Instant) -> Result<(), Error> {
        loop {
            let mut psql = self.psql("postgres");
            psql.env("PGCONNECT_TIMEOUT", "5")
                .args(["--command", "SELECT 1"]);
            if run("ask PostgreSQL", &mut psql).is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline || keeper.server_has_ended() {
                return Err(Error::Failed {
                    what: "start PostgreSQL".to_owned(),
                    output: tail(&self.log()),
                });
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let keeper = self
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if keeper.is_none() {
            // Stopped: nobody else removes the files.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// The end of a log.
fn tail(path: &Path) -> String {
    let log = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = log.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// A port that is free now. Whoever takes it until the server does makes the start fail, which is tried
/// again.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
