//! `kubectl port-forward` as a child: how the collector of a cluster is reached with people's own rights there.
//!
//! kubectl is asked, rather than the API, because it knows how they log in.

mod bound;
mod found;

use std::io;
use std::pin::pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) use self::bound::become_other;
use self::found::Service;
use crate::args::{Connection, Kubernetes};
use crate::failure::Failure;

/// Logging in may take as long: it may be a person who does.
const PATIENCE: Duration = Duration::from_secs(60);

/// What ends by a signal with an answer of its own does it at once.
const GRACE: Duration = Duration::from_secs(2);

/// Its last words come, and its end is seen, a little after what follows from it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// So much of what kubectl says on stderr is kept, the last of it.
const KEPT: usize = 1000;

const INSTEAD: &str = "Or name the collector with --server URL.";

/// A way to the collector, for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Forward {
    child: Child,
    url: String,
    said: Said,
    signals: Signals,
}

impl Forward {
    /// Finds the collector's service, and has kubectl forward a port of loopback to it.
    ///
    /// # Errors
    /// If there is no kubectl, no service, or more than one; what kubectl says; or a signal.
    pub(crate) async fn start(
        kubernetes: &Kubernetes,
        connection: &Connection,
    ) -> Result<Self, Failure> {
        // From now on, so that no child is left behind.
        let mut signals = Signals::new()?;
        let (child, url, said) = tokio::select! {
            started = Self::forward(kubernetes, connection) => started?,
            number = signals.next() => return Err(Failure::Interrupted(number)),
        };
        Ok(Self {
            child,
            url,
            said,
            signals,
        })
    }

    async fn forward(
        kubernetes: &Kubernetes,
        connection: &Connection,
    ) -> Result<(Child, String, Said), Failure> {
        let service = find(kubernetes).await?;
        let Service {
            namespace, name, ..
        } = &service;
        // Whoever may make a service anywhere may label it so: it is not shown a token, and does not talk people
        // out of TLS.
        let anybodys = !service.is_tls && kubernetes.collector_namespace.is_none();
        if let (true, Some(option)) = (anybodys, connection.secures()) {
            let what = format!(
                "{namespace}/{name}, which was found by its labels, has no TLS, and {option} is only for one that \
                 you trust"
            );
            let help = "Say where the collector is with --collector-namespace NAME, or leave that option out.";
            return Err(cluster(&what, help));
        }
        eprintln!("archtrace: the collector is service {name} in namespace {namespace}");
        let mut command = with_options(bound::command("kubectl"), kubernetes);
        command.args(["port-forward", "--address=127.0.0.1", "--namespace"]);
        command.arg(&service.namespace);
        command.arg(format!("service/{}", service.name));
        // Any free port here.
        command.arg(format!(":{}", service.port));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| not_started(&error))?;
        let mut said = Said::of(child.stderr.take());
        let mut lines = child
            .stdout
            .take()
            .map(|stdout| BufReader::new(stdout).lines());
        let port = async {
            while let Some(lines) = &mut lines {
                match lines.next_line().await {
                    Ok(Some(line)) => {
                        if let Some(port) = found::port(&line) {
                            return Some(port);
                        }
                    }
                    Ok(None) | Err(_) => return None,
                }
            }
            None
        };
        let port = match timeout(PATIENCE, port).await {
            Ok(Some(port)) => port,
            Ok(None) => return Err(said.ended().await),
            Err(_) => {
                return Err(cluster(
                    "kubectl port-forward does not say that it forwards",
                    INSTEAD,
                ));
            }
        };
        // It tells of each connection, and would wait for somebody who reads it.
        if let Some(mut lines) = lines {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        }
        let scheme = if service.is_tls { "https" } else { "http" };
        Ok((child, format!("{scheme}://127.0.0.1:{port}"), said))
    }

    /// Where the collector is now.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Does `work`, and ends the child, whatever comes first: the work's end, the child's, or a signal.
    ///
    /// # Errors
    /// Those of `work`; that the child has ended; or a signal.
    pub(crate) async fn during<T>(
        mut self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        let number = tokio::select! {
            done = &mut work => {
                // That nobody answers may be but what follows.
                let unreachable = matches!(done, Err(Failure::Unreachable { .. }));
                if unreachable && timeout(LAST_WORDS, self.child.wait()).await.is_ok() {
                    return Err(self.said.ended().await);
                }
                return done;
            }
            _ = self.child.wait() => return Err(self.said.ended().await),
            number = self.signals.next() => number,
        };
        let done = timeout(GRACE, work).await;
        done.unwrap_or(Err(Failure::Interrupted(number)))
    }
}

