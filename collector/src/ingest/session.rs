//! One agent's stream, from Hello to its end.

mod bounds;
mod talk;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::report::Hello;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_query::service::MISSED_HEARTBEATS;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Code, Status};
use tracing::{debug, info};

use super::gate::{Gate, Inbox};
use super::turns::Turn;
use super::{Answer, Shared, leave, part_of};
use crate::auth::Caller;
use crate::refusals::Reason;
use crate::store::Store;
use talk::{Session, refused};

/// How long a peer may be connected without saying who it is: long enough for an agent on a node that
/// is as busy as the collector after a restart.
const HELLO_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the reason of the end waits until the agent reads it.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Longer than any process lives.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What a stream needs.
pub(super) struct Context<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) caller: Caller,
    pub(super) gate: Gate,
    pub(super) answers: mpsc::Sender<Answer>,
}

/// Serves the stream, and tells the agent why it ended.
pub(super) async fn run<S: Store>(context: Context<S>, mut requests: Inbox) {
    if let Err(status) = serve(&context, &mut requests).await {
        // If the agent is gone, or does not listen, there is nobody to tell.
        let _ = context.answers.send_timeout(Err(status), LAST_WORD).await;
    }
}

async fn serve<S: Store>(context: &Context<S>, requests: &mut Inbox) -> Result<(), Status> {
    let shared = &*context.shared;
    let hello = match hello(requests).await {
        Ok(hello) => hello,
        Err(status) => {
            note(context, "a peer without a name", &status);
            return Err(status);
        }
    };
    let node = hello.node.name.clone();
    if let Err(status) = context.caller.may_report_for(&hello.cluster, &node) {
        let who = format!("{node} by {}", context.caller);
        shared
            .refusals
            .note(Reason::NodeMismatch, &who, &status.message());
        return Err(status);
    }
    let claim = shared.registry.claim(&hello.cluster, &node);
    // Boxed, here and below: what is only needed for a moment does not count for every stream that waits.
    let mut turn = tokio::select! {
        () = claim.superseded() => return Err(superseded()),
        () = shared.shutdown.cancelled() => return Err(leave(SHUTDOWN)),
        // The receiver goes away with the connection.
        () = context.answers.closed() => return Err(Status::cancelled("the agent went away")),
        turn = shared.turns.take() => turn,
    };
    let mut session = Box::pin(Session::attach(context, hello)).await?;
    let _reporting = shared.own.reporting();
    let silence = silence(context);
    if !session.is_telling() {
        turn = None;
    }
    let mut leaves_at = Instant::now() + lifetime(context);
    let mut reason = "the stream is as old as it may become";
    let ended = loop {
        let patience = turn.as_ref().map_or(silence, Turn::left).min(silence);
        let request = tokio::select! {
            // First whether this stream still speaks for its node, then what it says.
            biased;
            () = shared.shutdown.cancelled(), if reason != SHUTDOWN => {
                // One after the other: whoever takes them in has other things to do too.
                leaves_at = leaves_at.min(Instant::now() + part_of(shared.rules.drain));
                reason = SHUTDOWN;
                continue;
            }
            () = claim.superseded() => {
                break Err(superseded());
            }
            () = sleep_until(leaves_at) => break Err(leave(reason)),
            request = timeout(patience, requests.message()) => request,
        };
        let request = match request {
            Ok(Ok(Some((request, share)))) => {
                context.gate.hold(share);
                request
            }
            Ok(Ok(None)) => break Ok(()),
            Ok(Err(status)) => break Err(status),
            // Whatever it waits for, others have waited for its turn to end.
            Err(_) if turn.is_some() => {
                turn = None;
                continue;
            }
            // It has more to say than there is room for, and is not silent.
            Err(_) if requests.waits_for_room() => continue,
            Err(_) => {
                break Err(Status::deadline_exceeded(format!(
                    "nothing heard for {MISSED_HEARTBEATS} heartbeats ({silence:?})"
                )));
            }
        };
        let handled = Box::pin(session.handle(request)).await;
        context.gate.release();
        if let Err(status) = handled {
            break Err(status);
        }
        if !session.is_telling() {
            turn = None;
        }
    };
    match &ended {
        Ok(()) => info!(%node, "agent left"),
        Err(status) => note(context, &node, status),
    }
    ended
}

fn superseded() -> Status {
    Status::aborted(
        "a newer stream reports for this node; is a second agent running on it, or two nodes with one name?",
    )
}

const SHUTDOWN: &str = "the collector is shutting down";

async fn hello(requests: &mut Inbox) -> Result<Hello, Status> {
    let first = timeout(HELLO_TIMEOUT, requests.message());
    let first = first
        .await
        .map_err(|_| Status::deadline_exceeded(format!("no Hello within {HELLO_TIMEOUT:?}")))??;
    match first.and_then(|(request, _)| request.message) {
        Some(Request::Hello(hello)) => Hello::try_from(hello).map_err(|e| refused("hello", &e)),
        Some(_) => Err(Status::invalid_argument(
            "the first message has to be Hello",
        )),
        None => Err(Status::invalid_argument("the stream ended before Hello")),
    }
}

/// Nothing heard, or nothing read, for this long, and the agent counts as gone.
fn silence<S>(context: &Context<S>) -> Duration {
    context.shared.rules.heartbeat_interval * MISSED_HEARTBEATS
}

/// How long the stream may live: not longer than its credentials, and all of them differently long, so
/// that those that came together do not leave together.
fn lifetime<S>(context: &Context<S>) -> Duration {
    let age = context
        .shared
        .rules
        .max_age
        .map_or(FOR_EVER, |age| age.mul_f64(0.9) + part_of(age.mul_f64(0.2)));
    let held = context.caller.expires().map_or(FOR_EVER, |at| {
        at.duration_since(SystemTime::now()).unwrap_or_default()
    });
    age.min(held)
}

/// Says why a stream ended: what is the agent's fault is counted.
fn note<S>(context: &Context<S>, node: &str, status: &Status) {
    let refusals = &context.shared.refusals;
    match status.code() {
        Code::InvalidArgument | Code::Internal => {
            refusals.note(Reason::InvalidMessage, node, &status.message());
        }
        Code::OutOfRange | Code::ResourceExhausted => {
            refusals.note(Reason::TooLarge, node, &status.message());
        }
        Code::Unavailable => debug!(node, reason = status.message(), "stream ended"),
        code => info!(node, ?code, reason = status.message(), "stream ended"),
    }
}
