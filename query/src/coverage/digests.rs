//! What else images go by, as of some seconds ago: certified versions may be digests of which pods know
//! nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::read::{ImageQuery, Read, StoreError};

/// How old they may be; and if an image was met that is not among them, which may be a new one.
const AGE: Duration = Duration::from_secs(30);
const AGE_WITH_NEW_ONES: Duration = Duration::from_secs(2);

/// Images read at once: each may be large.
const PAGE: u32 = 200;

/// Names with digests, by the digest of the image's configuration.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    names: HashMap<String, Vec<String>>,
    has_missed: AtomicBool,
}

impl Digests {
    /// Of one image.
    pub(crate) fn of(&self, image_id: &str) -> &[String] {
        let names = self.names.get(image_id);
        if names.is_none() && !image_id.is_empty() {
            self.has_missed.store(true, Ordering::Relaxed);
        }
        names.map_or(&[], Vec::as_slice)
    }
}

/// What was read last, and what whoever asks for none gets.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    known: Mutex<Option<(Instant, Arc<Digests>)>>,
    none: Arc<Digests>,
}

impl Cache {
    /// Nothing; always the same.
    pub(crate) fn none(&self) -> Arc<Digests> {
        Arc::clone(&self.none)
    }

    /// What is there, if it is new enough; else it is read again, once for all who wait. It is another `Arc`
    /// if something may follow from it that did not before.
    pub(crate) async fn get<S: Read>(&self, store: &S) -> Result<Arc<Digests>, StoreError> {
        let mut known = self.known.lock().await;
        if let Some((at, digests)) = &*known {
            let has_missed = digests.has_missed.load(Ordering::Relaxed);
            let age = if has_missed { AGE_WITH_NEW_ONES } else { AGE };
            if at.elapsed() < age {
                return Ok(Arc::clone(digests));
            }
        }
        let at = Instant::now();
        let mut digests = Arc::new(read(store).await?);
        // Where an image was missed, whoever looks again has to miss it again, to have this read soon.
        let is_same = |(_, old): &(Instant, Arc<Digests>)| {
            old.names == digests.names && !old.has_missed.load(Ordering::Relaxed)
        };
        if let Some((_, old)) = known.take_if(|old| is_same(old)) {
            digests = old;
        }
        *known = Some((at, Arc::clone(&digests)));
        Ok(digests)
    }
}

async fn read<S: Read>(store: &S) -> Result<Digests, StoreError> {
    let (mut names, mut after) = (HashMap::new(), None);
    loop {
        let query = ImageQuery {
            after,
            limit: PAGE,
            ..ImageQuery::default()
        };
        let images = store.images(query).await?;
        if images.is_empty() {
            return Ok(Digests {
                names,
                has_missed: AtomicBool::new(false),
            });
        }
        for (cursor, image) in images {
            let mut with_digests = image.image.names;
            with_digests.retain(|name| name.contains('@'));
            names.insert(image.image.id, with_digests);
            after = Some(cursor);
        }
    }
}
