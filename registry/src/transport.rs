//! One request: its deadline, how much is taken of its answer, and where a registry may lead.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use archtrace_facts::text::{escape, with_causes};
use http::header::{ACCEPT, AUTHORIZATION, LOCATION, RETRY_AFTER, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::error::RegistryError;
use crate::place::{Local, Places, Resolve, is_loopback, system};

/// How long one request may take, its answer included.
pub(crate) const REQUEST: Duration = Duration::from_secs(10);
/// Of that, the connection.
const CONNECT: Duration = Duration::from_secs(5);
/// What registries take of a manifest (distribution, `registry/handlers/manifests.go`); configurations are
/// some kB. So it is 16 MiB at worst, with four references at once.
pub(crate) const MAX_BYTES: usize = 4 << 20;
/// Of the head of an answer: redirects to object stores carry signatures of some kB.
const MAX_HEAD: usize = 64 << 10;
/// A connection that waits for the next tag of its registry.
const IDLE: Duration = Duration::from_secs(15);

/// Whom to trust.
#[derive(Clone, Debug)]
pub struct Options {
    /// Hosts, with their port if one is named, that may be spoken to without TLS, besides loopback.
    pub plaintext: Vec<String>,
    /// Hosts, in the same form, that may be on this machine or its link; as may those above, and what has a name or
    /// an address of loopback.
    pub local: Vec<String>,
    /// Who signs certificates of registries.
    pub roots: RootCertStore,
}

/// A CA that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {reason}", path.display())]
pub struct RootsError {
    path: PathBuf,
    reason: String,
}

/// The CAs that this system trusts, and those of a PEM file.
///
/// # Errors
/// If the file cannot be read or holds none.
pub fn roots(file: Option<&Path>) -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore::empty();
    // Those that do not read are of no use to anybody; a container may have none at all.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let Some(path) = file else { return Ok(roots) };
    let failed = |reason: String| RootsError {
        path: path.to_owned(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        let added = roots.add(certificate);
        added.map_err(|error| failed(error.to_string()))?;
        count += 1;
    }
    if count == 0 {
        return Err(failed("there is no certificate in it".to_owned()));
    }
    Ok(roots)
}

/// Sends requests.
pub(crate) struct Transport {
    client: Client<HttpsConnector<HttpConnector<Places>>, Empty<Bytes>>,
    plaintext: Vec<String>,
    places: Places,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("plaintext", &self.plaintext)
            .finish_non_exhaustive()
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) accept: &'static str,
    pub(crate) authorization: Option<&'a HeaderValue>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Of answers that are 200; empty of others.
    pub(crate) body: Vec<u8>,
}

impl Transport {
    pub(crate) fn new(options: Options) -> Result<Self, rustls::Error> {
        Self::resolving(options, system)
    }

    /// One that asks `resolve` for addresses.
    pub(crate) fn resolving(options: Options, resolve: Resolve) -> Result<Self, rustls::Error> {
        let Options {
            plaintext,
            local,
            roots,
        } = options;
        let places = Places::new(plaintext.iter().chain(&local), resolve);
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
        let mut tcp = HttpConnector::new_with_resolver(places.clone());
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        let plaintext = plaintext.iter().map(|host| host.to_ascii_lowercase());
        Ok(Self {
            client,
            plaintext: plaintext.collect(),
            places,
        })
    }

    /// Whether this host may be spoken to without TLS.
    pub(crate) fn may_be_plain(&self, host: &str) -> bool {
        is_loopback(host) || self.plaintext.iter().any(|known| known == host)
    }

    /// Asks once, and follows nothing.
    pub(crate) async fn send(&self, asked: Asked<'_>) -> Result<Reply, RegistryError> {
        let host = host_of(&asked.uri);
        if !self.places.may_ask(&host) {
            return Err(RegistryError::Local { host });
        }
        let answered = tokio::time::timeout(REQUEST, self.answer(&host, asked)).await;
        answered.unwrap_or_else(|_| {
            Err(RegistryError::Unreachable {
                host,
                reason: format!("no answer within {REQUEST:?}"),
            })
        })
    }

    async fn answer(&self, host: &str, asked: Asked<'_>) -> Result<Reply, RegistryError> {
        let Asked {
            method,
            uri,
            accept,
            authorization,
        } = asked;
        let wants_body = method == Method::GET;
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let unreachable = |reason: String| RegistryError::Unreachable {
            host: host.to_owned(),
            reason,
        };
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| match Local::is_behind(&error) {
            true => RegistryError::Local {
                host: host.to_owned(),
            },
            false => unreachable(whole(&error)),
        })?;
        let (parts, body) = answer.into_parts();
        let mut reply = Reply {
            status: parts.status,
            headers: parts.headers,
            body: Vec::new(),
        };
        if wants_body && reply.status == StatusCode::OK {
            let body = Limited::new(body, MAX_BYTES).collect().await;
            let body = body.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return RegistryError::invalid(host, "an answer of more than 4 MiB");
                }
                unreachable(whole(error.as_ref()))
            })?;
            reply.body = body.to_bytes().to_vec();
        }
        Ok(reply)
    }

    /// Where a redirect leads from `from`, if it may be followed while a registry at `home` is asked.
    pub(crate) fn redirect(
        &self,
        home: &Uri,
        from: &Uri,
        headers: &HeaderMap,
    ) -> Result<Uri, RegistryError> {
        let refused = |what: &str| RegistryError::invalid(&host_of(from), what);
        let location = headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .ok_or_else(|| refused("a redirect without a place"))?;
        let uri = joined(from, location).ok_or_else(|| refused("a redirect to no URL"))?;
        self.may_lead(home, &uri).map_err(|what| refused(&what))?;
        Ok(uri)
    }

    /// Whether somebody at `home` may send us to `uri`: never out of TLS, and to this machine's own services
    /// only if it is one of them. Whoever answers for a registry does not decide whom we speak to.
    pub(crate) fn may_lead(&self, home: &Uri, uri: &Uri) -> Result<(), String> {
        let (from, to) = (host_of(home), host_of(uri));
        let to_shown = escape(to.as_bytes());
        if is_loopback(&to) && !is_loopback(&from) {
            return Err(format!("it leads to {to_shown}, which is this machine"));
        }
        let both_plain = home.scheme() == Some(&Scheme::HTTP) && self.may_be_plain(&to);
        if uri.scheme() != Some(&Scheme::HTTPS) && !both_plain {
            return Err(format!("it leads to {to_shown} without TLS"));
        }
        Ok(())
    }
}

