//! A receiver of OTLP that takes what it gets, unless it is told otherwise.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// What it answers instead of taking a message.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// To one message.
    Refuse(Status),
    /// It takes one message, but so many of its records it does not.
    Partial(i64),
    /// From now on, to messages with more records.
    NoMoreThan(usize),
    /// From now on, to messages with the record of this sequence.
    Never(u64),
}

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Answer>,
    sequences: Vec<u64>,
    limit: Option<usize>,
    largest: usize,
    never: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    pub(super) async fn start(answers: Vec<Answer>) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), answers).await
    }

    pub(super) async fn start_at(address: SocketAddr, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let receiver = Self {
            address: listener.local_addr().expect("bound"),
            state: Arc::new(Mutex::new(State {
                answers: answers.into(),
                ..State::default()
            })),
        };
        let service = LogsServiceServer::new(receiver.clone());
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        receiver
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Of all records that it has taken, in their order.
    pub(super) fn sequences(&self) -> Vec<u64> {
        self.state().sequences.clone()
    }

    /// The largest message that was taken since there was a limit.
    pub(super) fn largest_since_limit(&self) -> usize {
        self.state().largest
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let mut state = self.state();
        let mut partial = None;
        match state.answers.pop_front() {
            Some(Answer::Refuse(status)) => return Err(status),
            Some(Answer::Partial(rejected)) => partial = Some(rejected),
            Some(Answer::NoMoreThan(limit)) => state.limit = Some(limit),
            Some(Answer::Never(sequence)) => state.never = Some(sequence),
            None => {}
        }
        let nodes = request.into_inner().resource_logs.into_iter();
        let logs = nodes
            .flat_map(|node| node.scope_logs)
            .flat_map(|logs| logs.log_records);
        let sequences: Vec<_> = logs.map(|log| sequence(&log)).collect();
        if let Some(limit) = state.limit {
            if sequences.len() > limit {
                return Err(Status::resource_exhausted("message larger than max"));
            }
            state.largest = state.largest.max(sequences.len());
        }
        if state.never.is_some_and(|never| sequences.contains(&never)) {
            return Err(Status::invalid_argument("not this one"));
        }
        state.sequences.extend(sequences);
        Ok(Response::new(ExportLogsServiceResponse {
            partial_success: partial.map(|rejected_log_records| ExportLogsPartialSuccess {
                rejected_log_records,
                error_message: "too old".to_owned(),
            }),
        }))
    }
}

fn sequence(log: &LogRecord) -> u64 {
    let mut attributes = log.attributes.iter();
    let sequence = attributes.find(|attribute| attribute.key == "archtrace.sequence");
    let value = sequence.and_then(|sequence| sequence.value.as_ref()?.value.as_ref());
    match value {
        Some(Value::IntValue(number)) => number.unsigned_abs(),
        other => panic!("no sequence: {other:?}"),
    }
}

/// `google.rpc.Status` with a `google.rpc.RetryInfo` of so many seconds.
pub(super) fn retry_info(seconds: i64) -> Vec<u8> {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Status {
        #[prost(message, repeated, tag = "3")]
        details: Vec<prost_types::Any>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<prost_types::Duration>,
    }
    let delay = prost_types::Duration { seconds, nanos: 0 };
    let info = RetryInfo {
        retry_delay: Some(delay),
    };
    let any = prost_types::Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        value: info.encode_to_vec(),
    };
    Status { details: vec![any] }.encode_to_vec()
}
