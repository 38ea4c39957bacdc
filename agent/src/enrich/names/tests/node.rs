//! A node whose runtime does what tests want.

use std::time::Duration;

use tokio::time::timeout;

use super::super::{Config, Identity, Names, News, Pace, Socket};
use super::fake::Fake;

pub(super) const UID: &str = "2b1a1b6e-8d3e-4c57-9a4f-0e5d2c1b3a49";
/// Long enough for anything that is to happen, on a busy machine.
pub(super) const SOON: Duration = Duration::from_secs(20);
/// Long enough for what is not to happen to show, and for everything to be given up.
pub(super) const A_WHILE: Duration = Duration::from_millis(800);
/// Long enough for what comes late.
pub(super) const HOLD: Duration = Duration::from_secs(2);

pub(super) struct Node {
    pub(super) fake: Fake,
    pub(super) names: Names,
    pub(super) directory: tempfile::TempDir,
}

impl Node {
    /// A node whose runtime does not run yet.
    pub(super) fn new() -> Self {
        const RETRIES: [Duration; 20] = [Duration::from_millis(20); 20];
        let directory = tempfile::tempdir().expect("a temporary directory");
        let fake = Fake::new(directory.path());
        let names = Names::start(Config {
            socket: Socket::At(fake.socket.clone()),
            logs: directory.path().join("log"),
            pace: Pace {
                patience: Duration::from_secs(1),
                search: Duration::from_millis(30),
                check: Duration::from_millis(100),
                retries: &RETRIES,
                hold: HOLD,
            },
        });
        fake.pod(
            &id('a'),
            "api-7c9f8d5b6-x2k4z",
            UID,
            &[("pod-template-hash", "7c9f8d5b6"), ("app", "api")],
        );
        fake.image(&image(), "arm64");
        Self {
            fake,
            names,
            directory,
        }
    }

    pub(super) fn ask(&mut self, container: &str) {
        let path = Identity {
            pod_uid: UID.to_owned(),
            container_id: container.to_owned(),
            ..Identity::default()
        };
        self.names.ask(&cgroup(container), &path);
    }

    /// The next identity, images left out.
    pub(super) async fn identity(&mut self) -> Identity {
        loop {
            match timeout(SOON, self.names.next()).await.expect("news") {
                News::Identity { identity, .. } => return identity,
                News::Image(_) => {}
            }
        }
    }

    /// Nothing but images is told for a while.
    pub(super) async fn is_silent(&mut self) -> bool {
        let all = async {
            loop {
                if let News::Identity { .. } = self.names.next().await {
                    return;
                }
            }
        };
        timeout(A_WHILE, all).await.is_err()
    }

    /// Waits for a state, and takes no news.
    pub(super) async fn state(&self, expected: &str) {
        let mut state = self.names.worker.state.clone();
        let reached = state.wait_for(|state| state.to_string().contains(expected));
        timeout(SOON, reached)
            .await
            .expect(expected)
            .expect("it works");
    }
}

pub(super) fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

pub(super) fn image() -> String {
    format!("sha256:{}", id('f'))
}

pub(super) fn cgroup(container: &str) -> String {
    format!("/kubepods/pod{UID}/{container}")
}
