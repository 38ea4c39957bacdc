//! Reads other people's files on a thread of their own, with a deadline.
//!
//! A file may lie on FUSE or on a network file system whose server is gone; then even a look-up waits
//! for ever, in a state that no signal ends. So a thread does it, and is given up when its time is
//! over: it stays until the kernel lets it go. A few threads may be lost like that; while as many
//! hang, nothing is looked at, which is told as a loss.

use std::collections::VecDeque;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Looks that wait for their turn: a burst of questions on a busy node, and some hundred kilobytes.
const MAX_WAITING: usize = 512;
/// Threads that may hang at once. Each costs its stack.
const MAX_HUNG: usize = 4;
/// What a look needs of stack; a default one would be 2 MiB of address space for each.
const STACK: usize = 256 * 1024;

type Job<A> = Box<dyn FnOnce() -> A + Send>;

/// Answers of type `A` to questions that are remembered by a `T`.
pub(crate) struct Reader<T, A> {
    name: &'static str,
    patience: Duration,
    waiting: VecDeque<(T, Job<A>)>,
    current: Option<(T, Instant)>,
    worker: Option<blocking::SyncSender<Job<A>>>,
    /// Which worker is the current one; what earlier ones say comes too late.
    generation: u64,
    hung: usize,
    sender: mpsc::Sender<(u64, A)>,
    answers: mpsc::Receiver<(u64, A)>,
}

impl<T, A: Send + 'static> Reader<T, A> {
    /// A reader whose threads are called `name`, and which gives a question up after `patience`.
    pub(crate) fn new(name: &'static str, patience: Duration) -> Self {
        // One answer for each thread there may be.
        let (sender, answers) = mpsc::channel(MAX_HUNG + 1);
        Self {
            name,
            patience,
            waiting: VecDeque::new(),
            current: None,
            worker: None,
            generation: 0,
            hung: 0,
            sender,
            answers,
        }
    }

    /// Asks a question. Gives it back if too many wait already, or if all threads hang.
    pub(crate) fn ask(&mut self, ticket: T, job: impl FnOnce() -> A + Send + 'static) -> Option<T> {
        if self.waiting.len() >= MAX_WAITING || self.hung >= MAX_HUNG {
            return Some(ticket);
        }
        self.waiting.push_back((ticket, Box::new(job)));
        None
    }

    /// How many questions are not answered yet.
    pub(crate) fn pending(&self) -> usize {
        self.waiting.len() + usize::from(self.current.is_some())
    }

    /// The next question that is done with, and its answer, if there was one in time. Waits for ever
    /// while there is no question. May be dropped at any time without losing anything.
    pub(crate) async fn next(&mut self) -> (T, Option<A>) {
        loop {
            if self.current.is_none()
                && let Some((ticket, job)) = self.waiting.pop_front()
            {
                if self.hung >= MAX_HUNG || !self.start(job) {
                    return (ticket, None);
                }
                self.current = Some((ticket, Instant::now() + self.patience));
            }
            let answer = match &self.current {
                Some((_, deadline)) => timeout_at(*deadline, self.answers.recv()).await,
                // A thread that was given up may come back meanwhile.
                None => Ok(self.answers.recv().await),
            };
            let answer = match answer {
                Ok(Some((generation, answer))) if generation == self.generation => Some(answer),
                Ok(_) => {
                    self.hung = self.hung.saturating_sub(1);
                    continue;
                }
                Err(_) => {
                    tracing::warn!(reader = self.name, "a file system does not answer");
                    self.hung += 1;
                    self.worker = None;
                    self.generation += 1;
                    None
                }
            };
            if let Some((ticket, _)) = self.current.take() {
                return (ticket, answer);
            }
        }
    }

    /// Hands a job to the thread, which is started if there is none. Whether there is one.
    fn start(&mut self, job: Job<A>) -> bool {
        let Some(worker) = self.worker.take().or_else(|| self.spawn()) else {
            return false;
        };
        // It waits for one, and holds one at most: this does not block. A thread that has died of its
        // last job is replaced at the next.
        let taken = worker.send(job).is_ok();
        if taken {
            self.worker = Some(worker);
        }
        taken
    }

    fn spawn(&mut self) -> Option<blocking::SyncSender<Job<A>>> {
        self.generation += 1;
        let (generation, answers) = (self.generation, self.sender.clone());
        let (sender, jobs) = blocking::sync_channel::<Job<A>>(1);
        let spawned = thread::Builder::new()
            .name(self.name.to_owned())
            .stack_size(STACK)
            .spawn(move || {
                // Ends when it was given up, or the agent ends.
                while let Ok(job) = jobs.recv() {
                    if answers.blocking_send((generation, job())).is_err() {
                        return;
                    }
                }
            });
        match spawned {
            Ok(_) => Some(sender),
            Err(error) => {
                tracing::warn!(%error, "no thread to look at files with");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_given_up_and_the_next_is_answered() {
        // Over at once where time stands still; never where a busy machine starts a thread late.
        let mut reader = Reader::new("test", Duration::from_secs(60));
        let (release, gate) = sync_channel::<()>(1);
        assert!(
            reader
                .ask("hangs", move || gate.recv().map_or(1, |()| 1))
                .is_none()
        );
        assert!(reader.ask("answers", || 2).is_none());
        assert_eq!(reader.next().await, ("hangs", None));
        assert_eq!(reader.hung, 1);
        // Time stands still while a thread works, so that this one is never too late.
        tokio::time::resume();
        assert_eq!(reader.next().await, ("answers", Some(2)));
        drop(release);
        assert!(reader.ask("later", || 3).is_none());
        assert_eq!(reader.next().await, ("later", Some(3)));
        while reader.hung > 0 {
            assert!(reader.ask("again", || 4).is_none());
            assert_eq!(reader.next().await, ("again", Some(4)));
        }
    }

    #[tokio::test]
    async fn while_all_threads_hang_questions_come_back() {
        let mut reader = Reader::new("test", Duration::from_millis(1));
        let mut gates = Vec::new();
        for i in 0..MAX_HUNG {
            let (release, gate) = sync_channel::<()>(1);
            gates.push(release);
            assert!(reader.ask(i, move || gate.recv().unwrap_or(())).is_none());
        }
        assert!(reader.ask(99, || ()).is_none());
        for i in 0..MAX_HUNG {
            assert_eq!(reader.next().await, (i, None));
        }
        assert_eq!(reader.next().await, (99, None));
        assert_eq!(reader.ask(100, || ()), Some(100));
    }
}
