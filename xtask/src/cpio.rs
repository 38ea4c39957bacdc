//! Writes an initramfs: the "newc" cpio format (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::io::{self, Write};

/// An archive that is written as entries are added.
pub(crate) struct Archive<W> {
    out: W,
    /// Inode number of the next entry; each needs its own, or the kernel links them.
    inode: u32,
}

impl<W: Write> Archive<W> {
    /// Starts an archive.
    pub(crate) fn new(out: W) -> Self {
        Self { out, inode: 1 }
    }

    /// Adds a directory; `path` has no leading slash.
    pub(crate) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, 0o04_0755, (0, 0), &[])
    }

    /// Adds an executable file.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.entry(path, 0o10_0755, (0, 0), content)
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(path, 0o12_0777, (0, 0), target.as_bytes())
    }

    /// Adds a character device.
    pub(crate) fn device(&mut self, path: &str, numbers: (u32, u32)) -> io::Result<()> {
        self.entry(path, 0o02_0600, numbers, &[])
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.out.flush()
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        (major, minor): (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        let name = u32::try_from(path.len() + 1).map_err(io::Error::other)?;
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        let fields = [
            self.inode, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name, 0,
        ];
        self.inode += 1;
        self.out.write_all(b"070701")?;
        for field in fields {
            write!(self.out, "{field:08x}")?;
        }
        self.out.write_all(path.as_bytes())?;
        // The name ends with a NUL; header and name together, and the content, fill words.
        self.out
            .write_all(&[0; 4][..1 + padding(110 + path.len() + 1)])?;
        self.out.write_all(content)?;
        self.out.write_all(&[0; 4][..padding(content.len())])
    }
}

/// So many bytes are missing to a multiple of four.
fn padding(length: usize) -> usize {
    length.wrapping_neg() % 4
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn entries_are_aligned_and_the_archive_ends() {
        for (path, content) in [
            ("a", &b"x"[..]),
            ("ab", b""),
            ("abc", b"1234"),
            ("abcd", b"12345"),
        ] {
            let mut bytes = Vec::new();
            let mut archive = Archive::new(&mut bytes);
            archive.file(path, content).expect("written");
            archive.finish().expect("written");
            assert_eq!(bytes.len() % 4, 0);
            let trailer = bytes
                .windows(10)
                .position(|window| window == b"TRAILER!!!")
                .expect("there");
            assert_eq!((trailer - 110) % 4, 0);
            assert_eq!(&bytes[trailer - 110..trailer - 104], b"070701");
        }
    }
}
