//! Which options go together, and what is said where one does not trust the other.

use std::path::{Path, PathBuf};

use archtrace_facts::node::Preflight;
use archtrace_sink::{Collector, Files, Outbox, Queue};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use crate::fake::{Agent, Fake, SOON};

#[test]
fn options_that_do_not_go_together_are_named() {
    let file = |name: &str| Some(PathBuf::from(name));
    let ca = || Files {
        ca: file("/ca"),
        ..Files::default()
    };
    for (url, files, said) in [
        ("http://127.0.0.1:1", Files::default(), None),
        ("https://collector:1", ca(), None),
        ("https://collector:1", Files::default(), Some("--tls-ca")),
        ("http://127.0.0.1:1", ca(), Some("https://")),
        ("collector:1", Files::default(), Some("http://")),
        ("", Files::default(), Some("URL")),
        (
            "https://collector:1",
            Files {
                cert: file("/cert"),
                ..ca()
            },
            Some("--tls-key"),
        ),
        (
            "http://collector:1",
            Files {
                token: file("/token"),
                ..Files::default()
            },
            Some("--token-file"),
        ),
        (
            "http://127.0.0.1:1",
            Files {
                token: file("/token"),
                ..Files::default()
            },
            None,
        ),
    ] {
        let refused = Collector::new(url, files)
            .err()
            .map(|error| error.to_string());
        match (&refused, said) {
            (None, None) => {}
            (Some(refused), Some(said)) => assert!(refused.contains(said), "{url}: {refused}"),
            _ => panic!("{url}: {refused:?}"),
        }
    }
}

#[test]
fn only_loopback_may_be_plain() {
    for (url, exposed) in [
        ("http://127.0.0.1:1", false),
        ("http://[::1]:1", false),
        ("http://localhost:1", false),
        ("http://10.0.0.1:1", true),
        ("http://localhost.example:1", true),
    ] {
        let collector = Collector::new(url, Files::default()).expect("a URL");
        assert_eq!(collector.is_exposed(), exposed, "{url}");
    }
}

#[tokio::test]
async fn files_are_read_when_connecting_and_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ca.pem");
    let files = Files {
        ca: Some(path.clone()),
        ..Files::default()
    };
    let collector = Collector::new("https://127.0.0.1:9", files).expect("options");
    let error = collector.connect().await.expect_err("no file").to_string();
    assert!(
        error.contains("--tls-ca") && error.contains("ca.pem"),
        "{error}"
    );
    std::fs::write(&path, "no certificate").expect("written");
    let error = collector.connect().await.expect_err("no certificate");
    assert!(error.to_string().contains("--tls"), "{error}");
}

#[tokio::test]
async fn a_token_is_read_each_time_and_never_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("token");
    let mut fake = Fake::start().await;
    let files = Files {
        token: Some(path.clone()),
        ..Files::default()
    };
    let collector = Collector::new(&fake.url(), files).expect("options");
    let error = collector.connect().await.expect_err("no file").to_string();
    assert!(error.contains("--token-file"), "{error}");
    std::fs::write(&path, "s3cret\n").expect("written");
    let connection = collector.connect().await.expect("connected");
    assert!(!format!("{connection:?}{collector:?}").contains("s3cret"));
    std::fs::write(&path, "s3\u{7}cret\n").expect("written");
    let error = collector.connect().await.expect_err("no token").to_string();
    assert!(
        error.contains("--token-file") && !error.contains("cret"),
        "{error}"
    );
    let none = fake
        .count(std::time::Duration::from_millis(10), async |_| {})
        .await;
    assert_eq!(none, 0);
}

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        let key = KeyPair::generate().expect("a key");
        // Else all have one name, and are told apart by their keys only.
        let name = format!("CA {:?}", &key.public_key_raw()[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key).expect("signed"))
    }

    /// A certificate for this name that ends with this year, and its key.
    fn issue(&self, name: &str, year: i32) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.0).expect("signed");
        (cert.pem(), key.serialize_pem())
    }
}