const AGENT: &str = concat!("archtrace/", env!("CARGO_PKG_VERSION"));

/// After what time to ask again, in the form of seconds; that of a date is taken for none.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// Host and port; the host of Docker's registry has another name than its API.
pub(crate) fn host_of(uri: &Uri) -> String {
    uri.authority()
        .map(Authority::as_str)
        .unwrap_or_default()
        .rsplit('@')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

/// What a `Location` means: a whole URL, or a path on the same host.
fn joined(from: &Uri, location: &str) -> Option<Uri> {
    let uri: Uri = location.parse().ok()?;
    if uri.scheme().is_some() {
        return uri.authority().is_some().then_some(uri);
    }
    // "//host/path" has no scheme, and is nothing that a registry needs.
    if !location.starts_with('/') || location.starts_with("//") {
        return None;
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = Some(location.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

/// An error with what is behind it; URLs are not part of it.
fn whole(error: &(dyn Error + 'static)) -> String {
    escape(with_causes(error).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport() -> Transport {
        Transport::new(Options {
            plaintext: vec!["Plain.example:80".to_owned()],
            local: Vec::new(),
            roots: RootCertStore::empty(),
        })
        .expect("a client")
    }

    #[test]
    fn nobody_leads_out_of_tls_or_to_this_machine() {
        let transport = transport();
        for (home, to, may) in [
            ("https://reg.example", "https://cdn.example/x?sig=1", true),
            ("https://reg.example", "https://reg.example:444/x", true),
            ("https://reg.example", "http://reg.example/x", false),
            ("https://reg.example", "http://plain.example:80/x", false),
            ("https://reg.example", "http://127.0.0.1/x", false),
            ("https://reg.example", "https://127.0.0.1/x", false),
            ("https://reg.example", "https://[::ffff:127.0.0.1]/x", false),
            ("https://reg.example", "https://0.0.0.0:6443/x", false),
            ("https://reg.example", "https://u@localhost:2379/x", false),
            ("https://reg.example", "ftp://cdn.example/x", false),
            ("http://plain.example:80", "http://plain.example:80/x", true),
            ("http://plain.example:80", "http://other.example/x", false),
            ("http://plain.example:80", "https://other.example/x", true),
            ("http://plain.example:80", "http://localhost/x", false),
            ("http://localhost:5000", "http://localhost:5001/x", true),
            ("https://localhost:5000", "http://localhost:5000/x", false),
        ] {
            let (home, uri) = (home.parse().expect(home), to.parse().expect(to));
            let told = transport.may_lead(&home, &uri);
            assert_eq!(told.is_ok(), may, "{home} {to}: {told:?}");
        }
    }

    #[test]
    fn places_are_whole_or_on_the_same_host() {
        let from: Uri = "https://reg.example/v2/a?b=c".parse().expect("a URL");
        for (location, expected) in [
            ("https://cdn.example/x?y", Some("https://cdn.example/x?y")),
            ("/v2/b?d", Some("https://reg.example/v2/b?d")),
            ("//cdn.example/x", None),
            ("x", None),
            ("", None),
            ("http://", None),
        ] {
            let uri = joined(&from, location).map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn only_loopback_and_what_was_named_may_be_plain() {
        let transport = transport();
        for (host, plain) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("a.localhost", true),
            ("127.9.9.9:1", true),
            ("[::1]:5000", true),
            ("plain.example:80", true),
            ("plain.example", false),
            ("localhost.example", false),
            ("128.0.0.1", false),
            ("10.0.0.1:5000", false),
            ("[::ffff:127.0.0.1]:5000", true),
            ("[::ffff:0.0.0.0]", true),
            ("[fd00::1]:5000", false),
            ("localhost.:5000", true),
            ("127.1:5000", true),
            ("0x7f000001", true),
            ("0177.0.1", true),
            ("2130706433:5000", true),
            ("0:5000", true),
            ("10.1:5000", false),
            ("127.1.1.1.1", false),
            ("127.16777216", false),
            ("0x.1", false),
            ("", false),
        ] {
            assert_eq!(transport.may_be_plain(host), plain, "{host}");
        }
    }
}
