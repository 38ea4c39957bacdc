//! The program, with a kubeconfig that leads to a test's API server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::support::channel;

/// A collector of its own process.
pub(crate) struct Program {
    pub(crate) url: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    _dir: TempDir,
}

impl Program {
    /// With these options.
    pub(crate) fn start(api: &str, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let config = dir.path().join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: t\n\
             clusters: [{{name: t, cluster: {{server: \"http://{api}\"}}}}]\n\
             users: [{{name: t, user: {{}}}}]\n\
             contexts: [{{name: t, context: {{cluster: t, user: t}}}}]\n"
        );
        std::fs::write(&config, text).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_archtrace-collector"))
            .args(["--listen", "127.0.0.1:0", "--log", "info"])
            // What these tests tell of happened in 2023.
            .args(["--keep-events", "36500d", "--keep-history", "36500d"])
            .arg("--store")
            .arg(format!("sqlite:{}", dir.path().join("store.db").display()))
            .args(options)
            .env("KUBECONFIG", &config)
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy")
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = loop {
            let line = lines.next().expect("says where it listens").expect("text");
            if let Some((_, rest)) = line.split_once("address=") {
                break rest.split(' ').next().expect("one word").to_owned();
            }
        };
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            });
        });
        Self {
            url: format!("http://{address}"),
            child,
            log,
            _dir: dir,
        }
    }

    /// Lines that it logged which hold this.
    pub(crate) fn logged(&self, words: &str) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let found = log.iter().filter(|line| line.contains(words));
        found.cloned().collect()
    }

    pub(crate) async fn query(&self) -> QueryClient<Channel> {
        QueryClient::new(channel(&self.url).await)
    }

    /// The workload of each pod that has facts, as `pod workload`, once it is this.
    pub(crate) async fn until_named(&self, expected: &[&str]) {
        let mut query = self.query().await;
        let mut known = Vec::new();
        for _ in 0..600 {
            let answer = query.list_facts(v1::ListFactsRequest::default()).await;
            let facts = answer.expect("an answer").into_inner().facts;
            known = facts
                .into_iter()
                .filter_map(|fact| fact.identity)
                .map(|of| format!("{} {}", of.pod, of.workload))
                .collect();
            known.sort();
            known.dedup();
            if known == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{known:?} instead of {expected:?}; {:#?}", self.logged(""));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // After an end there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until this holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {what}");
}
