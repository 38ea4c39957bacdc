//! Starting a registry, and ending it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Names the program.
pub const VARIABLE: &str = "ARCHTRACE_REGISTRY";

/// Who may log in to a registry that asks.
pub const USER: &str = "archtrace";

/// Their password.
pub const PASSWORD: &str = "s3cret-of-a-test";

/// The same for `htpasswd`: bcrypt, which is all that the registry takes, with the fewest rounds.
const HTPASSWD: &str = "archtrace:$2b$05$abcdefghijklmnopqrstuuUye9KAb65Fza6CF.CT57kJsr9j2GQAG\n";

/// Where Debian's package has it.
const DEBIAN: &str = "/usr/bin/docker-registry";

/// How long it may take to start, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the server when its own input ends: that is when whoever holds the other end is gone, however it went.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
"$@" </dev/null >"$LOG" 2>&1 &
server=$!
echo "$server"
read -r line
kill -KILL "$server" 2>/dev/null
wait "$server"
rm -rf "$DIR"
"#;

/// Who may pull and push.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody.
    Everybody,
    /// [`USER`] with [`PASSWORD`].
    Password,
    /// Who shows a token. Whoever tests gives them.
    Token {
        /// Where tokens are to be had.
        realm: String,
        /// PEM of the CA of their signers.
        roots: String,
    },
    /// Everybody, by TLS with this certificate and key, PEM.
    Tls {
        /// The certificate.
        certificate: String,
        /// Its key.
        key: String,
    },
}

/// A registry of its own.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    pub(crate) authorization: String,
    keeper: Child,
    input: Option<ChildStdin>,
    dir: PathBuf,
}

impl Registry {
    /// Starts one. `None` where there is no docker-registry: then tests that need it are to be left out, which
    /// was said.
    ///
    /// # Panics
    /// If it does not start; and where there is none although `CI` is `true`: a pipeline has to test it.
    #[must_use]
    pub fn start(access: &Access) -> Option<Self> {
        let set = std::env::var_os(VARIABLE).filter(|set| !set.is_empty());
        let program = set.map_or_else(|| PathBuf::from(DEBIAN), PathBuf::from);
        if !program.is_file() {
            let missing = format!(
                "there is no docker-registry here: run `cargo xtask setup --test`, or set {VARIABLE} to the program"
            );
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
            eprintln!("warning: tests with a registry are LEFT OUT: {missing}");
            return None;
        }
        // Whoever takes the port before the server does makes its start fail, which is tried again.
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::try_start(&program, access, deadline) {
                Ok(registry) => return Some(registry),
                Err(_) if Instant::now() < deadline => {}
                Err(log) => panic!("docker-registry does not start: {log}"),
            }
        }
    }

    fn try_start(program: &Path, access: &Access, deadline: Instant) -> Result<Self, String> {
        let dir = tempfile::Builder::new()
            .prefix("archtrace-registry")
            .tempdir()
            .expect("makes a directory")
            .keep();
        let free = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = free.local_addr().expect("an address");
        drop(free);
        let file = dir.join("config.yml");
        fs::write(&file, configuration(&dir, address, access)).expect("writes");
        let log = dir.join("log");
        let mut keeper = Command::new("sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(program)
            .arg("serve")
            .arg(&file)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("OTEL_TRACES_EXPORTER", "none")
            .env("LOG", &log)
            .env("DIR", &dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // The shell says how its children end.
            .stderr(Stdio::null())
            .spawn()
            .expect("starts a shell");
        let input = keeper.stdin.take();
        let mut server = String::new();
        let output = keeper.stdout.take().expect("a pipe");
        let _ = BufReader::new(output).read_line(&mut server);
        let registry = Self {
            address,
            authorization: match access {
                // printf archtrace:s3cret-of-a-test | base64
                Access::Password => "Basic YXJjaHRyYWNlOnMzY3JldC1vZi1hLXRlc3Q=".to_owned(),
                _ => String::new(),
            },
            keeper,
            input,
            dir,
        };
        let ended = || {
            let status = format!("/proc/{}/stat", server.trim());
            let state = fs::read_to_string(status).unwrap_or_default();
            // pid (name) state …; what has ended and was not waited for is a zombie.
            state
                .rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with('Z'))
        };
        while TcpStream::connect(address).is_err() {
            if ended() || Instant::now() > deadline {
                return Err(fs::read_to_string(log).unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(20));
        }
        // Somebody else's server on that port would have made ours end.
        thread::sleep(Duration::from_millis(100));
        if ended() {
            return Err(fs::read_to_string(log).unwrap_or_default());
        }
        Ok(registry)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What references to it begin with.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What pushes show from now on, such as `Bearer …`.
    pub fn authorize(&mut self, authorization: &str) {
        self.authorization = authorization.to_owned();
    }

    /// What it wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // The keeper's input ends, so it ends the server and removes its files.
        drop(self.input.take());
        let _ = self.keeper.wait();
    }
}

/// JSON, which is YAML.
fn configuration(dir: &Path, address: SocketAddr, access: &Access) -> String {
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).expect("writes");
        path.display().to_string()
    };
    let mut http = serde_json::json!({ "addr": address.to_string() });
    let mut auth = serde_json::json!({});
    match access {
        Access::Everybody => {}
        Access::Password => {
            let path = file("htpasswd", HTPASSWD);
            auth = serde_json::json!({ "htpasswd": { "realm": "a test", "path": path } });
        }
        Access::Token { realm, roots } => {
            auth = serde_json::json!({ "token": {
                "realm": realm,
                "service": "registry-of-a-test",
                "issuer": "issuer-of-a-test",
                "rootcertbundle": file("roots.pem", roots),
            } });
        }
        Access::Tls { certificate, key } => {
            http["tls"] = serde_json::json!({
                "certificate": file("server.crt", certificate),
                "key": file("server.key", key),
            });
        }
    }
    let mut whole = serde_json::json!({
        "version": 0.1,
        "log": { "level": "info", "accesslog": { "disabled": false } },
        "storage": {
            "filesystem": { "rootdirectory": dir.join("data").display().to_string() },
            "delete": { "enabled": true },
        },
        "http": http,
    });
    if !matches!(access, Access::Everybody | Access::Tls { .. }) {
        whole["auth"] = auth;
    }
    whole.to_string()
}
