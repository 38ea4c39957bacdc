//! Images, layer by layer; several threads read layers, one lays them over each other.

use std::fs::File;
use std::io::Seek as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use archtrace_audit as audit;
use archtrace_facts::audit::Audit;

use crate::error::ScanError;
use crate::layer::{self, Layer, LayerRoom};
use crate::manifest::Run;
use crate::outline::{Image, LayerName};
use crate::progress::Progress;
use crate::report::Part;
use crate::scan::Options;
use crate::store::{Blob, Store};
use crate::tree::Tree;

/// Images whose layers are in memory at the same time: the usual two platforms.
const AT_ONCE: usize = 2;

/// Audits each image against its own claim.
pub(crate) fn audit(
    store: &Store,
    images: &[Image],
    options: &Options,
    progress: &Progress,
) -> Result<Vec<Part>, ScanError> {
    let limits = audit::Options::scan(options.arch, 1).limits.archive;
    let mut parts = Vec::new();
    for some in images.chunks(AT_ONCE) {
        let rooms: Vec<_> = some.iter().map(|_| LayerRoom::default()).collect();
        let jobs: Vec<_> = some
            .iter()
            .zip(&rooms)
            .flat_map(|(image, room)| {
                let options = layer::Options {
                    expected: image.claim.platform().isa(),
                    archives: &limits,
                    room,
                };
                image.layers.iter().map(move |layer| (layer, options))
            })
            .collect();
        let layers = in_threads(options.threads, jobs.len(), |at| {
            let (name, options) = jobs.get(at)?;
            Some(read(store, name, options, progress))
        });
        let mut layers = layers.into_iter();
        for image in some {
            let mut tree = Tree::default();
            for layer in layers.by_ref().take(image.layers.len()) {
                tree.apply(layer?);
            }
            let Image {
                name, claim, run, ..
            } = image;
            parts.push(Part {
                name: name.clone(),
                claim: Some(claim.clone()),
                audit: tree.audit(claim.platform().isa(), run),
            });
        }
    }
    Ok(parts)
}

/// Audits a root file system in an archive.
pub(crate) fn root_archive(
    file: &Arc<File>,
    path: &str,
    options: &Options,
    progress: &Progress,
) -> Result<Audit, ScanError> {
    let io = |error| ScanError::io(path, error);
    let mut reader = file.try_clone().map_err(io)?;
    reader.rewind().map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let limits = audit::Options::scan(options.arch, 1).limits.archive;
    let asked = layer::Options {
        expected: options.arch,
        archives: &limits,
        room: &LayerRoom::default(),
    };
    let blob = Blob::whole(path.to_owned(), size, Box::new(reader), progress);
    let mut tree = Tree::default();
    tree.apply(layer::read(blob, &asked, progress)?);
    Ok(tree.audit(options.arch, &Run::default()))
}

fn read(
    store: &Store,
    layer: &LayerName,
    options: &layer::Options<'_>,
    progress: &Progress,
) -> Result<Layer, ScanError> {
    let LayerName { name, digest } = layer;
    let blob = store.open(name, digest.clone(), progress)?;
    let blob = blob.ok_or_else(|| ScanError::NoBlob {
        path: store.path(name),
        by: "an image".to_owned(),
    })?;
    layer::read(blob, options, progress)
}

/// Does `count` jobs in several threads; the results come in the order of the jobs. After an error
/// no further job begins.
fn in_threads<T: Send>(
    threads: usize,
    count: usize,
    job: impl Fn(usize) -> Option<Result<T, ScanError>> + Sync,
) -> Vec<Result<T, ScanError>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let at = next.fetch_add(1, Relaxed);
            let Some(result) = job(at) else { return };
            if result.is_err() {
                next.store(count, Relaxed);
            }
            // Nobody panics while the lock is held.
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((at, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            // Where no thread can be had, this one does all the work.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    // What failed first comes first: after it there may be holes.
    results.sort_by_key(|(at, result)| (result.is_ok(), *at));
    results.into_iter().map(|(_, result)| result).collect()
}
