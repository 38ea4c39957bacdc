//! Reads a file, or asks an https server.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::time::Duration;

use archtrace_facts::text::with_causes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tokio_util::bytes::Bytes;

use super::Source;
use crate::auth::AuthError;
use crate::auth::tls::{certificates, provider};

/// How long the server may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// An API server's keys are some 1,000 bytes.
const MAX_BYTES: usize = 1 << 20;

type Https = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

#[derive(Debug)]
pub(super) enum Fetcher {
    File(PathBuf),
    Url {
        url: Uri,
        token: Option<PathBuf>,
        client: Box<Https>,
    },
}

impl Fetcher {
    pub(super) fn new(source: Source) -> Result<Self, AuthError> {
        Ok(match source {
            Source::File(path) => Self::File(path),
            Source::Url { url, ca, token } => Self::Url {
                url,
                token,
                client: Box::new(client(ca.as_deref())?),
            },
        })
    }

    pub(super) async fn fetch(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => read(path),
            Self::Url { url, token, client } => {
                let answer = timeout(TIMEOUT, ask(client, url, token.as_deref())).await;
                answer.unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")))
            }
        }
    }
}

impl Display for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url { url, .. } => write!(f, "{url}"),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| error.to_string())
}

fn client(ca: Option<&Path>) -> Result<Https, AuthError> {
    let failed = |reason: String| AuthError {
        what: "cannot ask for the keys of tokens",
        source_of: ca.map_or("the system's CAs".to_owned(), |ca| ca.display().to_string()),
        reason,
        hint: "--token-jwks-ca is the PEM file of the CA that signed the certificate of --token-jwks",
    };
    let builder = HttpsConnectorBuilder::new();
    let builder = match ca {
        None => builder
            .with_provider_and_native_roots(provider())
            .map_err(|error| failed(error.to_string()))?,
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path).map_err(failed)? {
                roots
                    .add(certificate)
                    .map_err(|error| failed(error.to_string()))?;
            }
            let config = ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(|error| failed(error.to_string()))?
                .with_root_certificates(roots)
                .with_no_client_auth();
            builder.with_tls_config(config)
        }
    };
    let connector = builder.https_only().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

async fn ask(client: &Https, url: &Uri, token: Option<&Path>) -> Result<Vec<u8>, String> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = url.clone();
    if let Some(path) = token {
        // Read each time: the kubelet renews it.
        let token = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut header = HeaderValue::from_bytes(&[b"Bearer ", token.trim_ascii()].concat())
            .map_err(|_| format!("{}: is no token", path.display()))?;
        header.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, header);
    }
    let answer = client.request(request).await.map_err(|e| with_causes(&e))?;
    if answer.status() != StatusCode::OK {
        return Err(format!("it answered {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
    let body = body.map_err(|error| with_causes(error.as_ref()))?;
    Ok(body.to_bytes().to_vec())
}
