//! The agent's side of the ABI.

use core::mem::MaybeUninit;
use core::ptr;

use aya::Pod;

use crate::abi::{
    CellKey, Cgroup, Config, FileKey, ForeignCell, HotCell, IllegalCell, Interpreter, NativeCell,
    Record, Signal, TrackedTask, tag,
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

// SAFETY: as above.
unsafe impl Pod for FileKey {}
// SAFETY: as above.
unsafe impl Pod for IllegalCell {}

/// What came out of the ring buffer.
#[expect(
    clippy::large_enum_variant,
    reason = "handed on at once; a box would be an allocation for each"
)]
pub enum Item<'a> {
    /// An exec, and its path.
    Exec(Record, &'a [u8]),
    /// A death, and the path of its executable.
    Signal(Signal, &'a [u8]),
    /// A new cgroup, and its path.
    Cgroup(Cgroup, &'a [u8]),
}

impl<'a> Item<'a> {
    /// Splits what came out of the ring buffer into the record and its path. `None` if it is
    /// shorter than it says, or of no known kind.
    #[must_use]
    pub fn split(bytes: &'a [u8]) -> Option<Self> {
        match u32::from_ne_bytes(*bytes.first_chunk()?) {
            tag::EXEC => {
                let (record, rest) = split::<Record>(bytes)?;
                let path = rest.get(..usize::from(record.path_len))?;
                Some(Self::Exec(record, path))
            }
            tag::SIGNAL => {
                let (signal, rest) = split::<Signal>(bytes)?;
                let path = rest.get(..usize::from(signal.path_len))?;
                Some(Self::Signal(signal, path))
            }
            tag::CGROUP => {
                let (made, rest) = split::<Cgroup>(bytes)?;
                let path = rest.get(..usize::try_from(made.path_len).ok()?)?;
                Some(Self::Cgroup(made, path))
            }
            _ => None,
        }
    }
}

/// # Safety
/// Every bit pattern of the type must be a value.
unsafe trait Plain: Copy {}
// SAFETY: made of integers and arrays of them.
unsafe impl Plain for Record {}
// SAFETY: as above.
unsafe impl Plain for Signal {}
// SAFETY: as above.
unsafe impl Plain for Cgroup {}

fn split<T: Plain>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<T>())?;
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: `head` is as long as the type, and every bit pattern of it is a value (`Plain`).
    let value = unsafe {
        ptr::copy_nonoverlapping(head.as_ptr(), value.as_mut_ptr().cast(), head.len());
        value.assume_init()
    };
    Some((value, rest))
}

impl Record {
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
        name(&self.comm)
    }
}

impl Signal {
    /// Name of the task, without the NUL.
    #[must_use]
    pub fn comm(&self) -> &[u8] {
        name(&self.comm)
    }

    /// The instruction's first bytes, as far as they could be read.
    #[must_use]
    pub fn code_bytes(&self) -> &[u8] {
        let len = usize::from(self.code_len);
        self.code_bytes.get(..len).unwrap_or(&self.code_bytes)
    }
}

fn name(comm: &[u8]) -> &[u8] {
    comm.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_are_shorter_than_they_say_are_refused() {
        fn check<T>(tag: u32, path_len: usize) {
            let mut buffer = [0_u8; 512];
            let bytes = &mut buffer[..size_of::<T>() + 4];
            bytes[..4].copy_from_slice(&tag.to_ne_bytes());
            bytes[path_len] = 4;
            assert!(Item::split(bytes).is_some());
            bytes[path_len] = 5;
            assert!(Item::split(bytes).is_none());
            assert!(Item::split(&bytes[..size_of::<T>() - 1]).is_none());
        }
        check::<Record>(tag::EXEC, core::mem::offset_of!(Record, path_len));
        check::<Signal>(tag::SIGNAL, core::mem::offset_of!(Signal, path_len));
        check::<Cgroup>(tag::CGROUP, core::mem::offset_of!(Cgroup, path_len));
        assert!(Item::split(&[0; 1024]).is_none(), "of no known kind");
        assert!(Item::split(&[]).is_none());
    }
}
