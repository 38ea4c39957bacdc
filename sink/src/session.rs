//! One stream to the collector, from Hello to its end.

mod limits;
mod outgoing;
mod snapshot;

use std::convert::Infallible;
use std::hash::Hash;
use std::time::Duration;

use archtrace_facts::report::{Hello, Throttle, WELCOME_WITHIN, Welcome};
use archtrace_proto::RECONNECT;
use archtrace_proto::convert::ConvertError;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use archtrace_proto::v1::{SyncRequest, SyncResponse};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::client::{Identity, jitter};
use crate::connect::{Connection, Files, said};
use crate::outbox::Outbox;
use limits::Limits;
use outgoing::Outgoing;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There was none.
    #[error("cannot reach the collector: {0}")]
    Connect(String),
    /// There was none, because a file that it takes cannot be used.
    #[error("cannot connect to the collector: {0}")]
    File(String),
    /// The collector ended it.
    #[error("the collector ended the stream: {} ({})", .0.message(), .0.code())]
    Status(Box<Status>),
    /// The collector closed it without a word.
    #[error("the collector closed the stream")]
    Closed,
    /// It ended in the middle.
    #[error("the connection to the collector broke: {0}")]
    Broken(String),
    /// The first answer was not Welcome, or came too late.
    #[error("the collector did not welcome this node")]
    NoWelcome,
    /// What was sent was not answered for three minutes.
    #[error("the collector did not answer for {} s", ANSWER_WITHIN.as_secs())]
    Unanswered,
    /// Something in the answer does not convert.
    #[error("the collector's answer: {0}")]
    Malformed(#[from] ConvertError),
    /// Something in the answer makes no sense.
    #[error("the collector's answer makes no sense: {0}")]
    Nonsense(String),
    /// Nothing that is told may be as large; the agent itself is wrong.
    #[error("a message of {0} bytes is too large to be sent; please report this")]
    TooLarge(usize),
    /// It may have taken in an update or not.
    #[error("the collector paused in the middle of an update")]
    Unsure,
    /// The spool came up, and holds what the collector has to be told of first.
    #[error("the spool is there now")]
    Renew,
}

/// A stream that ended.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub error: SessionError,
    /// The collector had taken something in: it works, so that the next failure is the first again.
    pub progressed: bool,
}

/// Requests on their way: they are made when there is room, so that they are as fresh as can be.
const IN_FLIGHT: usize = 1;
/// How long the collector may leave an update or a batch unanswered. It answers Throttle where its store
/// is slow, and everybody's snapshots together take it a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(180);
/// Where the collector asks for other intervals, these are the limits.
const HEARTBEATS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));
/// Where the collector asks for a longer pause, this is what it gets: it may not mean it.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Before the stream is made anew because of the spool.
const RENEW_WITHIN: Duration = Duration::from_millis(250);
/// Where the collector says no number that makes sense.
const RECONNECT_WITHIN: Duration = Duration::from_secs(1);

impl SessionError {
    /// Whether there was no connection.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect(_))
    }

    /// Where the end was planned: within which time to connect again.
    #[must_use]
    pub fn reconnect_within(&self) -> Option<Duration> {
        match self {
            Self::Status(status) if status.code() == Code::Unavailable => {
                let within = status.metadata().get(RECONNECT)?;
                let millis = within.to_str().ok().and_then(|text| text.parse().ok());
                Some(millis.map_or(RECONNECT_WITHIN, Duration::from_millis))
            }
            Self::Renew | Self::Unsure => Some(RENEW_WITHIN),
            _ => None,
        }
    }
}

/// What a stream ended by: the collector's word, or the transport's, whose innermost cause says what was
/// wrong, such as a certificate.
fn ended(status: Status, files: &Files) -> SessionError {
    if std::error::Error::source(&status).is_some() {
        return SessionError::Broken(said(&status, files));
    }
    SessionError::Status(Box::new(status))
}

/// Runs one stream; returns only when it fails.
pub async fn run<C: Copy + Eq + Hash>(
    connection: Connection,
    identity: &Identity,
    outbox: &Outbox<C>,
) -> Ended {
    let mut progressed = false;
    match talk(connection, identity, outbox, &mut progressed).await {
        Ok(never) => match never {},
        Err(error) => Ended { error, progressed },
    }
}

