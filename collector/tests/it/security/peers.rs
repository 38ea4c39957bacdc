//! Credentials of all kinds, collectors that ask for them, and clients that show them.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_collector::auth::Options;
use archtrace_collector::serve::Settings;
use archtrace_facts::report::Hello;
use archtrace_proto::v1;
use archtrace_proto::v1::agent_ingest_client::AgentIngestClient;
use archtrace_proto::v1::query_client::QueryClient;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

use crate::support::{self, Collector};

/// A certificate and its key, PEM.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A CA.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// When a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Now,
    UntilYesterday,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signs").pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    pub(crate) fn issue(
        &self,
        common: &str,
        organisation: &str,
        names: &[&str],
        holds: Holds,
    ) -> Credentials {
        const DAY: Duration = Duration::from_secs(86_400);
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        params
            .distinguished_name
            .push(DnType::OrganizationName, organisation);
        let now = SystemTime::now();
        params.not_before = (now - 2 * DAY).into();
        params.not_after = match holds {
            Holds::Now => now + DAY,
            Holds::UntilYesterday => now - DAY,
        }
        .into();
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signs");
        Credentials {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn agent(&self, node: &str) -> Credentials {
        self.issue(node, "archtrace:agents", &[], Holds::Now)
    }

    pub(crate) fn reader(&self) -> Credentials {
        self.issue("alice", "archtrace:readers", &[], Holds::Now)
    }

    pub(crate) fn server(&self) -> Credentials {
        self.issue("collector", "", &["localhost"], Holds::Now)
    }
}

/// A server's files.
pub(crate) struct Files {
    pub(crate) dir: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new(ca: &Ca) -> Self {
        let files = Self {
            dir: tempfile::tempdir().expect("a directory"),
        };
        files.serve_as(&ca.server());
        files.write("ca.crt", &ca.pem);
        files
    }

    pub(crate) fn serve_as(&self, server: &Credentials) {
        self.write("tls.crt", &server.certificate);
        self.write("tls.key", &server.key);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        // As the kubelet does: the new file is there at once.
        let new = self.path("new");
        fs::write(&new, text).expect("writes");
        fs::rename(new, self.path(name)).expect("moves");
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            certificate: self.path("tls.crt"),
            key: self.path("tls.key"),
            client_ca: Some(self.path("ca.crt")),
            tokens: None,
        }
    }
}

pub(crate) async fn collector(options: Options) -> Collector {
    let mut settings = Settings::new("test".to_owned(), Duration::from_secs(10));
    settings.auth = Some(options);
    Collector::with(settings).await
}

/// Who talks to a collector.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    pub(crate) token: Option<String>,
}

impl Client {
    /// Trusts `ca`, and shows a certificate if it has one.
    pub(crate) fn new(address: SocketAddr, ca: &str, shows: Option<&Credentials>) -> Self {
        Self {
            address,
            config: config(ca, shows),
            token: None,
        }
    }

    pub(crate) async fn channel(&self) -> Result<Channel, tonic::transport::Error> {
        let config = Arc::clone(&self.config);
        let address = self.address;
        let connect = move |_: Uri| {
            let config = Arc::clone(&config);
            async move {
                let tcp = TcpStream::connect(address).await?;
                let name = ServerName::try_from("localhost").expect("a name");
                let tls = TlsConnector::from(config).connect(name, tcp).await?;
                Ok::<_, std::io::Error>(TokioIo::new(tls))
            }
        };
        Endpoint::from_static("http://localhost")
            .connect_with_connector(tower::service_fn(connect))
            .await
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").parse().expect("a header");
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    /// Says Hello: `Ok` when it is welcomed.
    pub(crate) async fn report(&self, hello: &Hello) -> Result<(), Status> {
        let channel = self.channel().await.map_err(unreachable)?;
        let hello = v1::SyncRequest {
            message: Some(Request::Hello(hello.into())),
        };
        let stream = self.request(tokio_stream::iter([hello]));
        let answers = AgentIngestClient::new(channel).sync(stream).await?;
        match answers.into_inner().message().await? {
            Some(v1::SyncResponse {
                message: Some(Response::Welcome(_)),
            }) => Ok(()),
            other => panic!("{other:?} instead of Welcome"),
        }
    }

    pub(crate) async fn status(&self) -> Result<v1::GetServerStatusResponse, Status> {
        let channel = self.channel().await.map_err(unreachable)?;
        let request = self.request(v1::GetServerStatusRequest {});
        let status = QueryClient::new(channel).get_server_status(request).await?;
        Ok(status.into_inner())
    }

    /// What was refused so far.
    pub(crate) async fn refusals(&self) -> Vec<(String, u64)> {
        let refusals = self.status().await.expect("an answer").refusals;
        let refusals = refusals.into_iter();
        refusals.map(|one| (one.reason, one.count)).collect()
    }
}

pub(super) fn config(ca: &str, shows: Option<&Credentials>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(certificate.expect("PEM")).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some(Credentials { certificate, key }) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
            let chain = chain.collect::<Result<_, _>>().expect("PEM");
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(chain, key).expect("they fit")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// No connection came about.
fn unreachable(error: tonic::transport::Error) -> Status {
    Status::from_error(Box::new(error))
}

pub(crate) fn expect<T: std::fmt::Debug>(
    what: &str,
    answer: Result<T, Status>,
    expected: Result<(), (Code, &str)>,
) {
    match (answer, expected) {
        (Ok(_), Ok(())) => {}
        (Err(status), Err((code, words)))
            if status.code() == code && status.message().contains(words) => {}
        (answer, _) => panic!("{what}: {answer:?}, not {expected:?}"),
    }
}

pub(crate) fn hello(node: &str) -> Hello {
    support::hello(node, 1)
}

/// Waits until something is so; a busy machine may take its time.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !is_so().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "not within 60 s: {what}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub(crate) fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("reads")).into_owned()
}
