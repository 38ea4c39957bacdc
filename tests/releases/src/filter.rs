//! A way to a collector on which every message is reduced to what a release's protocol knows of it, in both
//! directions: an agent behind it is one of that release to the collector, and the collector one of that release to
//! the agent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use http::uri::PathAndQuery;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::server::StreamingService;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tower::Service;

use crate::raw::{Raw, method};
use crate::reduce::reduced;

/// Largest message that goes through, in bytes.
const MESSAGE: usize = 64 << 20;

/// A running filter; it ends with this.
#[derive(Debug)]
pub struct Filter {
    address: SocketAddr,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Filter {
    /// Starts one on loopback, before the collector at `url`.
    ///
    /// # Errors
    /// If there is no port, or `url` is none.
    pub async fn start(protocol: DescriptorPool, url: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let endpoint = Endpoint::from_shared(url.to_owned()).context("the collector's URL")?;
        let passing = Passing {
            protocol,
            collector: endpoint.connect_lazy(),
        };
        let router = axum::Router::new().fallback_service(passing);
        let server = Server::builder()
            .add_routes(Routes::from(router))
            .serve_with_incoming(TcpListenerStream::new(listener));
        Ok(Self {
            address,
            server: tokio::spawn(server),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct Passing {
    protocol: DescriptorPool,
    collector: Channel,
}

type Answering<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Service<http::Request<axum::body::Body>> for Passing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<axum::body::Body>) -> Self::Future {
        let path = request.uri().path();
        // As a server answers of which the release is.
        let Some(method) = method(&self.protocol, path) else {
            let status = Status::unimplemented(format!("{path} is not known"));
            return Box::pin(async move { Ok(status.into_http()) });
        };
        let path = PathAndQuery::try_from(path);
        let collector = self.collector.clone();
        Box::pin(async move {
            let Ok(path) = path else {
                return Ok(Status::unimplemented("no path").into_http());
            };
            let call = Call {
                path,
                collector,
                input: method.input(),
                output: method.output(),
            };
            let mut server = tonic::server::Grpc::new(Raw).max_decoding_message_size(MESSAGE);
            Ok(server.streaming(call, request).await)
        })
    }
}

/// One call. All are dealt with as streams, which on the wire they are.
struct Call {
    path: PathAndQuery,
    collector: Channel,
    input: MessageDescriptor,
    output: MessageDescriptor,
}

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl StreamingService<Bytes> for Call {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = Answering<Response<Messages>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let (path, collector) = (self.path.clone(), self.collector.clone());
        let (input, output) = (self.input.clone(), self.output.clone());
        Box::pin(async move {
            let mut grpc = Grpc::new(collector).max_decoding_message_size(MESSAGE);
            let ready = grpc.ready().await;
            ready.map_err(|error| Status::unavailable(error.to_string()))?;
            // One that does not read ends the stream: the other side ends it too.
            let request = request.map(|messages| {
                let messages = messages.map_while(Result::ok);
                messages.map_while(move |message| reduced(&input, &message).ok().map(Bytes::from))
            });
            let response = grpc.streaming(request, path, Raw).await?;
            Ok(response.map(|messages| -> Messages {
                Box::pin(messages.map(move |message| reduced(&output, &message?).map(Bytes::from)))
            }))
        })
    }
}
