//! What one message may not exceed.

use tonic::Status;

use super::super::MAX_ITEMS;

/// Sequences are ordered in the store, which has signed numbers: an honest agent needs ages to run
/// out of 63 bits.
pub(super) fn sequence(field: &str, first: u64, count: usize) -> Result<(), Status> {
    let end = u64::try_from(count)
        .ok()
        .and_then(|count| first.checked_add(count));
    if end.is_none_or(|end| i64::try_from(end).is_err()) {
        return Err(Status::invalid_argument(format!(
            "{field}: {first} is too large for a sequence"
        )));
    }
    Ok(())
}

/// Lists are held in memory.
pub(super) fn few(message: &str, items: usize) -> Result<(), Status> {
    if items > MAX_ITEMS {
        return Err(Status::resource_exhausted(format!(
            "{message}: {items} items are too many for one message; Welcome said {MAX_ITEMS}"
        )));
    }
    Ok(())
}
