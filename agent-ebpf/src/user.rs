//! The agent's side of the ABI.

use core::mem::MaybeUninit;
use core::ptr;

use aya::Pod;

use crate::abi::{
    CellKey, Config, ForeignCell, HotCell, Interpreter, NativeCell, Record, TrackedTask,
};

// SAFETY: all are `repr(C)`, made of integers with explicit padding (asserted in `abi`), so that
// every byte is initialised and every bit pattern is a value.
unsafe impl Pod for CellKey {}
// SAFETY: as above.
unsafe impl Pod for NativeCell {}
// SAFETY: as above.
unsafe impl Pod for HotCell {}
// SAFETY: as above.
unsafe impl Pod for ForeignCell {}
// SAFETY: as above.
unsafe impl Pod for TrackedTask {}
// SAFETY: as above.
unsafe impl Pod for Interpreter {}
// SAFETY: as above.
unsafe impl Pod for Config {}

impl Record {
    /// Splits what came out of the ring buffer into the record and its path. `None` if it is
    /// shorter than it says.
    #[must_use]
    pub fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = bytes.split_at_checked(size_of::<Self>())?;
        let mut record = MaybeUninit::<Self>::uninit();
        // SAFETY: `head` is as long as the type, and every bit pattern of it is a value.
        let record = unsafe {
            ptr::copy_nonoverlapping(head.as_ptr(), record.as_mut_ptr().cast(), head.len());
            record.assume_init()
        };
        let path = rest.get(..usize::from(record.path_len))?;
        Some((record, path))
    }

    /// `linux_binprm.interp`, if something was put in front of the guest.
    #[must_use]
    pub fn interpreter(&self) -> Option<&[u8]> {
        let len = usize::try_from(self.interp_len).ok()?;
        (self.interpreted != 0)
            .then(|| self.interp.get(..len))
            .flatten()
    }

    /// Name of the task, without the NUL.
    #[must_use]
    pub fn comm(&self) -> &[u8] {
        self.comm
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_are_shorter_than_they_say_are_refused() {
        let mut bytes = [0_u8; size_of::<Record>() + 4];
        let path_len = core::mem::offset_of!(Record, path_len);
        bytes[path_len] = 4;
        assert_eq!(Record::split(&bytes).map(|(_, path)| path.len()), Some(4));
        bytes[path_len] = 5;
        assert!(Record::split(&bytes).is_none());
        assert!(Record::split(&bytes[..size_of::<Record>() - 1]).is_none());
        assert!(Record::split(&[]).is_none());
    }
}
