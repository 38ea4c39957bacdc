//! Somebody who follows: what they are told, and when it ends.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use archtrace_facts::fleet::Coverage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Answers, Inner};
use crate::live::{Following, State};
use crate::read::Read;

/// How many may follow at once. Each has a task, a version per node and what is on its way to it: some
/// 500 kB for 10,000 nodes.
pub(super) const MAX_FOLLOWERS: usize = 64;

/// Messages on their way to one of them; the transport has some 64 kB more.
const ON_THE_WAY: usize = 32;

/// How often they are told at least which nodes this cannot speak for: it is a sign of life, too.
const COVERAGE_AT_LEAST: Duration = Duration::from_secs(10);

/// Where answers go.
pub(super) struct Follower<S, R> {
    answers: mpsc::Sender<Result<R, Status>>,
    state: watch::Receiver<State>,
    told: Option<(Arc<Coverage>, Instant)>,
    _following: Following<S>,
    _permit: OwnedSemaphorePermit,
}

/// Why nothing more is told.
#[derive(Debug)]
pub(super) enum Gone {
    /// Nobody listens any more.
    Left,
    /// Something failed.
    Failed(Status),
}

impl From<Status> for Gone {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

/// What ends it from outside.
pub(super) struct Ends<R> {
    answers: mpsc::Sender<Result<R, Status>>,
    deadline: Option<Instant>,
    stop: CancellationToken,
}

/// Where one who follows is told, what ends it, and what they read.
type Opened<S, R> = (Follower<S, R>, Ends<R>, Answers<R>);

/// A place for one more who follows.
///
/// # Errors
/// If there are too many.
pub(super) fn open<S: Read, R: Send + 'static>(
    query: &Inner<S>,
    deadline: Option<Instant>,
) -> Result<Opened<S, R>, Status> {
    let permit = Semaphore::try_acquire_owned(Arc::clone(&query.followers));
    let permit = permit.map_err(|_| {
        Status::resource_exhausted(format!(
            "{MAX_FOLLOWERS} clients follow already, which is as many as may; end one, or list instead"
        ))
    })?;
    let (answers, ends, stream) = Ends::open(query, deadline);
    let follower = Follower {
        answers,
        state: query.live.state(),
        told: None,
        _following: query.live.following(),
        _permit: permit,
    };
    Ok((follower, ends, stream))
}

impl<R: Send + 'static> Ends<R> {
    /// For somebody who is told through another way than a [`Follower`]: where answers go, and what the
    /// client reads.
    pub(super) fn open<S>(
        query: &Inner<S>,
        deadline: Option<Instant>,
    ) -> (mpsc::Sender<Result<R, Status>>, Self, Answers<R>) {
        let (answers, stream) = mpsc::channel(ON_THE_WAY);
        let ends = Self {
            answers: answers.clone(),
            deadline,
            stop: query.settings.shutdown.clone(),
        };
        (answers, ends, Box::pin(ReceiverStream::new(stream)))
    }

    /// Runs what tells until it ends, the client leaves, its time is over, or the server ends.
    pub(super) async fn race(self, telling: impl Future<Output = Result<(), Gone>> + Send) {
        let Self {
            answers,
            deadline,
            stop,
        } = self;
        let over = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let status = tokio::select! {
            ended = telling => match ended {
                Ok(()) | Err(Gone::Left) => return,
                Err(Gone::Failed(status)) => status,
            },
            () = answers.closed() => return,
            () = over => Status::deadline_exceeded("the time that the client gave is over"),
            () = stop.cancelled() => Status::unavailable("the server ends; follow again in a moment"),
        };
        // Whoever does not read does not learn why.
        let _ = answers.try_send(Err(status));
    }
}

impl<S: Read, R: Send + 'static> Follower<S, R> {
    /// Tells something, as soon as there is room for it.
    pub(super) async fn tell<T>(&self, told: &T) -> Result<(), Gone>
    where
        R: for<'a> From<&'a T>,
    {
        let sent = self.answers.send(Ok(R::from(told))).await;
        sent.map_err(|_| Gone::Left)
    }

    /// Waits until there may be something new. Meanwhile tells which nodes this cannot speak for, when
    /// that changes and from time to time.
    pub(super) async fn wait<T>(&mut self, as_message: fn(Coverage) -> T) -> Result<(), Gone>
    where
        R: for<'a> From<&'a T>,
    {
        let next = match &self.told {
            Some((_, at)) => *at + COVERAGE_AT_LEAST,
            None => Instant::now(),
        };
        tokio::select! {
            changed = self.state.changed() => changed.map_err(|_| Gone::Left)?,
            () = sleep_until(next) => {}
        }
        self.tell_coverage(as_message).await
    }

    /// Tells which nodes this cannot speak for, if that is new or was not told for long.
    pub(super) async fn tell_coverage<T>(
        &mut self,
        as_message: fn(Coverage) -> T,
    ) -> Result<(), Gone>
    where
        R: for<'a> From<&'a T>,
    {
        let coverage = match &*self.state.borrow_and_update() {
            State::Current { coverage, .. } => Some(Arc::clone(coverage)),
            State::Loading | State::Away => None,
        };
        let Some(coverage) = coverage.or_else(|| Some(Arc::clone(&self.told.as_ref()?.0))) else {
            return Ok(());
        };
        let is_told = self.told.as_ref().is_some_and(|(told, at)| {
            at.elapsed() < COVERAGE_AT_LEAST && (Arc::ptr_eq(told, &coverage) || *told == coverage)
        });
        if is_told {
            return Ok(());
        }
        self.tell(&as_message(coverage.as_ref().clone())).await?;
        self.told = Some((coverage, Instant::now()));
        Ok(())
    }
}
