//! Zip archives as bytes: jars and wheels for tests.

/// A file of an archive.
#[derive(Clone, Debug)]
pub struct Member {
    name: String,
    packed: Vec<u8>,
    len: usize,
    deflated: bool,
}

impl Member {
    /// One that lies in the archive as it is.
    #[must_use]
    pub fn stored(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            packed: bytes.to_vec(),
            len: bytes.len(),
            deflated: false,
        }
    }

    /// One that is compressed.
    #[must_use]
    pub fn deflated(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            packed: miniz_oxide::deflate::compress_to_vec(bytes, 6),
            len: bytes.len(),
            deflated: true,
        }
    }

    /// The same, which claims to have another length.
    #[must_use]
    pub fn claiming(self, len: usize) -> Self {
        Self { len, ..self }
    }

    /// What is the same in front of a file and in the directory (APPNOTE 4.3.7 and 4.3.12).
    fn header(&self) -> Vec<u8> {
        let method = if self.deflated { 8 } else { 0 };
        let shorts = [20, 0, method, 0, 0u16];
        let mut header: Vec<u8> = shorts.into_iter().flat_map(u16::to_le_bytes).collect();
        // No checksum: nobody who only looks at headers could check it.
        for number in [0, self.packed.len(), self.len] {
            header.extend(int(number));
        }
        header.extend(short(self.name.len()));
        header.extend(short(0));
        header
    }
}

/// An archive of `members`, in their order.
#[must_use]
pub fn zip(members: &[Member]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let header = member.header();
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&header);
        directory.extend([0; 10]);
        directory.extend(int(bytes.len()));
        directory.extend(member.name.as_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&header);
        bytes.extend(member.name.as_bytes());
        bytes.extend(&member.packed);
    }
    let start = bytes.len();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(short(members.len()));
    bytes.extend(short(members.len()));
    bytes.extend(int(directory.len()));
    bytes.extend(int(start));
    bytes.extend(short(0));
    bytes
}

/// Archives of tests are small.
fn int(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes()
}
