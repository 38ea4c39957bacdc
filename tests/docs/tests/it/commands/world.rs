//! What readers of the documents have: collectors that know a fleet, the programs, and a few files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use archtrace_docs::page::root;
use archtrace_sim::collector::{self, Collector, Config};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::run::{self, Ended};
use super::{app, fleet};

/// Programs of others that documents use in passing; there are no more in the `PATH` of commands.
const COMMON: [&str; 4] = ["cat", "hostname", "mkdir", "sleep"];

/// Whatever readers run when their canary is native.
const BENCHMARK: &str = "#!/bin/sh\necho measured\n";

/// Everything comes within moments, on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Collectors, and who reports to them, for as long as a test takes.
pub(crate) struct World {
    plain: Collector,
    secure: Collector,
    _runtime: Runtime,
    // The last that goes.
    dir: TempDir,
}

/// A directory of a reader's own: blocks of a page share it.
pub(crate) struct Place<'a> {
    world: &'a World,
    dir: PathBuf,
}

impl World {
    /// Starts the collectors, and waits until they know the fleet.
    ///
    /// # Panics
    /// If a program is not there; says how to build it.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let program = collector::program().unwrap_or_else(|error| panic!("{error}"));
        install(&dir.path().join("bin"), &program);
        let certs = dir.path().join("certs");
        let made = Command::new(&program)
            .args(["dev-certs", "--node", "node-7", "--out"])
            .arg(&certs)
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("it starts").success());
        let file = |name: &str| certs.join(name).display().to_string();
        let policy = root()
            .join("docs/policy.example.yaml")
            .display()
            .to_string();
        // A registry that is not there, and no other is asked: nothing leaves this machine.
        let options = [
            "--policy",
            &policy,
            "--registry-check",
            "--registry-only",
            "localhost:1",
        ];
        let plain = start(&dir, &program, "plain", &options);
        let (cert, key, ca) = (file("server.crt"), file("server.key"), file("ca.crt"));
        let options = ["--tls-cert", &cert, "--tls-key", &key, "--client-ca", &ca];
        let secure = start(&dir, &program, "secure", &options);
        let runtime = Runtime::new().expect("a runtime");
        runtime.spawn(fleet::report(format!("http://{}", plain.address())));
        let world = Self {
            dir,
            plain,
            secure,
            _runtime: runtime,
        };
        world.wait();
        world
    }

    /// Until all nodes are known to all answers, also to those from memory.
    fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        let place = self.place();
        let is_known = |question: &str, words: &str| {
            let ended = place.run(&[], question, None);
            ended.is_ok_and(|ended| ended.code == 0 && ended.told().contains(words))
        };
        while !(is_known("archtrace summary --by mode", "emulated")
            && is_known("archtrace nodes", "node-8")
            && is_known("archtrace events --kind illegal_instruction", "vpaddd")
            && is_known(
                "archtrace verify -n pay -l track=canary --arch arm64 --for 0s --expect-pods 3",
                "native",
            ))
        {
            assert!(Instant::now() < deadline, "the fleet does not come");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A new directory with what documents take for granted.
    pub(crate) fn place(&self) -> Place<'_> {
        let dir = tempfile::Builder::new()
            .prefix("reader-")
            .tempdir_in(self.dir.path());
        let dir = dir.expect("a directory").keep();
        fs::create_dir_all(dir.join(".local/share/bash-completion/completions"))
            .expect("a directory");
        app::save(&dir.join("app.tar"));
        for name in ["ca.crt", "reader.crt", "reader.key"] {
            fs::copy(self.dir.path().join("certs").join(name), dir.join(name)).expect("copies");
        }
        Place { world: self, dir }
    }
}

impl Place<'_> {
    /// Runs a command behind what was set before it. If it goes on, it is ended as soon as it printed `after`.
    pub(crate) fn run(
        &self,
        before: &[String],
        command: &str,
        after: Option<&str>,
    ) -> Result<Ended, String> {
        let World {
            dir, plain, secure, ..
        } = self.world;
        let script = [before, &[command.to_owned()][..]].concat().join("\n");
        let mut shell = Command::new("/bin/bash");
        shell
            .args(["-c", &script])
            .current_dir(&self.dir)
            .env_clear()
            .env("HOME", &self.dir)
            .env("PATH", dir.path().join("bin"))
            .env("ARCHTRACE_SERVER", format!("http://{}", plain.address()))
            .env("SECURE", format!("https://{}", secure.address()));
        run::run(&mut shell, after, PATIENCE)
    }
}

/// The collector's program is where cargo puts all of them.
fn install(bin: &Path, collector: &Path) {
    fs::create_dir(bin).expect("a directory");
    let archtrace = collector.with_file_name("archtrace");
    let missing = "is not there; run: cargo build -p archtrace-cli -p archtrace-collector";
    assert!(archtrace.is_file(), "{} {missing}", archtrace.display());
    let link = |file: &Path, name: &str| symlink(file, bin.join(name)).expect("a link");
    link(&archtrace, "archtrace");
    link(&archtrace, "kubectl-archtrace");
    link(collector, "archtrace-collector");
    for name in COMMON {
        let found = ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(name));
        let found = found.iter().find(|file| file.exists());
        link(found.unwrap_or_else(|| panic!("{name} is not there")), name);
    }
    let benchmark = bin.join("run-the-benchmark");
    fs::write(&benchmark, BENCHMARK).expect("writes");
    fs::set_permissions(&benchmark, fs::Permissions::from_mode(0o755)).expect("changes");
}

fn start(dir: &TempDir, program: &Path, name: &str, options: &[&str]) -> Collector {
    let file = |what: &str| dir.path().join(format!("{name}.{what}"));
    let config = Config {
        program: program.to_owned(),
        store: format!("sqlite:{}", file("db").display()),
        options: options.iter().map(|&option| option.to_owned()).collect(),
        log: file("log"),
    };
    Collector::start(&config).unwrap_or_else(|error| panic!("{error}"))
}
