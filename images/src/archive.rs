//! Archives of Java and Python in a layer: those are read at any place, a layer from start to end.

use std::io::{self, Read, Write as _};

use archtrace_audit::{ArchiveLimits, archive};
use archtrace_facts::audit::{Inventory, Skip};

/// An archive up to this size stays in memory, a larger one goes through a file without a name.
/// There is one for each thread.
const IN_MEMORY: u64 = 1 << 20;

/// Looks at the archive at `path`, of `size` bytes.
///
/// # Errors
/// If the layer cannot be read.
pub(crate) fn streamed(
    inventory: &mut Inventory,
    path: &[u8],
    mut content: impl Read,
    size: u64,
    limits: &ArchiveLimits,
) -> io::Result<()> {
    if size <= IN_MEMORY {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        archive(inventory, path, &bytes, limits);
        return Ok(());
    }
    if size > limits.spool {
        inventory.skipped(Skip::Bytes);
        return Ok(());
    }
    // Where there is no room for it, the archive is left out, not the image.
    let Ok(mut file) = tempfile::tempfile() else {
        inventory.skipped(Skip::Unreadable);
        return Ok(());
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = content.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        if file.write_all(bytes).is_err() {
            inventory.skipped(Skip::Unreadable);
            return Ok(());
        }
    }
    archive(inventory, path, &file, limits);
    Ok(())
}
