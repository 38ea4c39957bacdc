//! A watch that begins again whatever happens.
//!
//! `kube` lists in pages, watches with bookmarks, goes on from the last version that it saw when a connection
//! breaks off, begins with a list again where the stream says that this version is too old (410 Gone), and
//! waits longer after each failure. One thing it does not: where the API server answers a watch with 410 as
//! its HTTP status, it asks for the same version again, for ever. That is done here.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, unfold};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

/// Until everything is listed again after a version was too old: a server that says so each time is not
/// asked more often than this.
const AGAIN: Duration = Duration::from_secs(2);

/// What is told of objects of one kind in all namespaces, as metadata only. Never ends.
pub(crate) fn metadata<K>(
    client: &Client,
) -> BoxStream<'static, Result<Event<PartialObjectMeta<K>>, watcher::Error>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let api: Api<PartialObjectMeta<K>> = Api::all(client.clone());
    let next = move |events: Option<BoxStream<'static, _>>| {
        let api = api.clone();
        async move {
            let begin = || {
                watcher(api, watcher::Config::default())
                    .default_backoff()
                    .boxed()
            };
            let mut events = events.unwrap_or_else(begin);
            let event = events.next().await?;
            let begins_again = matches!(&event, Err(error) if is_too_old(error));
            if begins_again {
                sleep(AGAIN).await;
            }
            Some((event, (!begins_again).then_some(events)))
        }
    };
    unfold(None, next).boxed()
}

/// Whether the same version would be refused again.
fn is_too_old(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        _ => false,
    }
}

/// Whether asking again is of no use until somebody changes something.
pub(crate) fn is_forbidden(error: &watcher::Error) -> bool {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => status.code,
        watcher::Error::WatchError(status) => status.code,
        _ => return false,
    };
    matches!(code, 401 | 403)
}
