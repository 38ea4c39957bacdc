//! Offsets of kernel structures, from the running kernel's BTF.
//!
//! Format: Documentation/bpf/btf.rst. Only what is asked for is kept: the file is some 5 MB, and
//! the agent is a guest on its node.

use std::collections::HashMap;

/// Where the kernel shows its BTF (CONFIG_DEBUG_INFO_BTF).
pub(crate) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why the BTF could not be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BtfError {
    /// It is not BTF, or ends early.
    #[error("{VMLINUX} is malformed at byte {0}")]
    Malformed(usize),
}

/// The types of one BTF file.
pub(crate) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type starts in `types`; type ids start at 1.
    starts: Vec<u32>,
    /// Structures and functions by name, those that were asked for.
    names: HashMap<&'a str, u32>,
}

const MAGIC: u16 = 0xeb9f;
/// `sizeof(struct btf_header)`, include/uapi/linux/btf.h.
const HEADER_LEN: u32 = 24;

mod kind {
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
}

impl<'a> Btf<'a> {
    /// Indexes `bytes`, remembering structures and functions whose name is in `wanted`.
    pub(crate) fn parse(bytes: &'a [u8], wanted: &[&str]) -> Result<Self, BtfError> {
        let header = |at| u32_at(bytes, at).ok_or(BtfError::Malformed(at));
        if bytes
            .get(..2)
            .is_none_or(|magic| magic != MAGIC.to_ne_bytes())
        {
            return Err(BtfError::Malformed(0));
        }
        let body = header(4)?;
        let section = |offset: u32, len: u32| {
            let start = body.checked_add(offset)? as usize;
            bytes.get(start..start.checked_add(len as usize)?)
        };
        let types = section(header(8)?, header(12)?).ok_or(BtfError::Malformed(8))?;
        let strings = section(header(16)?, header(20)?).ok_or(BtfError::Malformed(16))?;
        let mut btf = Self {
            types,
            strings,
            starts: vec![0],
            names: HashMap::new(),
        };
        let mut at = 0;
        while at < types.len() {
            let kind = btf.kind(at).ok_or(BtfError::Malformed(at))?;
            let id = u32::try_from(btf.starts.len()).map_err(|_| BtfError::Malformed(at))?;
            btf.starts
                .push(u32::try_from(at).map_err(|_| BtfError::Malformed(at))?);
            if matches!(kind, kind::STRUCT | kind::FUNC)
                && let Some(name) = btf.name(at)
                && wanted.contains(&name)
            {
                btf.names.entry(name).or_insert(id);
            }
            at += 12 + btf.tail(at, kind).ok_or(BtfError::Malformed(at))?;
        }
        Ok(btf)
    }

    /// Offset in bytes of a field, given as `structure.field.field`; `None` if this kernel has no
    /// such field. Anonymous structures and unions are looked through.
    pub(crate) fn offset(&self, path: &str) -> Option<u32> {
        let mut parts = path.split('.');
        let mut id = *self.names.get(parts.next()?)?;
        let mut offset = 0;
        for field in parts {
            let (at, next) = self.member(id, field, 0)?;
            offset += at;
            id = next;
        }
        Some(offset)
    }

    /// How many arguments a function takes; `None` if this kernel has no such function.
    pub(crate) fn arguments(&self, function: &str) -> Option<u32> {
        let at = self.start(*self.names.get(function)?)?;
        let proto = self.start(u32_at(self.types, at + 8)?)?;
        (self.kind(proto)? == kind::FUNC_PROTO).then(|| self.vlen(proto))?
    }

    /// Whether this kernel has a function of that name.
    pub(crate) fn has_function(&self, function: &str) -> bool {
        self.arguments(function).is_some()
    }

    /// The same type ids, but only functions and typedefs named in `keep`; every other type is an
    /// empty forward declaration.
    ///
    /// aya needs the ids of a handful of types, and would make hundreds of thousands of small
    /// allocations of the whole, which the allocator then keeps for the life of the process.
    pub(crate) fn reduced(&self, keep: &[&str]) -> Option<Vec<u8>> {
        let types_len = 12 * (self.starts.len() - 1);
        let names_len: usize = keep.iter().map(|name| name.len() + 1).sum();
        // In one piece: glibc gives a large block back when it is freed, but from then on serves
        // blocks of up to that size from the heap, and those it keeps.
        let mut out = Vec::with_capacity(HEADER_LEN as usize + types_len + 1 + names_len);
        out.extend(MAGIC.to_ne_bytes());
        // Version and flags.
        out.extend([1, 0]);
        let (types_len, strings_len) = (
            u32::try_from(types_len).ok()?,
            u32::try_from(1 + names_len).ok()?,
        );
        for word in [HEADER_LEN, 0, types_len, types_len, strings_len] {
            out.extend(word.to_ne_bytes());
        }
        for at in self.starts.iter().skip(1).map(|at| *at as usize) {
            let kind = self.kind(at)?;
            let name = matches!(kind, kind::FUNC | kind::TYPEDEF)
                .then(|| self.name(at))
                .flatten();
            if let Some(i) = name.and_then(|name| keep.iter().position(|known| *known == name)) {
                let before: usize = keep[..i].iter().map(|name| name.len() + 1).sum();
                out.extend(u32::try_from(1 + before).ok()?.to_ne_bytes());
                out.extend(self.types.get(at + 4..at + 12)?);
            } else {
                out.extend(
                    [0, kind::FWD << 24, 0]
                        .into_iter()
                        .flat_map(u32::to_ne_bytes),
                );
            }
        }
        out.push(0);
        for name in keep {
            out.extend(name.as_bytes());
            out.push(0);
        }
        Some(out)
    }

