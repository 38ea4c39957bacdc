//! A connection to an OpenTelemetry collector (OTLP over gRPC).
//!
//! What an answer means is what the protocol says
//! (<https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-response>), but for one thing: a receiver that does
//! not know us, or is none, is taken for set up wrongly, not for one that has seen our events. They wait.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use archtrace_facts::fleet::NodeEvent;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use prost::Message as _;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::request;
use crate::follow::{Refusal, Sink, Taken};

/// How long a receiver may take for a batch: they answer when it is in their queue.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer: it is a number and a sentence.
const MAX_ANSWER: usize = 64 << 10;

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Such as `http://otel-collector:4317`; with `https` the connection is encrypted.
    pub url: String,
    /// Certificates to know the receiver by, as PEM; the system's if there is none.
    pub ca: Option<PathBuf>,
}

/// Why there can be no connection, ever.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is none.
    #[error("--export-otlp '{url}': {reason}; it looks like http://otel-collector:4317")]
    Url {
        /// What it said.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificates cannot be read.
    #[error("cannot read {path}: {reason}; check --export-otlp-ca", path = path.display())]
    Ca {
        /// Of which file.
        path: PathBuf,
        /// What went wrong.
        reason: std::io::Error,
    },
}

/// Sends events to an OpenTelemetry collector.
#[derive(Debug)]
pub struct Client(LogsServiceClient<Channel>);

impl Client {
    /// Connects when there is something to send: the receiver need not be there yet.
    ///
    /// # Errors
    /// If the URL or the certificates do not read.
    pub fn new(options: &Options) -> Result<Self, ClientError> {
        let Options { url, ca } = options;
        let wrong = |reason: String| ClientError::Url {
            url: url.clone(),
            reason,
        };
        let endpoint =
            Endpoint::from_shared(url.clone()).map_err(|error| wrong(error.to_string()))?;
        let authority = endpoint.uri().authority();
        if authority.is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(ClientError::Url {
                url: "…@…".to_owned(),
                reason: "it holds a user or a password, which OTLP knows nothing of".to_owned(),
            });
        }
        let encrypts = match endpoint.uri().scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => {
                return Err(wrong(
                    "it begins with neither http:// nor https://".to_owned(),
                ));
            }
        };
        let mut endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT);
        if encrypts {
            let mut tls = ClientTlsConfig::new();
            tls = match ca {
                Some(path) => {
                    let pem = std::fs::read(path).map_err(|reason| ClientError::Ca {
                        path: path.clone(),
                        reason,
                    })?;
                    tls.ca_certificate(Certificate::from_pem(pem))
                }
                None => tls.with_native_roots(),
            };
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|error| wrong(error.to_string()))?;
        }
        let client = LogsServiceClient::new(endpoint.connect_lazy());
        Ok(Self(client.max_decoding_message_size(MAX_ANSWER)))
    }
}

impl Sink for Client {
    async fn send(&mut self, events: &[NodeEvent]) -> Result<Taken, Refusal> {
        let request = Request::new(request(events, SystemTime::now()));
        match self.0.export(request).await {
            Ok(answer) => {
                let partial = answer.into_inner().partial_success.unwrap_or_default();
                Ok(Taken {
                    rejected: u64::try_from(partial.rejected_log_records).unwrap_or_default(),
                    said: one_line(&partial.error_message),
                })
            }
            Err(status) => Err(refusal(&status)),
        }
    }
}

/// What a failure means for the events that were sent.
fn refusal(status: &Status) -> Refusal {
    let reason = one_line(&format!("{}: {}", status.code(), status.message()));
    let after = retry_delay(status.details());
    match status.code() {
        // Without a time to wait for, the message is too large rather than the receiver too busy.
        Code::ResourceExhausted if after.is_none() => Refusal::Content { reason },
        Code::InvalidArgument => Refusal::Content { reason },
        _ => Refusal::Later { after, reason },
    }
}

/// Whatever others say, in a log of ours it is one line.
fn one_line(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    let is_printable = archtrace_facts::text::is_printable;
    let chars = text.chars().map(|c| if is_printable(c) { c } else { ' ' });
    chars.take(MAX_CHARS).collect()
}

/// `google.rpc.Status`, which `grpc-status-details-bin` holds.
#[derive(Clone, PartialEq, prost::Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

/// How long the receiver wants to be left alone, if it says so.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let details = Details::decode(details).ok()?.details;
    let info = details
        .iter()
        .find(|any| any.type_url == "type.googleapis.com/google.rpc.RetryInfo")?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    // One that is negative is none.
    Some(Duration::try_from(delay).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(delay: prost_types::Duration) -> Vec<u8> {
        let info = RetryInfo {
            retry_delay: Some(delay),
        };
        let any = |type_url: &str, value| prost_types::Any {
            type_url: format!("type.googleapis.com/{type_url}"),
            value,
        };
        let details = vec![
            any("google.rpc.DebugInfo", vec![1, 2, 3]),
            any("google.rpc.RetryInfo", info.encode_to_vec()),
        ];
        Details { details }.encode_to_vec()
    }

    fn check(code: Code, details: &[u8], after: Option<Option<u64>>) {
        let status = Status::with_details(code, "so\nit is", details.to_vec().into());
        let told = match refusal(&status) {
            Refusal::Later { after, reason } => {
                assert!(reason.ends_with("so it is"), "{reason}");
                Some(after.map(|after| after.as_secs()))
            }
            Refusal::Content { .. } | Refusal::Early { .. } => None,
        };
        assert_eq!(told, after, "{code:?}");
    }

    #[test]
    fn only_what_can_never_be_taken_is_given_up() {
        let seven = details(prost_types::Duration {
            seconds: 7,
            nanos: 0,
        });
        let negative = details(prost_types::Duration {
            seconds: -7,
            nanos: 0,
        });
        check(Code::Unavailable, &[], Some(None));
        check(Code::Unavailable, &seven, Some(Some(7)));
        check(Code::Unavailable, &[0xff, 1, 2], Some(None));
        check(Code::ResourceExhausted, &seven, Some(Some(7)));
        check(Code::ResourceExhausted, &negative, Some(Some(0)));
        check(Code::ResourceExhausted, &[], None);
        check(Code::InvalidArgument, &seven, None);
        // It may be told who we are, or that it is one.
        check(Code::Unauthenticated, &[], Some(None));
        check(Code::Unimplemented, &[], Some(None));
        check(Code::Internal, &[], Some(None));
    }

    #[tokio::test]
    async fn what_is_no_url_is_refused() {
        for (url, part) in [
            ("", "looks like"),
            ("otel:4317", "neither http:// nor https://"),
            ("ftp://otel", "neither http:// nor https://"),
            ("http://a b", "looks like"),
            ("http://me:secret@otel", "'…@…': it holds a user"),
        ] {
            let options = Options {
                url: url.to_owned(),
                ca: None,
            };
            let told = Client::new(&options).expect_err(url).to_string();
            assert!(
                told.contains(part) && told.contains("--export-otlp"),
                "{told}"
            );
        }
        let options = Options {
            url: "https://otel:4317".to_owned(),
            ca: Some("/no/such/file".into()),
        };
        let told = Client::new(&options).expect_err("no file").to_string();
        assert!(told.contains("--export-otlp-ca"), "{told}");
    }
}
