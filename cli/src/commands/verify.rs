//! `archtrace verify`: watches pods, and says by the exit code whether they run natively.

mod progress;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use archtrace_facts::fleet::Coverage;
use archtrace_facts::gate::{self, Doubt, DoubtKind, Known, Question, Verdict, Verified};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use self::progress::Progress;
use super::resume::Resume;
use super::{print, warn};
use crate::args::{Connection, Output, VerifyArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::show;

/// Watches, prints what is known in the end, and says it by the exit code.
pub(super) async fn verify(
    connection: &Connection,
    output: Output,
    args: &VerifyArgs,
) -> Result<ExitCode, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let question = Question {
        wanted: args.wanted(),
        duration: args.duration,
        since: None,
        unwatched: None,
    };
    let verified = tokio::select! {
        told = watch(connection, &question) => told?,
        _ = interrupt.recv() => return Err(interrupted(SignalKind::interrupt())),
        _ = terminate.recv() => return Err(interrupted(SignalKind::terminate())),
    };
    warn(&verified.coverage);
    match print(&show::verified(&question.wanted, &verified, output)) {
        // The exit code still says it.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    Ok(match verified.report.verdict {
        Verdict::Native => ExitCode::SUCCESS,
        Verdict::NotNative => 2.into(),
        Verdict::Unknown => 3.into(),
    })
}

fn interrupted(signal: SignalKind) -> Failure {
    Failure::Interrupted(u8::try_from(signal.as_raw_value()).unwrap_or_default())
}

/// Watches until it is answered. A collector that goes away is waited for, if it was there once, and asked
/// again for the rest of the time.
async fn watch(connection: &Connection, question: &Question) -> Result<Verified, Failure> {
    let (began, now) = (Instant::now(), SystemTime::now());
    let until = began + question.duration;
    // What is there has to be told, even if there is nothing to wait for.
    let latest = until + connection.timeout;
    let mut watch = Watch {
        last: None,
        told: None,
        gap: Duration::ZERO,
        away: None,
        progress: Progress::new(until),
    };
    let mut resume = Resume::new();
    loop {
        let asked = Question {
            duration: until.saturating_duration_since(Instant::now()),
            // The first answer says when it began by the clock of whoever answers.
            since: watch.last.as_ref().map(|told| told.since),
            unwatched: watch.told.map(|told| told.elapsed()),
            ..question.clone()
        };
        let ended = tokio::select! {
            ended = watch.stream(connection, &asked, &mut resume) => ended,
            () = sleep_until(latest) => return Ok(watch.away(question, now, began)),
        };
        let ended = match ended {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
        };
        tokio::select! {
            resumed = resume.after(ended) => resumed?,
            () = sleep_until(latest) => return Ok(watch.away(question, now, began)),
        }
    }
}

struct Watch {
    /// What was told last, on whichever stream.
    last: Option<Verified>,
    /// When that was.
    told: Option<Instant>,
    /// For how long at most nobody watched, since something was told first.
    gap: Duration,
    /// What a stream before this one did not see.
    away: Option<Doubt>,
    progress: Progress,
}

impl Watch {
    /// One stream, to the answer; `None` if it ends before that.
    async fn stream(
        &mut self,
        connection: &Connection,
        question: &Question,
        resume: &mut Resume,
    ) -> Result<Option<Verified>, Failure> {
        let client = Client::connect(connection).await?;
        let mut updates = client.verify(question).await?;
        resume.works();
        while let Some(told) = updates.next().await? {
            self.hear(Instant::now());
            if told.ended {
                return Ok(Some(self.gapless(told)));
            }
            self.progress.tell(&told.report);
            let mut doubts = told.report.doubts.iter();
            let away = doubts.find(|doubt| doubt.kind == DoubtKind::Away);
            self.away = away.cloned().or(self.away.take());
            self.last = Some(told);
        }
        Ok(None)
    }

    /// Something was told: whatever is told less often than every ten seconds was not watched meanwhile.
    fn hear(&mut self, now: Instant) {
        let before = self.told.replace(now).unwrap_or(now);
        self.gap = self.gap.max(now.saturating_duration_since(before));
    }

    /// The same answer, unless nobody watched for too long.
    fn gapless(&self, mut told: Verified) -> Verified {
        if let Some(away) = &self.away
            && !told.report.doubts.contains(away)
        {
            told.report = told.report.doubted(away.clone());
        }
        if self.gap <= Question::GAP {
            return told;
        }
        let why = format!("nobody told the facts for {} seconds", self.gap.as_secs());
        Verified {
            report: told.report.unwatched(&why),
            ..told
        }
    }

    /// The time is over, and nobody tells what is there.
    fn away(self, question: &Question, since: SystemTime, began: Instant) -> Verified {
        let last = self.last.unwrap_or_else(|| {
            let coverage = Coverage::default();
            let known = Known {
                deaths: &[],
                since,
                nodes: &[],
                coverage: &coverage,
            };
            Verified {
                report: gate::decide(&question.wanted, [], known),
                coverage,
                since,
                watched: began.elapsed(),
                ended: true,
            }
        });
        let doubt = Doubt {
            kind: DoubtKind::Away,
            what: "whoever tells the facts was away, or did not tell all of them in time"
                .to_owned(),
        };
        Verified {
            report: last.report.doubted(doubt),
            watched: began.elapsed(),
            ..last
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_facts::gate::Report;

    fn native() -> Verified {
        Verified {
            report: Report {
                verdict: Verdict::Native,
                pods: 1,
                native_pods: 1,
                not_native: Vec::new(),
                more_not_native: 0,
                died: Vec::new(),
                more_died: 0,
                doubts: Vec::new(),
                more_doubts: 0,
            },
            coverage: Coverage::default(),
            since: SystemTime::UNIX_EPOCH,
            watched: Duration::ZERO,
            ended: true,
        }
    }

    #[test]
    fn what_nobody_watched_leaves_it_open() {
        for (heard, verdict) in [
            (&[0][..], Verdict::Native),
            // A collector that was replaced.
            (&[0, 10, 70, 80], Verdict::Native),
            (&[0, 10, 131, 140], Verdict::Unknown),
            // That it took long to begin hides nothing that began with it.
            (&[900, 910], Verdict::Native),
        ] {
            let began = Instant::now();
            let mut watch = Watch {
                last: None,
                told: None,
                gap: Duration::ZERO,
                away: None,
                progress: Progress::new(began),
            };
            for seconds in heard {
                watch.hear(began + Duration::from_secs(*seconds));
            }
            let told = watch.gapless(native());
            assert_eq!(told.report.verdict, verdict, "{heard:?}");
        }
    }
}