    fn member(&self, id: u32, field: &str, depth: u32) -> Option<(u32, u32)> {
        let at = self.start(self.resolve(id)?)?;
        if depth > 8 || !matches!(self.kind(at)?, kind::STRUCT | kind::UNION) {
            return None;
        }
        // With kind_flag, the offset's upper byte holds the size of a bit field.
        let has_bit_fields = u32_at(self.types, at + 4)? >> 31 == 1;
        for i in 0..self.vlen(at)? as usize {
            let member = at + 12 + 12 * i;
            let kind = u32_at(self.types, member + 4)?;
            let bits = u32_at(self.types, member + 8)?;
            let bytes = if has_bit_fields {
                bits & 0x00ff_ffff
            } else {
                bits
            } / 8;
            let name = self.string(u32_at(self.types, member)?)?;
            if name == field {
                return Some((bytes, kind));
            }
            if name.is_empty()
                && let Some((inner, kind)) = self.member(kind, field, depth + 1)
            {
                return Some((bytes + inner, kind));
            }
        }
        None
    }

    /// Follows typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<u32> {
        for _ in 0..16 {
            let at = self.start(id)?;
            match self.kind(at)? {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST => id = u32_at(self.types, at + 8)?,
                _ => return Some(id),
            }
        }
        None
    }

    fn start(&self, id: u32) -> Option<usize> {
        (id != 0).then(|| self.starts.get(id as usize).map(|at| *at as usize))?
    }

    fn kind(&self, at: usize) -> Option<u32> {
        Some(u32_at(self.types, at + 4)? >> 24 & 0x1f)
    }

    fn vlen(&self, at: usize) -> Option<u32> {
        Some(u32_at(self.types, at + 4)? & 0xffff)
    }

    fn name(&self, at: usize) -> Option<&'a str> {
        self.string(u32_at(self.types, at)?)
    }

    fn string(&self, at: u32) -> Option<&'a str> {
        let rest = self.strings.get(at as usize..)?;
        std::str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()
    }

    /// Bytes behind the common part of a type.
    fn tail(&self, at: usize, kind: u32) -> Option<usize> {
        let each = match kind {
            // INT, VAR, DECL_TAG
            1 | 14 | 17 => return Some(4),
            kind::ARRAY => return Some(12),
            // STRUCT, UNION, DATASEC, ENUM64
            kind::STRUCT | kind::UNION | 15 | 19 => 12,
            // ENUM, FUNC_PROTO
            6 | kind::FUNC_PROTO => 8,
            // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
            2 | 7..=12 | 16 | 18 => return Some(0),
            _ => return None,
        };
        Some(each * self.vlen(at)? as usize)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_running_kernel_is_read() {
        let bytes = std::fs::read(VMLINUX).expect("these tests run on a kernel with BTF");
        let btf = Btf::parse(
            &bytes,
            &["linux_binprm", "task_struct", "file", "bprm_execve"],
        )
        .expect("well formed");
        // `filename` and `interp` are neighbours in every kernel; `se` is nested, and `f_path` is
        // in an anonymous union in newer ones.
        assert_eq!(
            btf.offset("linux_binprm.filename").map(|offset| offset + 8),
            btf.offset("linux_binprm.interp")
        );
        assert!(btf.offset("task_struct.se.sum_exec_runtime").is_some());
        assert!(btf.offset("file.f_path.dentry").is_some());
        assert_eq!(btf.offset("task_struct.no_such_field"), None);
        assert_eq!(btf.offset("no_such_struct.pid"), None);
        assert!(matches!(btf.arguments("bprm_execve"), Some(1 | 4)));
        assert!(!btf.has_function("no_such_function"));
    }

    #[test]
    fn the_reduced_form_keeps_ids() {
        let bytes = std::fs::read(VMLINUX).expect("these tests run on a kernel with BTF");
        let all = Btf::parse(&bytes, &["bprm_execve"]).expect("well formed");
        let reduced = all.reduced(&["bprm_execve"]).expect("well formed");
        let few = Btf::parse(&reduced, &["bprm_execve"]).expect("well formed");
        assert_eq!(few.names, all.names);
        assert_eq!(few.starts.len(), all.starts.len());
        assert!(reduced.len() < bytes.len());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(mut bytes: Vec<u8>, header: bool) {
            if header && bytes.len() > 24 {
                bytes[..2].copy_from_slice(&MAGIC.to_ne_bytes());
                bytes[4..8].copy_from_slice(&24_u32.to_ne_bytes());
                bytes[8..12].copy_from_slice(&0_u32.to_ne_bytes());
                bytes[16..24].copy_from_slice(&[0; 8]);
                let len = u32::try_from(bytes.len() - 24).expect("small");
                bytes[12..16].copy_from_slice(&len.to_ne_bytes());
            }
            if let Ok(btf) = Btf::parse(&bytes, &[""]) {
                let _ = (btf.offset(".x"), btf.arguments(""), btf.reduced(&[""]));
            }
        }
    }
}
