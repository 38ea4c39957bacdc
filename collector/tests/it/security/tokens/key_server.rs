//! A server of keys, as an issuer of tokens has one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::super::peers::Credentials;

/// Serves a file over https to those who have the token.
pub(super) struct KeyServer {
    pub(super) port: u16,
    ended: CancellationToken,
    task: JoinHandle<()>,
}

impl KeyServer {
    pub(super) async fn start(server: &Credentials, file: PathBuf) -> Self {
        let chain = CertificateDer::pem_slice_iter(server.certificate.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).expect("PEM");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they fit");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("localhost:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let ended = CancellationToken::new();
        let serving = async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                // Whoever does not speak TLS is no client of ours.
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, &file).await;
                }
            }
        };
        let task = ended.clone().run_until_cancelled_owned(serving);
        Self {
            port,
            ended,
            task: tokio::spawn(async { task.await.map_or((), |never| never) }),
        }
    }

    pub(super) async fn end(self) {
        self.ended.cancel();
        self.task.await.expect("no panic");
    }
}

async fn answer(mut stream: TlsStream<TcpStream>, file: &Path) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.expect("a request");
        asked.push(byte);
    }
    let asked = String::from_utf8(asked).expect("text").to_lowercase();
    assert!(asked.starts_with("get /keys http/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: bearer ours\r\n"), "{asked}");
    let body = std::fs::read_to_string(file).expect("reads");
    let length = body.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.expect("writes");
    stream.shutdown().await.expect("ends");
}
