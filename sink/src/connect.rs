//! Connections to a collector: certificates and tokens are read again for each, so that new ones need
//! no restart.

mod expiry;

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archtrace_facts::text::escape;
use archtrace_proto::v1::agent_ingest_client::AgentIngestClient;
use rustls::AlertDescription;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::session::SessionError;

/// A collector that does not answer is one that is gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A dead peer is noticed within two of these.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Answers are numbers and short texts; a Welcome has some hundred bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Certificates and tokens are some KiB; whatever is larger is no such file.
const MAX_FILE: u64 = 1 << 20;

/// Where a collector listens, and how to show it who reports.
#[derive(Clone, Debug)]
pub struct Collector {
    endpoint: Endpoint,
    tls: bool,
    files: Files,
}

/// Which files show who is who. Their contents are never kept or logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Certificates (PEM) of those who may have signed the collector's.
    pub ca: Option<PathBuf>,
    /// This node's certificate (PEM), its chain after it.
    pub cert: Option<PathBuf>,
    /// The key of `cert` (PEM).
    pub key: Option<PathBuf>,
    /// A token of a service account, bound to this node's pod.
    pub token: Option<PathBuf>,
    /// The name in the collector's certificate, where it is not the URL's.
    pub server_name: Option<String>,
}

/// An option that cannot be used; what it is and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadOption(String);

/// A connection, and the token that goes with each stream.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(crate) client: AgentIngestClient<Channel>,
    pub(crate) token: Option<MetadataValue<Ascii>>,
    /// What error messages name.
    pub(crate) files: Files,
}

impl Collector {
    /// The collector at `url`, which begins with `http://` or `https://`.
    ///
    /// # Errors
    /// What does not fit together; nothing is read or connected yet.
    pub fn new(url: &str, files: Files) -> Result<Self, BadOption> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| {
            let why = error
                .source()
                .map_or(error.to_string(), ToString::to_string);
            BadOption(format!(
                "--collector {url}: {why}; a URL such as http://127.0.0.1:50061"
            ))
        })?;
        let tls = match endpoint.uri().scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => {
                return Err(BadOption(format!(
                    "--collector {url}: begins with neither http:// nor https://"
                )));
            }
        };
        if files.cert.is_some() != files.key.is_some() {
            return Err(BadOption(
                "--tls-cert and --tls-key go together: give both or none".to_owned(),
            ));
        }
        if tls && files.ca.is_none() {
            return Err(BadOption(format!(
                "--collector {url}: give the CA of the collector's certificate by --tls-ca FILE"
            )));
        }
        if !tls && (files.ca.is_some() || files.cert.is_some()) {
            return Err(BadOption(format!(
                "--collector {url}: --tls-ca and --tls-cert are for https:// only"
            )));
        }
        let collector = Self {
            endpoint: endpoint
                .connect_timeout(CONNECT_TIMEOUT)
                .http2_keep_alive_interval(KEEPALIVE)
                .keep_alive_timeout(KEEPALIVE)
                .keep_alive_while_idle(true),
            tls,
            files,
        };
        if collector.is_exposed() && collector.files.token.is_some() {
            return Err(BadOption(format!(
                "--collector {url}: everybody on the way could read the token of --token-file; use https://"
            )));
        }
        Ok(collector)
    }

    /// Whether whoever is on the way can read and change what is said.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let host = self.endpoint.uri().host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = host == "localhost"
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        !self.tls && !loopback
    }

    /// Connects, with what its files say now.
    ///
    /// # Errors
    /// [`SessionError::Connect`] if there is nobody, or if one does not trust the other;
    /// [`SessionError::File`] if a file cannot be used.
    pub async fn connect(&self) -> Result<Connection, SessionError> {
        let mut endpoint = self.endpoint.clone();
        if self.tls {
            endpoint = endpoint.tls_config(self.tls_config()?).map_err(|error| {
                SessionError::File(format!(
                    "--tls-ca, --tls-cert and --tls-key: {}",
                    said(&error, &self.files)
                ))
            })?;
        }
        let token = self.files.token.as_deref().map(token).transpose()?;
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| SessionError::Connect(said(&error, &self.files)))?;
        let client = AgentIngestClient::new(channel).max_decoding_message_size(MAX_ANSWER);
        Ok(Connection {
            client,
            token,
            files: self.files.clone(),
        })
    }

    fn tls_config(&self) -> Result<ClientTlsConfig, SessionError> {
        let Files {
            ca,
            cert,
            key,
            token: _,
            server_name,
        } = &self.files;
        let mut config = ClientTlsConfig::new();
        if let Some(ca) = ca {
            config = config.ca_certificate(Certificate::from_pem(certificates("--tls-ca", ca)?));
        }
        if let (Some(cert), Some(key)) = (cert, key) {
            let cert = certificates("--tls-cert", cert)?;
            let pem = read("--tls-key", key)?;
            if PrivateKeyDer::from_pem_slice(&pem).is_err() {
                return Err(unusable("--tls-key", key, "holds no private key (PEM)"));
            }
            config = config.identity(Identity::from_pem(cert, pem));
        }
        if let Some(name) = server_name {
            config = config.domain_name(name);
        }
        Ok(config)
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.uri().fmt(f)
    }
}

