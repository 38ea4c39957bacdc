//! The page's port: the same credentials as for questions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use archtrace_collector::auth::{Options, Source};
use archtrace_collector::serve::{self, Listeners, Settings};
use archtrace_collector::store::sqlite::SqliteStore;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::peers::{self, Ca, Credentials, Files};
use super::tokens::{READER, Signer, claims, jwks, tokens};

/// Where the page is, until what is returned is dropped.
async fn page(options: Options) -> (SocketAddr, DropGuard, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(&dir.path().join("store.db")).expect("opens");
    let listen = async || TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (grpc, web) = (listen().await, listen().await);
    let address = web.local_addr().expect("bound");
    let mut settings = Settings::new("test".to_owned(), Duration::from_secs(10));
    settings.auth = Some(options);
    let shutdown = CancellationToken::new();
    let listeners = Listeners {
        grpc,
        web: Some(web),
    };
    tokio::spawn(serve::serve(listeners, store, settings, shutdown.clone()));
    (address, shutdown.drop_guard(), dir)
}

/// The first line of the answer.
async fn ask(address: SocketAddr, ca: &str, shows: Option<&Credentials>, token: &str) -> String {
    let mut config = ClientConfig::clone(&peers::config(ca, shows));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(address).await.expect("connects");
    let name = ServerName::try_from("localhost").expect("a name");
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, tcp).await.expect("TLS");
    let authorization = if token.is_empty() {
        String::new()
    } else {
        format!("Authorization: Bearer {token}\r\n")
    };
    let request =
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{authorization}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = Vec::new();
    // Some end without saying so.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn whoever_may_read_may_see_the_page() {
    let (ca, signer, stranger) = (Ca::new(), Signer::ec("one"), Signer::ec("one"));
    let files = Files::new(&ca);
    files.write("jwks", &jwks(&[&signer]));
    let mut options = files.options();
    options.tokens = Some(tokens(Source::File(files.path("jwks"))));
    let (address, _running, _dir) = page(options).await;
    let reader = json!({ "sub": READER });
    let expired = json!({ "sub": READER, "exp": 1 });
    let (agent, alice) = (ca.agent("node-1"), ca.reader());
    for (what, shows, token, status) in [
        ("nobody", None, String::new(), "401"),
        ("a reader", None, signer.sign(&claims(&reader)), "200"),
        ("an agent", None, signer.sign(&claims(&json!({}))), "403"),
        ("too late", None, signer.sign(&claims(&expired)), "401"),
        ("unknown", None, stranger.sign(&claims(&reader)), "401"),
        ("nonsense", None, "x".to_owned(), "401"),
        ("alice", Some(&alice), String::new(), "200"),
        ("node-1", Some(&agent), String::new(), "403"),
    ] {
        let told = ask(address, &ca.pem, shows, &token).await;
        assert!(told.contains(status), "{what}: {told}");
    }
}
