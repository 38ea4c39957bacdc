//! What a connection that failed means, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError};
use tonic::{Code, Status, TimeoutExpired};

use super::connect::{Peer, chain};
use crate::failure::Failure;

/// What a server says that refuses a certificate may be overtaken by the end of the connection.
const ENDED: &str = "It ends the connection: it may not trust your certificate (--tls-cert), or only one \
                     side may speak TLS; then the URL has to begin with http:// instead of https://, or \
                     the other way round.";

/// Why, and what helps, where that is known better than by the peer's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    reason: String,
    help: Option<&'static str>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Trouble {
    /// What is at the end of the chain says most: "connection refused", not "transport error".
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        if let Some(tls) = chain(error).find_map(|error| error.downcast_ref::<rustls::Error>()) {
            return Self::of_tls(tls);
        }
        let io = chain(error).find_map(|error| error.downcast_ref::<io::Error>());
        let help = io.and_then(|io| match io.kind() {
            io::ErrorKind::PermissionDenied => Some("Ask as root: the socket is for root only."),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Some(ENDED),
            _ => None,
        });
        let reason = chain(error).last().unwrap_or(error).to_string();
        // What arrives after the handshake comes through HTTP/2, which keeps only the words.
        let alert = reason.strip_prefix("received fatal alert: ");
        if let Some(alert) = alert.and_then(known_alert) {
            return Self::of_tls(&rustls::Error::AlertReceived(alert));
        }
        let mut ends = ["frame with invalid size", "connection closed"].iter();
        let ended = ends.any(|words| reason.contains(words));
        let help = help.or(ended.then_some(ENDED));
        Self { reason, help }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        let (reason, help) = match error {
            // Signed by a key that is not its namesake's is not signed by it either.
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => (
                "its certificate is not signed by anybody who is trusted here",
                "Name the file with the certificate of who signed it: --tls-ca FILE.",
            ),
            rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => (
                "its certificate has expired",
                "Renew it, and look whether this machine's clock is right.",
            ),
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => (
                "its certificate is for another name",
                "If that is meant to be so, say which: --tls-server-name NAME.",
            ),
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => (
                "it wants to know who asks",
                "Give your certificate: --tls-cert FILE --tls-key FILE; or --token-file FILE.",
            ),
            rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => (
                "your certificate has expired",
                "Name a new one: --tls-cert FILE --tls-key FILE.",
            ),
            rustls::Error::AlertReceived(
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::DecryptError,
            ) => (
                "it does not trust your certificate",
                "Name one that was signed by its --client-ca: --tls-cert FILE --tls-key FILE.",
            ),
            rustls::Error::InvalidMessage(_) => (
                "it does not speak TLS",
                "Use an http:// URL, if it is on this machine, or give it a certificate.",
            ),
            other => {
                return Self {
                    reason: other.to_string(),
                    help: Some("It is about TLS: see --tls-ca, --tls-cert and --tls-server-name."),
                };
            }
        };
        Self {
            reason: reason.to_owned(),
            help: Some(help),
        }
    }

    pub(super) fn unreachable(self, peer: Peer) -> Failure {
        let Self { reason, help } = self;
        let help = help.unwrap_or(match &peer {
            Peer::Collector(_) => {
                "Start one with 'archtrace-collector', or name another with --server URL or \
                 ARCHTRACE_SERVER. One that has a certificate has an https:// URL."
            }
            Peer::Agent(_) => {
                "Start 'archtrace-agent' on this node, or name its socket as its own --socket does."
            }
        });
        Failure::Unreachable { peer, reason, help }
    }
}

/// The alerts about certificates, by what rustls calls them.
fn known_alert(name: &str) -> Option<AlertDescription> {
    let known = [
        AlertDescription::CertificateRequired,
        AlertDescription::CertificateExpired,
        AlertDescription::UnknownCA,
        AlertDescription::BadCertificate,
        AlertDescription::CertificateUnknown,
        AlertDescription::DecryptError,
    ];
    known.into_iter().find(|alert| format!("{alert:?}") == name)
}

/// What a call that failed means. A connection that broke is told from an answer that is no.
pub(super) fn of_status(peer: &Peer, status: &Status) -> Failure {
    let peer = peer.clone();
    let mut reason = status.message().to_owned();
    if reason.is_empty() {
        reason = status.code().description().to_owned();
    }
    // Servers of tonic say so with `Cancelled`.
    let late = chain(status).any(<dyn Error>::is::<TimeoutExpired>)
        || reason == TimeoutExpired(()).to_string();
    if late || status.code() == Code::DeadlineExceeded {
        return Failure::Late { peer };
    }
    if let Some(source) = Error::source(status) {
        return Trouble::of(source).unreachable(peer);
    }
    match status.code() {
        Code::Unavailable => Failure::Unreachable {
            peer,
            reason,
            help: "Ask again in a moment.",
        },
        Code::Unauthenticated => Failure::Denied {
            peer,
            reason,
            help: "Say who you are: --tls-cert FILE --tls-key FILE with a reader's certificate, or \
                   --token-file FILE with a reader's token.",
        },
        Code::PermissionDenied => Failure::Denied {
            peer,
            reason,
            help: "Agents may not read. Use the certificate or token of a reader.",
        },
        // One that knows the question says why it cannot answer.
        Code::Unimplemented if status.message().is_empty() => Failure::Refused {
            peer,
            reason: "it does not know this question; it may be older than this program".to_owned(),
        },
        // What a server says that is about to end, or has enough to do.
        Code::Cancelled | Code::Aborted | Code::ResourceExhausted => Failure::Unreachable {
            peer,
            reason,
            help: "Ask again in a moment.",
        },
        _ => Failure::Refused { peer, reason },
    }
}
