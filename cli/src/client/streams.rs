//! Answers that go on until somebody leaves.

use std::time::SystemTime;

use archtrace_facts::fleet::{EventUpdate, FactUpdate};
use archtrace_facts::select::Selection;
use archtrace_proto::convert::{ConvertError, decode_event_update, decode_fact_update};
use archtrace_proto::v1;
use tonic::{Request, Streaming};

use super::{Client, trouble};
use crate::failure::Failure;

/// A stream of updates.
#[derive(Debug)]
pub(crate) struct Updates<M, U> {
    client: Client,
    messages: Streaming<M>,
    decode: fn(M) -> Result<Option<U>, ConvertError>,
}

impl<M, U> Updates<M, U> {
    /// The next one; `None` when the other side ends the stream in order. Nothing is lost if this is
    /// not waited for to its end.
    pub(crate) async fn next(&mut self) -> Result<Option<U>, Failure> {
        loop {
            let message = self.messages.message().await;
            let message =
                message.map_err(|status| trouble::of_status(&self.client.peer, &status))?;
            let Some(message) = message else {
                return Ok(None);
            };
            let update = (self.decode)(message).map_err(|reason| self.client.unknown(reason))?;
            if update.is_some() {
                return Ok(update);
            }
        }
    }
}

impl Client {
    /// The facts that agents keep now, then what changes. Only the beginning has a deadline.
    pub(crate) async fn watch_facts(
        &self,
        selection: &Selection,
    ) -> Result<Updates<v1::WatchFactsResponse, FactUpdate>, Failure> {
        let request = Request::new(v1::WatchFactsRequest {
            selection: Some(selection.into()),
        });
        let mut query = self.query.clone();
        let messages = self.answer(query.watch_facts(request)).await?;
        Ok(self.updates(messages, decode_fact_update))
    }

    /// Events from a time on, the oldest first, then what comes in. Only the beginning has a deadline.
    pub(crate) async fn follow_events(
        &self,
        selection: &Selection,
        kinds: &[String],
        since: Option<SystemTime>,
    ) -> Result<Updates<v1::StreamEventsResponse, EventUpdate>, Failure> {
        let request = Request::new(v1::StreamEventsRequest {
            selection: Some(selection.into()),
            kinds: kinds.to_vec(),
            since: since.map(Into::into),
            follow: true,
        });
        let mut query = self.query.clone();
        let messages = self.answer(query.stream_events(request)).await?;
        Ok(self.updates(messages, decode_event_update))
    }

    pub(super) fn updates<M, U>(
        &self,
        messages: Streaming<M>,
        decode: fn(M) -> Result<Option<U>, ConvertError>,
    ) -> Updates<M, U> {
        Updates {
            client: self.clone(),
            messages,
            decode,
        }
    }
}
