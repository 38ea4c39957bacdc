//! Requests as browsers make them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What came back.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    /// Every address that it leads to.
    pub(crate) fn links(&self) -> Vec<String> {
        let parts = self.text.split("href=\"").skip(1);
        let links = parts.filter_map(|part| part.split_once('"'));
        links.map(|(link, _)| unescape(link)).collect()
    }

    /// Its text, without elements.
    pub(crate) fn words(&self) -> String {
        let parts = self.text.split('<');
        let parts = parts.map(|part| part.split_once('>').map_or("", |(_, text)| text));
        let text: Vec<_> = parts
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect();
        unescape(&text.join(" "))
    }
}

fn unescape(text: &str) -> String {
    let text = text.replace("&#38;", "&").replace("&amp;", "&");
    text.replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
}

/// A request for a page.
pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    request(Method::GET, path, "")
}

pub(crate) fn request(method: Method, path: &str, body: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a request")
}

/// Asks, and reads all of the answer.
pub(crate) async fn ask(address: SocketAddr, request: Request<Full<Bytes>>) -> Page {
    whole(begin(address, request).await).await
}

/// Asks for a page that is there.
pub(crate) async fn page(address: SocketAddr, path: &str) -> Page {
    let page = ask(address, get(path)).await;
    assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
    page
}

pub(crate) async fn begin(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    let stream = TcpStream::connect(address).await.expect("connects");
    send(stream, request).await.expect("an answer")
}

async fn send<I>(io: I, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}

async fn whole(response: Response<Incoming>) -> Page {
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Page {
        status: head.status,
        headers: head.headers,
        text: String::from_utf8(body.to_vec()).expect("text"),
    }
}

/// Speaks TLS, and shows the certificate of this name if there is one.
pub(crate) fn tls(certificates: &Path, shows: Option<&str>, protocol: &str) -> Arc<ClientConfig> {
    let path = |name: &str| certificates.join(name);
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(path("ca.crt")).expect("a certificate");
    roots.add(ca).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = CertificateDer::pem_file_iter(path(&format!("{name}.crt")));
            let chain = chain.expect("reads").collect::<Result<_, _>>();
            let key = PrivateKeyDer::from_pem_file(path(&format!("{name}.key")));
            builder
                .with_client_auth_cert(chain.expect("PEM"), key.expect("a key"))
                .expect("they fit")
        }
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config)
}

/// Asks over TLS.
pub(crate) async fn ask_over(
    config: Arc<ClientConfig>,
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Page {
    let tcp = TcpStream::connect(address).await.expect("connects");
    let name = ServerName::try_from("localhost").expect("a name");
    let is_http2 = config.alpn_protocols == [b"h2"];
    let stream = TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .expect("TLS");
    let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    if !is_http2 {
        assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
        return whole(send(stream, request).await.expect("an answer")).await;
    }
    assert_eq!(agreed.as_deref(), Some(&b"h2"[..]));
    let executor = hyper_util::rt::TokioExecutor::new();
    let handshake = hyper::client::conn::http2::handshake(executor, TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    whole(sender.send_request(request).await.expect("an answer")).await
}