/// A collector with this certificate, that wants one of `ca` from agents.
async fn collector(ca: &Ca, (cert, key): (String, String)) -> Fake {
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(cert, key))
        .client_ca_root(Certificate::from_pem(ca.0.pem()));
    let server = Server::builder().tls_config(tls).expect("a certificate");
    Fake::with(server).await
}

fn files(dir: &Path, ca: &Ca, (cert, key): (String, String)) -> Files {
    let write = |name: &str, content: String| {
        let path = dir.join(name);
        std::fs::write(&path, content).expect("written");
        Some(path)
    };
    Files {
        ca: write("ca.pem", ca.0.pem()),
        cert: write("cert.pem", cert),
        key: write("key.pem", key),
        server_name: Some("collector".to_owned()),
        ..Files::default()
    }
}

/// What a stream ends by, before or after the handshake.
async fn refusal(fake: &Fake, files: Files) -> String {
    let url = format!("https://{}", fake.address);
    let collector = Collector::new(&url, files).expect("options");
    let connection = match collector.connect().await {
        Ok(connection) => connection,
        Err(error) => return error.to_string(),
    };
    let outbox = Outbox::<u64>::new(Preflight::default(), Queue::new(7));
    let identity = crate::fake::identity();
    let ended = archtrace_sink::session::run(connection, &identity, &outbox);
    let ended = tokio::time::timeout(SOON, ended).await.expect("in time");
    ended.error.to_string()
}

#[tokio::test]
async fn certificates_are_renewed_without_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let ca = Ca::new();
    let mut fake = collector(&ca, ca.issue("collector", 2999)).await;
    let files = files(dir.path(), &ca, ca.issue("n", 2021));
    let cert = dir.path().join("cert.pem");
    let expired = refusal(&fake, files.clone()).await;
    let said = format!("{} expired on 2021-12-31 00:00:00 UTC", cert.display());
    assert!(expired.contains(&said), "{expired}");

    let url = format!("https://{}", fake.address);
    let agent = Agent::with(&url, files, Queue::new(7));
    agent.ran(1, 1);
    let (renewed, key) = ca.issue("n", 2999);
    std::fs::write(cert, renewed).expect("written");
    std::fs::write(dir.path().join("key.pem"), key).expect("written");
    let mut stream = fake.stream().await;
    stream.welcome().await;
    assert_eq!(stream.state().await.upserts.len(), 1);
}

#[tokio::test]
async fn whoever_is_not_trusted_is_told_what_to_do() {
    let (ca, other) = (Ca::new(), Ca::new());
    let good = || ca.issue("n", 2999);
    for (server, trusted, client, name, said) in [
        (
            ca.issue("collector", 2999),
            &other,
            good(),
            "collector",
            "--tls-ca",
        ),
        (
            ca.issue("collector", 2021),
            &ca,
            good(),
            "collector",
            "has expired",
        ),
        (
            ca.issue("collector", 2999),
            &ca,
            good(),
            "elsewhere",
            "--tls-server-name",
        ),
        (
            ca.issue("collector", 2999),
            &ca,
            other.issue("n", 2999),
            "collector",
            "cert.pem",
        ),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let fake = collector(&ca, server).await;
        let files = Files {
            server_name: Some(name.to_owned()),
            ..files(dir.path(), trusted, client)
        };
        let refused = refusal(&fake, files).await;
        assert!(refused.contains(said), "{said}: {refused}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let fake = collector(&ca, ca.issue("collector", 2999)).await;
    let without = Files {
        cert: None,
        key: None,
        ..files(dir.path(), &ca, good())
    };
    let refused = refusal(&fake, without).await;
    assert!(refused.contains("--tls-cert"), "{refused}");
    // Two that do not speak the same.
    let plain = Fake::start().await;
    let refused = refusal(&plain, files(dir.path(), &ca, good())).await;
    assert!(refused.contains("http://"), "{refused}");
}
