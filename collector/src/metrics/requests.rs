//! Questions and their answers, by method.
//!
//! Methods are those that this collector has: their names come from its own protocol, so that nobody can
//! make new ones up. Of an answer that goes on (a watch) only the beginning is seen, and it is not timed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use archtrace_metrics::Sheet;
use archtrace_proto::FILE_DESCRIPTOR_SET;
use http::{Request, Response};
use prometheus_client::metrics::histogram::Histogram;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::names;

/// A question from the live view takes a millisecond, a listing from the store some hundreds.
const ANSWERS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// What is none of the methods that are known.
const OTHER: &str = "other";

/// The statuses of gRPC, by number.
const CODES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// Counts requests. Cheap to clone: clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Requests(Arc<BTreeMap<String, Method>>);

#[derive(Debug, Default)]
struct Method {
    /// None of one whose answers go on.
    took: Option<Histogram>,
    codes: [AtomicU64; CODES.len()],
}

impl Method {
    fn note(&self, took: Duration, code: Code) {
        if let Some(histogram) = &self.took {
            histogram.observe(took.as_secs_f64());
        }
        // The numbers of gRPC are the places in the list.
        if let Some(count) = self.codes.get(code as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Requests {
    /// For the methods of this collector's protocol.
    pub(crate) fn new() -> Self {
        // What was compiled in reads; else every method is one of the others.
        let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
        let mut methods = BTreeMap::new();
        for file in &files.file {
            for service in &file.service {
                for method in &service.method {
                    let (package, service) = (file.package(), service.name());
                    let path = format!("{package}.{service}/{}", method.name());
                    let method = Method {
                        took: (!method.server_streaming()).then(|| Histogram::new(ANSWERS)),
                        codes: Default::default(),
                    };
                    methods.insert(path, method);
                }
            }
        }
        methods.insert(OTHER.to_owned(), Method::default());
        Self(Arc::new(methods))
    }

    fn note(&self, path: &str, took: Duration, code: Code) {
        let path = path.strip_prefix('/').unwrap_or(path);
        if let Some(method) = self.0.get(path).or_else(|| self.0.get(OTHER)) {
            method.note(took, code);
        }
    }

    /// Writes them down; statuses that never were are left out, other than ok.
    pub(super) fn show(&self, sheet: &mut Sheet) {
        let counts = self.0.iter().flat_map(|(path, method)| {
            let counts = method.codes.iter();
            let counts = counts.map(|count| count.load(Ordering::Relaxed));
            let counts = CODES.into_iter().zip(counts);
            let counts = counts.filter(|(code, count)| *count > 0 || *code == "ok");
            counts.map(|(code, count)| {
                let labels = vec![("method", path.clone().into()), ("code", code.into())];
                (labels, count)
            })
        });
        sheet.many(&names::REQUESTS, counts);
        let took = self.0.iter();
        let took = took.filter_map(|(path, method)| Some((path.clone(), method.took.as_ref()?)));
        sheet.by(&names::ANSWERS, "method", took);
    }
}

impl<S> Layer<S> for Requests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            requests: self.clone(),
        }
    }
}

/// A service whose requests are counted.
#[derive(Clone, Debug)]
pub(crate) struct Counted<S> {
    inner: S,
    requests: Requests,
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let requests = self.requests.clone();
        let start = Instant::now();
        let answering = self.inner.call(request);
        Box::pin(async move {
            let Ok(response) = answering.await;
            // An answer without content has its status in the headers.
            let status = Status::from_header_map(response.headers());
            let code = status.map_or(Code::Ok, |status| status.code());
            requests.note(&path, start.elapsed(), code);
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_those_of_the_protocol() {
        let requests = Requests::new();
        let known = |path| requests.0.get(path).map(|method| method.took.is_some());
        assert_eq!(known("archtrace.v1.Query/ListFacts"), Some(true));
        assert_eq!(known("archtrace.v1.Query/WatchFacts"), Some(false));
        assert_eq!(known("archtrace.v1.AgentIngest/Sync"), Some(false));
        assert_eq!(known(OTHER), Some(false));
        requests.note("/archtrace.v1.Query/ListFacts", Duration::ZERO, Code::Ok);
        for path in ["/made/up", "", "//archtrace.v1.Query/ListFacts"] {
            requests.note(path, Duration::ZERO, Code::Unimplemented);
        }
        let count = |path, code: Code| {
            let method = requests.0.get(path).expect("known");
            method.codes[code as usize].load(Ordering::Relaxed)
        };
        assert_eq!(count("archtrace.v1.Query/ListFacts", Code::Ok), 1);
        assert_eq!(count(OTHER, Code::Unimplemented), 3);
    }

    #[test]
    fn statuses_have_the_numbers_of_grpc() {
        for (number, word) in CODES.iter().enumerate() {
            let code = Code::from_i32(i32::try_from(number).expect("few"));
            let name = format!("{code:?}").to_lowercase();
            assert_eq!(name, word.replace('_', ""));
        }
    }
}
