//! Passing events on: which exports there are, and what becomes of what they cannot pass on in time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_export::ocsf::{self, Limits};
use archtrace_export::{PositionError, Positions, Progress, Sink, otlp};
use tokio::task::JoinSet;

use crate::store::{NodeId, Store, StoreError};

/// Which exports, and where it is noted how far they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// To an OpenTelemetry collector.
    pub otlp: Option<otlp::Options>,
    /// To a file, as findings of OCSF.
    pub ocsf: Option<(PathBuf, Limits)>,
    /// A directory.
    pub state: PathBuf,
}

/// Why an export cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is not known how far it was.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// There can be no connection.
    #[error(transparent)]
    Otlp(#[from] otlp::ClientError),
    /// There can be no file.
    #[error(transparent)]
    Ocsf(#[from] ocsf::FileError),
}

/// Exports that run; they end with this.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    tasks: JoinSet<()>,
    progress: Vec<Arc<Progress>>,
}

impl Exports {
    /// Starts those that are asked for.
    pub(crate) fn start<S: Store>(
        options: &Options,
        store: &Arc<S>,
        store_name: &str,
    ) -> Result<Self, ExportError> {
        let Options { otlp, ocsf, state } = options;
        let mut exports = Self::default();
        let position =
            |name: &str| Positions::open(&state.join(format!("{name}.position")), store_name);
        if let Some(otlp) = otlp {
            let sink = otlp::Client::new(otlp)?;
            exports.add("otlp", store, sink, position("otlp")?);
        }
        if let Some((path, limits)) = ocsf {
            let sink = ocsf::File::open(path, *limits)?;
            exports.add("ocsf", store, sink, position("ocsf")?);
        }
        Ok(exports)
    }

    fn add<S: Store, K: Sink>(
        &mut self,
        name: &'static str,
        store: &Arc<S>,
        sink: K,
        positions: Positions,
    ) {
        let progress = Arc::new(Progress::new(name, &positions));
        self.progress.push(Arc::clone(&progress));
        let run = archtrace_export::run(Arc::clone(store), sink, positions, progress);
        self.tasks.spawn(run);
    }

    /// How far they are.
    pub(crate) fn progress(&self) -> Vec<Arc<Progress>> {
        self.progress.clone()
    }

    /// Ends when an export has ended, which none does unless something is broken in it.
    pub(crate) async fn ended(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Err(error)) => error.to_string(),
            Some(Ok(())) => "it has nothing more to do".to_owned(),
            None => std::future::pending().await,
        }
    }
}

/// Counts what is older than `before`, and so about to be deleted, and was not passed on.
pub(crate) async fn count_skipped<S: Store>(
    store: &S,
    exports: &[Arc<Progress>],
    before: SystemTime,
) -> Result<(), StoreError> {
    for export in exports.iter().filter(|export| export.is_behind()) {
        let nodes = store.heads().await?;
        let places = nodes
            .iter()
            .map(|head| (head.node, export.place(head.node)));
        let skipped = store.count_events_after(places.collect(), before).await?;
        export.skip(skipped);
    }
    Ok(())
}

/// Whether all that is stored of a node's events was passed on, by each of them.
pub(crate) async fn are_through<S: Store>(
    store: &S,
    exports: &[Arc<Progress>],
    node: NodeId,
) -> Result<bool, StoreError> {
    let ever = SystemTime::UNIX_EPOCH + Duration::from_nanos(i64::MAX.unsigned_abs());
    for export in exports.iter().filter(|export| export.is_behind()) {
        let places = vec![(node, export.place(node))];
        if store.count_events_after(places, ever).await? > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Numbers that should be 0: what people are shown of them besides the log.
pub(crate) fn troubles(exports: &[Arc<Progress>]) -> impl Iterator<Item = (String, u64)> {
    exports.iter().flat_map(|export| {
        let (name, counts) = (export.name(), export.counts());
        [("refused", counts.refused), ("skipped", counts.skipped)]
            .map(|(what, count)| (format!("export_{name}_{what}"), count))
    })
}
