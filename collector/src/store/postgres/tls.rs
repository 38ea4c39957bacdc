//! TLS to the database.
//!
//! | `sslmode` | encrypted | who the server is |
//! |---|---|---|
//! | `disable` | no | |
//! | `prefer` | if the server offers it | anybody |
//! | `require` | yes | anybody; with `sslrootcert`, as `verify-ca` |
//! | `verify-ca` | yes | somebody whom a root vouches for |
//! | `verify-full` | yes | the host of the URL, whom a root vouches for |
//!
//! Roots are the certificates in the file that `sslrootcert` names, else those of the system.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::store::sql::Failure;

/// When it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    Never,
    IfOffered(Settings),
    Always(Settings),
}

/// How it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) verify: Verify,
    /// Who we are.
    pub(super) identity: Option<Identity>,
}

/// What is asked of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verify {
    Nothing,
    Chain(Roots),
    Name(Roots),
}

/// Who is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    System,
    File(PathBuf),
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Tls {
    /// What rustls needs to know; `None` without TLS.
    pub(super) fn client(&self) -> Result<Option<ClientConfig>, Failure> {
        match self {
            Self::Never => Ok(None),
            Self::IfOffered(settings) | Self::Always(settings) => client(settings).map(Some),
        }
    }
}

fn client(settings: &Settings) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions()?;
    let builder = match &settings.verify {
        Verify::Name(roots) => builder.with_root_certificates(load(roots)?),
        Verify::Chain(roots) => {
            let roots = Arc::new(load(roots)?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build()?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
        }
        Verify::Nothing => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
    };
    let Some(Identity { certificate, key }) = &settings.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("sslkey {}: {error}", key.display()))?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

fn load(roots: &Roots) -> Result<RootCertStore, Failure> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::File(path) => {
            for certificate in certificates(path)? {
                store.add(certificate)?;
            }
        }
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = store.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err(
                    "this system has no root certificates to know the database by; name a file with \
                     sslrootcert=FILE in the URL of --store"
                        .into(),
                );
            }
        }
    }
    Ok(store)
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let told = |error| format!("certificates in {}: {error}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(told)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(told)?;
    if found.is_empty() {
        return Err(format!("{} holds no certificate", path.display()).into());
    }
    Ok(found)
}

/// Takes any name, of somebody whom a root vouches for.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .0
            .verify_server_cert(end_entity, intermediates, name, ocsp, now);
        match verified {
            // The name is what is looked at last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Takes anybody, as `sslmode=require` and `prefer` say.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
