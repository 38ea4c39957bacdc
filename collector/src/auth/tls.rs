//! The server's side of TLS, from files that may change while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::AuthError;

/// How often files are read: they are small, and their times say little (the kubelet swaps a link).
const EVERY: Duration = Duration::from_secs(5);

/// What the files say, for connections that come in from now on.
#[derive(Debug)]
pub(crate) struct Tls {
    files: Files,
    config: ArcSwap<ServerConfig>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// What was in them. Holds a private key, so it is not to be printed.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    pub(super) fn start(
        certificate: PathBuf,
        key: PathBuf,
        client_ca: Option<PathBuf>,
        ended: &CancellationToken,
    ) -> Result<Arc<Self>, AuthError> {
        let files = Files {
            certificate,
            key,
            client_ca,
        };
        let contents = files.read()?;
        let config = files.config(&contents)?;
        let tls = Arc::new(Self {
            files,
            config: ArcSwap::from_pointee(config),
        });
        let watched = Arc::clone(&tls);
        let watching = async move { watched.watch(contents).await };
        tokio::spawn(ended.clone().run_until_cancelled_owned(watching));
        Ok(tls)
    }

    /// As the files are now, for these protocols.
    pub(crate) fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let mut config = ServerConfig::clone(&self.config.load());
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Says once what is wrong with new files, and keeps the old ones in force.
    async fn watch(&self, mut known: Contents) {
        let mut said = String::new();
        loop {
            sleep(EVERY).await;
            let read = self.files.read();
            if read.as_ref().is_ok_and(|contents| *contents == known) {
                said.clear();
                continue;
            }
            let new = read.and_then(|contents| Ok((self.files.config(&contents)?, contents)));
            match new {
                Ok((config, contents)) => {
                    info!("new certificates are in force");
                    self.config.store(Arc::new(config));
                    known = contents;
                    said.clear();
                }
                Err(error) => {
                    let error = error.to_string();
                    if said != error {
                        warn!(
                            error,
                            "the certificates that were read before stay in force"
                        );
                    }
                    said = error;
                }
            }
        }
    }
}

impl Files {
    fn read(&self) -> Result<Contents, AuthError> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|error| failed("cannot read a file for TLS", path, &error.to_string()))
        };
        Ok(Contents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn config(&self, contents: &Contents) -> Result<ServerConfig, AuthError> {
        let chain = parse(&contents.certificate)
            .map_err(|reason| failed("cannot use --tls-cert", &self.certificate, &reason))?;
        // The parser's own error says nothing of the key.
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|error| failed("cannot use --tls-key", &self.key, &error.to_string()))?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| {
                failed(
                    "cannot use --tls-cert",
                    &self.certificate,
                    &error.to_string(),
                )
            })?;
        let builder = match (&self.client_ca, &contents.client_ca) {
            (Some(path), Some(pem)) => {
                let refuse = |reason: String| failed("cannot use --client-ca", path, &reason);
                let mut roots = RootCertStore::empty();
                for certificate in parse(pem).map_err(refuse)? {
                    roots
                        .add(certificate)
                        .map_err(|error| refuse(error.to_string()))?;
                }
                // Whoever has no certificate may have a token, and is told so over gRPC if not.
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| refuse(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            failed(
                "cannot use --tls-cert with --tls-key",
                &self.certificate,
                &error.to_string(),
            )
        })?;
        // A session that is taken up again is not checked against the CA again. Agents connect seldom.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// The certificates of a PEM file.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    parse(&std::fs::read(path).map_err(|error| error.to_string())?)
}

fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(certificates)
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn failed(what: &'static str, path: &Path, reason: &str) -> AuthError {
    AuthError {
        what,
        source_of: path.display().to_string(),
        reason: reason.to_owned(),
        hint: "it has to be a PEM file; archtrace-collector dev-certs makes a set for trying out",
    }
}
