//! A connection to whoever answers: a collector, with or without TLS, or an agent's socket.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Request, Status};
use tower::service_fn;

use super::trouble::Trouble;
use crate::args::Connection;
use crate::failure::Failure;

/// Loopback and clusters answer in milliseconds; beyond this nobody does.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Streams may be silent for long. Whoever does not answer a ping for twice this is gone.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Whom messages are about.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// By its URL.
    Collector(Arc<str>),
    /// By the path of its socket.
    Agent(Arc<str>),
}

impl Peer {
    /// Who is asked with these options.
    pub(crate) fn of(connection: &Connection) -> Self {
        match &connection.socket {
            Some(path) => Self::Agent(path.display().to_string().into()),
            None => Self::Collector(connection.server().into()),
        }
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Collector(address) | Self::Agent(address) => address,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collector(url) => write!(f, "the collector at {url}"),
            Self::Agent(path) => write!(f, "the agent at {path}"),
        }
    }
}

/// Says who asks, with each request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Connects. Certificates and tokens are read each time, because they are renewed.
pub(super) async fn connect(
    connection: &Connection,
    peer: &Peer,
) -> Result<(Channel, Bearer), Failure> {
    let Connection {
        server: _,
        socket,
        timeout: _,
        tls_ca: _,
        tls_cert: _,
        tls_key: _,
        tls_server_name: _,
        token_file,
    } = connection;
    let unreachable =
        |error: tonic::transport::Error| Trouble::of(&error).unreachable(peer.clone());
    if let Some(path) = socket {
        let channel = by_socket(path).await.map_err(unreachable)?;
        return Ok((channel, Bearer::default()));
    }
    let endpoint = Endpoint::from_shared(connection.server().to_owned()).map_err(unreachable)?;
    let is_tls = endpoint.uri().scheme_str() == Some("https");
    let bearer = match token_file {
        // Whoever listens on the way could use it.
        Some(_) if !is_tls && !is_loopback(endpoint.uri()) => {
            return Err(option(
                "--token-file",
                "a token is not sent in plaintext beyond this machine; use an https:// URL",
            ));
        }
        Some(path) => token(path)?,
        None => Bearer::default(),
    };
    let mut endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    if is_tls {
        endpoint = endpoint.tls_config(tls(connection)?).map_err(|error| {
            let why = Trouble::of(&error).to_string();
            option("--tls-ca, --tls-cert, --tls-key", &why)
        })?;
    }
    let channel = endpoint.connect().await.map_err(unreachable)?;
    Ok((channel, bearer))
}

async fn by_socket(path: &Path) -> Result<Channel, tonic::transport::Error> {
    let path = path.to_owned();
    let connector = service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // gRPC wants a host's name; this one goes nowhere.
    Endpoint::from_static("http://localhost")
        .connect_timeout(CONNECT_TIMEOUT)
        .connect_with_connector(connector)
        .await
}

fn tls(connection: &Connection) -> Result<ClientTlsConfig, Failure> {
    let Connection {
        tls_ca,
        tls_cert,
        tls_key,
        tls_server_name,
        ..
    } = connection;
    let mut tls = ClientTlsConfig::new();
    tls = match tls_ca {
        Some(path) => {
            tls.ca_certificate(Certificate::from_pem(pem("--tls-ca", path, CERTIFICATE)?))
        }
        None => tls.with_native_roots(),
    };
    match (tls_cert, tls_key) {
        (Some(cert), Some(key)) => {
            let cert = pem("--tls-cert", cert, CERTIFICATE)?;
            let key = pem("--tls-key", key, KEY)?;
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        (Some(_), None) => {
            return Err(option("--tls-cert", "it needs its key too: --tls-key FILE"));
        }
        (None, Some(_)) => {
            return Err(option(
                "--tls-key",
                "it needs its certificate too: --tls-cert FILE",
            ));
        }
        (None, None) => {}
    }
    if let Some(name) = tls_server_name {
        tls = tls.domain_name(name);
    }
    Ok(tls)
}

/// What the lines end with that begin something of these kinds (RFC 7468).
const CERTIFICATE: &str = "BEGIN CERTIFICATE-----";
const KEY: &str = "PRIVATE KEY-----";

/// A file that holds something of a kind: TLS would not say that nothing was in there.
fn pem(name: &'static str, path: &Path, kind: &str) -> Result<Vec<u8>, Failure> {
    let content = read(name, path)?;
    if String::from_utf8_lossy(&content).contains(kind) {
        return Ok(content);
    }
    let what = if kind == KEY { "key" } else { "certificate" };
    Err(option(
        name,
        &format!("{} holds no {what} (PEM)", path.display()),
    ))
}

fn token(path: &Path) -> Result<Bearer, Failure> {
    let text = read("--token-file", path)?;
    let token = String::from_utf8_lossy(&text);
    let header = format!("Bearer {}", token.trim());
    // What is wrong with it is not said: it is a secret.
    let mut header: MetadataValue<Ascii> = header.parse().map_err(|_| {
        let what = format!("{} holds no token", path.display());
        option("--token-file", &what)
    })?;
    header.set_sensitive(true);
    Ok(Bearer(Some(header)))
}

fn read(name: &'static str, path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| option(name, &format!("{}: {error}", path.display())))
}

fn option(name: &'static str, reason: &str) -> Failure {
    Failure::Option {
        name,
        reason: reason.to_owned(),
    }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// An error and what it came of. What an [`io::Error`] was made of is no source of its own.
pub(super) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| came_of(*error))
}

fn came_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match inner {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_for_loopback_and_tls() {
        for (url, loopback) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://localhost", true),
            ("http://10.0.0.1:1", false),
            ("http://localhost.example:1", false),
        ] {
            assert_eq!(is_loopback(&url.parse().expect(url)), loopback, "{url}");
        }
    }
}
