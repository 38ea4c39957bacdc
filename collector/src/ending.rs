//! Ends answers that would go on for ever, such as those of readers who follow changes.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, Response};
use http_body::Frame;
use tokio_util::bytes::Bytes;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;

/// The answer, until the server ends; then what there is of it, and a status that says so.
pub(crate) fn until(ending: &CancellationToken, response: Response<Body>) -> Response<Body> {
    response.map(|body| {
        Body::new(Ending {
            body,
            ending: Some(Box::pin(ending.clone().cancelled_owned())),
        })
    })
}

struct Ending {
    body: Body,
    /// `None` once the status was told.
    ending: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(ending) = &mut this.ending else {
            return Poll::Ready(None);
        };
        // What is there goes first: an answer that has an end gets to it.
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if ending.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.ending = None;
        let status = Status::unavailable("the collector is shutting down; ask again");
        let mut trailers = HeaderMap::new();
        let told = status.add_header(&mut trailers);
        Poll::Ready(Some(told.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ending.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
