//! Certificates that Helm makes: an upgrade keeps them, and the programs take them.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use archtrace_chart::{Rendered, with};
use archtrace_collector::auth::{self, dev_certs};
use archtrace_collector::serve::{self, Settings};
use archtrace_collector::store::sqlite::SqliteStore;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::matrix::{NAME, NAMESPACE};

fn secret(rendered: &Rendered) -> Value {
    let secret = rendered.of_kind("Secret").next();
    secret.expect("a Secret").clone()
}

/// The CA that agents and readers are given.
fn ca(rendered: &Rendered) -> &str {
    let is_ca = |map: &&Value| map["metadata"]["name"] == "archtrace-collector-ca";
    let map = rendered
        .of_kind("ConfigMap")
        .find(is_ca)
        .expect("a ConfigMap");
    map["data"]["ca.crt"].as_str().expect("a text")
}

#[test]
fn an_upgrade_keeps_the_certificate() {
    with(|tools| {
        let mut install = |secret: &Value| {
            let made = tools.install("{}", NAME, NAMESPACE, secret);
            made.unwrap_or_else(|error| panic!("{error}"))
        };
        let first = install(&Value::Null);
        let other = install(&Value::Null);
        let mut made = secret(&first);
        assert_ne!(
            made["data"]["tls.key"],
            secret(&other)["data"]["tls.key"],
            "made anew"
        );
        // As Helm notes whose it is.
        made["metadata"]["annotations"] = json!({
            "meta.helm.sh/release-name": NAME, "meta.helm.sh/release-namespace": NAMESPACE });
        let upgraded = install(&made);
        assert_eq!(secret(&upgraded)["data"], made["data"]);
        assert_eq!(ca(&upgraded), ca(&first));
    });
}

/// By each name that agents, people and port-forwards come by, and by no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_known_by_the_certificate() {
    let Some(rendered) = with(|tools| tools.render("{}", NAME, NAMESPACE)) else {
        return;
    };
    let rendered = rendered.expect("renders");
    let dir = tempfile::tempdir().expect("a directory");
    let of_secret = |name: &str| {
        let text = secret(&rendered)["data"][name].as_str().map(str::to_owned);
        let bytes = STANDARD.decode(text.expect("is there")).expect("base64");
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("is written");
        path
    };
    // Whoever has no certificate of theirs is refused, but only after the collector's is known.
    let clients = dir.path().join("clients");
    let wanted = dev_certs::Wanted {
        out: clients.clone(),
        nodes: Vec::new(),
        cluster: None,
        servers: Vec::new(),
    };
    dev_certs::make(&wanted).expect("makes certificates");
    let auth = auth::Options {
        certificate: of_secret("tls.crt"),
        key: of_secret("tls.key"),
        client_ca: Some(clients.join("ca.crt")),
        tokens: None,
    };
    let settings = Settings {
        auth: Some(auth),
        ..Settings::new("sqlite:test".to_owned(), Duration::from_secs(60))
    };
    let store = SqliteStore::open(&dir.path().join("test.db")).expect("opens");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(serve::serve(listener, store, settings, shutdown.clone()));

    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca(&rendered).as_bytes()) {
        roots.add(certificate.expect("PEM")).expect("a CA");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config
        .with_safe_default_protocol_versions()
        .expect("versions");
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    for (name, is_known) in [
        ("archtrace-collector.archtrace.svc", true),
        ("archtrace-collector.archtrace.svc.cluster.local", true),
        ("archtrace-collector", true),
        ("localhost", true),
        ("127.0.0.1", true),
        ("archtrace-collector.other.svc", false),
    ] {
        let stream = TcpStream::connect(address).await.expect("listens");
        let name = ServerName::try_from(name).expect("a name");
        let known = connector.connect(name.clone(), stream).await;
        assert_eq!(known.is_ok(), is_known, "{name:?}: {:?}", known.err());
    }
    shutdown.cancel();
    served.await.expect("no panic").expect("ends");
}
