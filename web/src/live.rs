//! Events as they come in, as Server-Sent Events: what browsers follow with no library.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use archtrace_facts::fleet::{EventUpdate, NodeEvent};
use archtrace_facts::select::Selection;
use archtrace_query::{Query, Read};
use axum::extract::{RawQuery, State};
use axum::response::Sse;
use axum::response::sse::Event;
use futures_util::{Stream, StreamExt as _, future};
use http::HeaderMap;
use tokio::time::sleep;

use crate::link::condition;
use crate::pages::kind;
use crate::trouble::Trouble;
use crate::view::EventRow;

/// How far back a stream may begin: what was missed while a connection was made again. Whoever was
/// away for longer loads the page.
const LATELY: Duration = Duration::from_secs(600);

/// Events of one moment come in one after the other, those of some nodes later than those of others. So
/// a stream begins that much earlier, and the script leaves out what is there already.
const OVERLAP: Duration = Duration::from_secs(60);

/// How long a stream goes on. The browser then connects again, so that whoever may not read any more
/// does not.
const LONGEST: Duration = Duration::from_secs(600);

/// Tells of what came in since the event that was told last, and goes on.
pub(crate) async fn events<S: Read>(
    State(query): State<Query<S>>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Trouble> {
    let asked = asked.as_deref();
    let kind = kind(asked)?;
    let now = SystemTime::now();
    let since = since(&headers, &condition(asked, "since"), now)?;
    let everything = Selection::default();
    let updates = query.follow_events(&everything, kind.as_slice(), since);
    // What ends it is told by connecting again.
    let updates = updates
        .await?
        .take_while(|update| future::ready(update.is_ok()));
    let updates = updates.filter_map(|update| future::ready(update.ok().and_then(message)));
    Ok(Sse::new(updates.take_until(Box::pin(sleep(LONGEST)))))
}

fn since(headers: &HeaderMap, asked: &str, now: SystemTime) -> Result<SystemTime, Trouble> {
    // The browser sends it when it connects again.
    let last = headers.get("last-event-id");
    let last = last.and_then(|id| id.to_str().ok()).unwrap_or(asked);
    let earliest = now.checked_sub(LATELY).unwrap_or(SystemTime::UNIX_EPOCH);
    let last = if last.is_empty() {
        now
    } else {
        let nanos = last.parse().map_err(|_| Trouble::Nonsense)?;
        let last = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos));
        // A node's clock may be ahead.
        last.unwrap_or(now).min(now)
    };
    Ok(last.checked_sub(OVERLAP).unwrap_or(earliest).max(earliest))
}

/// What a browser is told. Coverage is a sign of life, which comes every ten seconds at least.
fn message(update: EventUpdate) -> Option<Result<Event, Infallible>> {
    let event = match update {
        EventUpdate::Event(event) => row(&event)?,
        EventUpdate::Coverage(_) => Event::default().comment("alive"),
        EventUpdate::Skipped(count) => Event::default().event("skipped").data(count.to_string()),
    };
    Some(Ok(event))
}

fn row(event: &NodeEvent) -> Option<Event> {
    let row = EventRow::new(event, SystemTime::now());
    // Plain texts, which always serialise, and without line breaks.
    let row = serde_json::to_string(&row).ok()?;
    let id = nanos(event.record.time()).to_string();
    Some(Event::default().id(id).data(row))
}

pub(crate) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_begins_where_the_last_one_ended_but_not_long_ago() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (header, asked, expected) in [
            (None, "", Ok(at(9940))),
            (None, "9990000000000", Ok(at(9930))),
            (Some("9995000000000"), "9990000000000", Ok(at(9935))),
            (Some("1"), "", Ok(at(9400))),
            (None, "99999000000000", Ok(at(9940))),
            (None, "yesterday", Err(Trouble::Nonsense)),
            (Some("-1"), "", Err(Trouble::Nonsense)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(id) = header {
                headers.insert("last-event-id", id.parse().expect("a header"));
            }
            assert_eq!(since(&headers, asked, now), expected, "{header:?} {asked}");
        }
    }
}