async fn talk<C: Copy + Eq + Hash>(
    mut connection: Connection,
    identity: &Identity,
    outbox: &Outbox<C>,
    progressed: &mut bool,
) -> Result<Infallible, SessionError> {
    let (requests, stream) = mpsc::channel(IN_FLIGHT);
    let hello = hello(identity, outbox);
    let preflight = hello.preflight.clone();
    send(&requests, Request::Hello((&hello).into())).await?;
    let mut request = tonic::Request::new(ReceiverStream::new(stream));
    if let Some(token) = connection.token.take() {
        request.metadata_mut().insert("authorization", token);
    }
    let Connection {
        mut client,
        token: _,
        files,
    } = connection;
    let welcomed = async {
        let responses = client.sync(request).await;
        let mut responses = responses
            .map_err(|status| ended(status, &files))?
            .into_inner();
        let welcome = welcome(&mut responses, &files).await?;
        Ok::<_, SessionError>((responses, welcome))
    };
    let (mut responses, welcome) = timeout(WELCOME_WITHIN, welcomed)
        .await
        .map_err(|_| SessionError::NoWelcome)??;
    tracing::debug!(resume = welcome.resume, "the collector welcomes this node");
    take_welcome(&hello, &welcome, outbox)?;
    let mut out = Outgoing::new(
        identity.epoch,
        outbox,
        Limits::of(&welcome),
        preflight,
        welcome.resume && hello.held.is_some(),
    );
    let every = welcome.heartbeat_interval.clamp(HEARTBEATS.0, HEARTBEATS.1);
    // Agents that came together do not stay together.
    let mut heartbeat = interval_at(Instant::now() + jitter(every), every);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if outbox.lock().events.has_unannounced() {
            return Err(SessionError::Renew);
        }
        if out.is_unsure() {
            return Err(SessionError::Unsure);
        }
        let wake = out.wake();
        tokio::select! {
            permit = requests.reserve(), if out.has_something() => {
                let permit = permit.map_err(|_| SessionError::Closed);
                if let Some(message) = out.next() {
                    permit?.send(within_bounds(message)?);
                }
            }
            () = outbox.changed() => {}
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            _ = heartbeat.tick() => {
                out.beat();
                outbox.lock().events.maintain();
                out.check_answers()?;
            }
            response = responses.next() => {
                let response = response.ok_or(SessionError::Closed)?;
                let response = response.map_err(|status| ended(status, &files))?;
                if take(&mut out, response)? && !*progressed {
                    *progressed = true;
                    tracing::info!("reporting to the collector");
                }
            }
        }
    }
}

fn hello<C: Copy + Eq + Hash>(identity: &Identity, outbox: &Outbox<C>) -> Hello {
    let mut contents = outbox.lock();
    let earlier_streams = contents.events.announce();
    Hello {
        cluster: identity.cluster.clone(),
        node: identity.node.clone(),
        epoch: identity.epoch,
        attached_at: identity.attached_at,
        event_stream_id: contents.events.stream_id(),
        oldest_sequence: contents.events.oldest(),
        next_sequence: contents.events.next(),
        preflight: limits::trimmed(contents.report()),
        held: contents.sent(),
        earlier_streams,
    }
}

async fn welcome(
    responses: &mut Streaming<SyncResponse>,
    files: &Files,
) -> Result<Welcome, SessionError> {
    let response = responses.next().await.ok_or(SessionError::Closed)?;
    match response.map_err(|status| ended(status, files))?.message {
        Some(Response::Welcome(welcome)) => Ok(welcome.try_into()?),
        _ => Err(SessionError::NoWelcome),
    }
}

/// What the collector holds of what was announced.
fn take_welcome<C: Copy + Eq + Hash>(
    hello: &Hello,
    welcome: &Welcome,
    outbox: &Outbox<C>,
) -> Result<(), SessionError> {
    let earlier = &welcome.earlier_next_sequences;
    if earlier.len() != hello.earlier_streams.len() {
        return Err(SessionError::Nonsense(format!(
            "it speaks of {} earlier streams, not of {}",
            earlier.len(),
            hello.earlier_streams.len()
        )));
    }
    let mut contents = outbox.lock();
    contents.link.began();
    let events = &mut contents.events;
    for (stream, next) in hello.earlier_streams.iter().zip(earlier) {
        // The disk may have forgotten, in a loss of power, what had arrived.
        let next = (*next).min(stream.next_sequence);
        let taken = events.welcome(stream.stream_id, next);
        taken.map_err(|sent| from_the_future(next, sent))?;
    }
    let next = welcome.next_sequence;
    let taken = events.welcome(hello.event_stream_id, next);
    taken.map_err(|sent| from_the_future(next, sent))?;
    if welcome.resume && hello.held.is_some() {
        contents.confirm();
    }
    Ok(())
}

/// Takes an answer; whether it says that something was stored.
fn take<C: Copy + Eq + Hash>(
    out: &mut Outgoing<'_, C>,
    response: SyncResponse,
) -> Result<bool, SessionError> {
    match response.message {
        Some(Response::Ack(ack)) => out.take_ack(ack),
        Some(Response::Resync(resync)) => {
            out.take_resync(&resync.reason);
            Ok(false)
        }
        Some(Response::Throttle(throttle)) => {
            let Throttle {
                retry_after,
                reason,
            } = throttle.try_into()?;
            out.take_throttle(retry_after.min(LONGEST_PAUSE), &reason);
            Ok(false)
        }
        Some(Response::Welcome(_)) => Err(SessionError::Nonsense("a second Welcome".to_owned())),
        // What a newer collector may say.
        None => Ok(false),
    }
}

fn from_the_future(next: u64, sent: u64) -> SessionError {
    SessionError::Nonsense(format!(
        "it has events up to {next}, of which only those up to {sent} were sent"
    ))
}

fn within_bounds(message: Request) -> Result<SyncRequest, SessionError> {
    let request = SyncRequest {
        message: Some(message),
    };
    let bytes = request.encoded_len();
    if bytes > limits::MAX_MESSAGE {
        return Err(SessionError::TooLarge(bytes));
    }
    Ok(request)
}

async fn send(requests: &mpsc::Sender<SyncRequest>, message: Request) -> Result<(), SessionError> {
    let request = within_bounds(message)?;
    let sent = requests.send(request).await;
    sent.map_err(|_| SessionError::Closed)
}