/// SIGINT and SIGTERM.
#[derive(Debug)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The number of the next one.
    async fn next(&mut self) -> u8 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        };
        u8::try_from(kind.as_raw_value()).unwrap_or_default()
    }
}

/// kubectl with people's options, which ends when it is dropped.
fn with_options(mut command: Command, kubernetes: &Kubernetes) -> Command {
    let Kubernetes {
        port_forward: _,
        context,
        kubeconfig,
        collector_namespace: _,
    } = kubernetes;
    command.stdin(Stdio::null()).kill_on_drop(true);
    if let Some(context) = context {
        command.arg("--context").arg(context);
    }
    if let Some(kubeconfig) = kubeconfig {
        command.arg("--kubeconfig").arg(kubeconfig);
    }
    command
}

async fn find(kubernetes: &Kubernetes) -> Result<Service, Failure> {
    let mut command = with_options(Command::new("kubectl"), kubernetes);
    command.args([
        "get",
        "services",
        "--output=json",
        "--selector",
        found::SELECTOR,
    ]);
    match &kubernetes.collector_namespace {
        Some(namespace) => command.arg("--namespace").arg(namespace),
        None => command.arg("--all-namespaces"),
    };
    let output = match timeout(PATIENCE, command.output()).await {
        Ok(output) => output.map_err(|error| not_started(&error))?,
        Err(_) => return Err(cluster("kubectl get services does not end", INSTEAD)),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let what = format!("kubectl get services: {}", said.trim());
        let help = "If you may not list services of all namespaces, say where it is with --collector-namespace NAME.";
        return Err(cluster(&what, help));
    }
    found::only(&output.stdout).map_err(|(what, help)| cluster(&what, help))
}

/// What kubectl said last on stderr.
#[derive(Debug)]
struct Said {
    last: Arc<Mutex<String>>,
    listening: JoinHandle<()>,
}

impl Said {
    fn of(stderr: Option<ChildStderr>) -> Self {
        let last = Arc::new(Mutex::new(String::new()));
        let kept = last.clone();
        let listening = tokio::spawn(async move {
            let Some(stderr) = stderr else { return };
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                keep(
                    &mut kept.lock().unwrap_or_else(PoisonError::into_inner),
                    &line,
                );
            }
        });
        Self { last, listening }
    }

    /// It has ended, and this is why.
    async fn ended(&mut self) -> Failure {
        // One that it started may hold its stderr open.
        let _ = timeout(LAST_WORDS, &mut self.listening).await;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let what = match last.as_str() {
            "" => "kubectl port-forward has ended".to_owned(),
            last => format!("kubectl port-forward has ended: {last}"),
        };
        cluster(&what, "Try again, or name the collector with --server URL.")
    }
}

fn keep(last: &mut String, line: &str) {
    if last.len() + line.len() > KEPT {
        last.clear();
    }
    if !last.is_empty() {
        last.push('\n');
    }
    // A line is bounded by characters, each of four bytes at most.
    last.extend(line.chars().take(KEPT));
}

fn not_started(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => cluster(
            "there is no kubectl in your PATH",
            "Install it, or name the collector with --server URL.",
        ),
        _ => cluster(&format!("kubectl does not start: {error}"), INSTEAD),
    }
}

fn cluster(what: &str, help: &'static str) -> Failure {
    Failure::Cluster {
        what: what.to_owned(),
        help,
    }
}
