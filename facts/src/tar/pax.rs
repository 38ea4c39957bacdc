//! Extended headers: records of a length, a key and a value (POSIX pax, "Extended Header").

/// Those records that say where an entry is and how large.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pax {
    /// `path`, or what GNU tar's sparse files have instead.
    pub path: Option<Vec<u8>>,
    /// `linkpath`
    pub link: Option<Vec<u8>>,
    /// `size`: bytes of content in the archive.
    pub size: Option<u64>,
    /// Whether the content begins with a list of the parts that are stored (GNU tar, "PAX Format,
    /// Version 1.0").
    pub mapped: bool,
}

impl Pax {
    /// Reads the content of an extended header. What makes no sense ends it: the records before
    /// hold.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut pax = Self::default();
        for (key, value) in Records(bytes) {
            match key {
                // A sparse file's own name is made up.
                b"GNU.sparse.name" => pax.path = Some(value.to_vec()),
                b"GNU.sparse.major" => pax.mapped = value != b"0",
                b"path" if pax.path.is_none() => pax.path = Some(value.to_vec()),
                b"linkpath" => pax.link = Some(value.to_vec()),
                b"size" => pax.size = decimal(value),
                _ => {}
            }
        }
        pax
    }

    /// Takes from `other` what is not said here.
    pub fn or(&mut self, other: Self) {
        let Self {
            path,
            link,
            size,
            mapped,
        } = other;
        self.mapped |= mapped;
        self.path = self.path.take().or(path);
        self.link = self.link.take().or(link);
        self.size = self.size.or(size);
    }
}

/// `12 key=value\n`, where 12 counts the whole record.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let blank = self.0.iter().position(|byte| *byte == b' ')?;
        let len = usize::try_from(decimal(self.0.get(..blank)?)?).ok()?;
        let record = self.0.get(blank + 1..len)?.strip_suffix(b"\n")?;
        self.0 = self.0.get(len..)?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        Some((record.get(..equals)?, record.get(equals + 1..)?))
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_are_read_until_one_makes_no_sense() {
        for (bytes, path, size) in [
            (&b"12 path=a/b\n"[..], Some(&b"a/b"[..]), None),
            (b"10 size=5\n11 path=x\n\n", Some(b"x\n"), Some(5)),
            (b"12 path=a=b\n9 size=\n", Some(b"a=b"), None),
            (b"21 GNU.sparse.name=r\n10 path=x\n", Some(b"r"), None),
            (b"99 path=a/b\n", None, None),
            (b"0 path=a\n", None, None),
            (b"-1 path=a\n", None, None),
            (b"", None, None),
        ] {
            let pax = Pax::of(bytes);
            assert_eq!((pax.path.as_deref(), pax.size), (path, size), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_record_makes_it_panic(bytes: Vec<u8>, len in 0u32..40) {
            let _ = Pax::of(&bytes);
            let record = [format!("{len} path=").as_bytes(), &bytes, b"\n"].concat();
            let pax = Pax::of(&record);
            prop_assert!(pax.path.is_none_or(|path| path.len() < record.len()));
        }
    }
}