fn token(path: &Path) -> Result<MetadataValue<Ascii>, SessionError> {
    let unusable =
        |why: &str| SessionError::File(format!("--token-file {}: {why}", path.display()));
    let token = String::from_utf8(read("--token-file", path)?);
    let token = token.map_err(|_| unusable("is no text"))?;
    let token = token.trim();
    if token.is_empty() {
        return Err(unusable("is empty"));
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| unusable("holds characters that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A file with certificates, as it is.
fn certificates(option: &str, path: &Path) -> Result<Vec<u8>, SessionError> {
    let pem = read(option, path)?;
    match CertificateDer::from_pem_slice(&pem) {
        Ok(_) => Ok(pem),
        Err(_) => Err(unusable(option, path, "holds no certificate (PEM)")),
    }
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>, SessionError> {
    let size = std::fs::metadata(path).map(|file| file.len());
    let bytes = match size {
        Ok(size) if size > MAX_FILE => Err(std::io::Error::other("is larger than 1 MiB")),
        Ok(_) => std::fs::read(path),
        Err(error) => Err(error),
    };
    bytes.map_err(|error| unusable(option, path, &error.to_string()))
}

fn unusable(option: &str, path: &Path, why: &str) -> SessionError {
    SessionError::File(format!("{option} {}: {why}", path.display()))
}

/// What went wrong, and what to do about it: the innermost cause, which transports wrap several times.
pub(crate) fn said(error: &(dyn Error + 'static), files: &Files) -> String {
    let mut cause = error;
    loop {
        if let Some(tls) = tls_error(cause) {
            return tls_said(tls, files);
        }
        match cause.source() {
            Some(source) => cause = source,
            None => {
                let text = cause.to_string();
                // A peer may have chosen it.
                return alert(&text).map_or(escape(text.as_bytes()), |alert| {
                    tls_said(&rustls::Error::AlertReceived(alert), files)
                });
            }
        }
    }
}

/// An I/O error hides what it wraps from `source`.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let io = error.downcast_ref::<std::io::Error>();
    let inner = io.and_then(std::io::Error::get_ref);
    let inner = inner.and_then(|inner| inner.downcast_ref());
    inner.or_else(|| error.downcast_ref())
}

/// HTTP/2 keeps nothing of an error but its text.
fn alert(text: &str) -> Option<AlertDescription> {
    let (_, name) = text.split_once("received fatal alert: ")?;
    let known = [
        AlertDescription::CertificateRequired,
        AlertDescription::CertificateExpired,
        AlertDescription::UnknownCA,
    ];
    known.into_iter().find(|alert| name == format!("{alert:?}"))
}

fn tls_said(error: &rustls::Error, files: &Files) -> String {
    use rustls::{CertificateError as Certificate, Error as Tls};
    let path = |path: &Option<PathBuf>| {
        let path = path.as_deref().unwrap_or(Path::new(""));
        path.display().to_string()
    };
    match error {
        Tls::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature) => format!(
            "the collector's certificate is of an unknown CA: --tls-ca {} has to hold the one that signed it",
            path(&files.ca)
        ),
        Tls::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            format!("the collector's certificate has expired, or a clock is wrong ({error})")
        }
        Tls::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => {
            format!("the collector's certificate has another name; see --tls-server-name ({error})")
        }
        Tls::AlertReceived(AlertDescription::CertificateRequired) => {
            "the collector wants a certificate: give --tls-cert and --tls-key".to_owned()
        }
        Tls::AlertReceived(AlertDescription::CertificateExpired) => {
            let cert = files
                .cert
                .as_deref()
                .and_then(|cert| std::fs::read(cert).ok());
            let cert = cert.and_then(|pem| CertificateDer::from_pem_slice(&pem).ok());
            let end = cert.and_then(|cert| expiry::expiry(&cert));
            format!(
                "the certificate {} expired on {} UTC: renew it, no restart is needed",
                path(&files.cert),
                end.as_deref().unwrap_or("an unknown day")
            )
        }
        Tls::AlertReceived(AlertDescription::UnknownCA) => format!(
            "the collector does not know the CA of the certificate {}",
            path(&files.cert)
        ),
        Tls::InvalidMessage(_) => format!(
            "what answers does not speak TLS: is it meant to be http:// instead of https://? ({error})"
        ),
        error => format!("TLS: {error}"),
    }
}
