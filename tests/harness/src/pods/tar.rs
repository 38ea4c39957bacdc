//! Writes what layers and images are: tar archives (`ustar`, POSIX.1-1988), with no more than they need.

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A directory that only its owner may look into.
    Private,
}

const BLOCK: usize = 512;

/// Who owns what is private: not root.
const OWNER: u32 = 65_532;

/// Adds an entry to `archive`. `path` has no leading slash, and at most 100 bytes.
pub(super) fn add(archive: &mut Vec<u8>, path: &str, kind: Kind, content: &[u8]) {
    debug_assert!(path.len() <= 100, "{path} is too long for a plain header");
    let mut header = [0_u8; BLOCK];
    let (letter, mode, owner) = match kind {
        Kind::File => (b'0', 0o755, 0),
        Kind::Directory => (b'5', 0o755, 0),
        Kind::Private => (b'5', 0o700, OWNER),
    };
    put(&mut header, 0, path.as_bytes());
    put(&mut header, 100, format!("{mode:07o}").as_bytes());
    for at in [108, 116] {
        put(&mut header, at, format!("{owner:07o}").as_bytes());
    }
    put(
        &mut header,
        124,
        format!("{:011o}", content.len()).as_bytes(),
    );
    put(&mut header, 136, b"00000000000"); // time
    header[156] = letter;
    put(&mut header, 257, b"ustar\x0000");
    // The sum is that of a header with blanks in its place.
    put(&mut header, 148, b"        ");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    put(&mut header, 148, format!("{sum:06o}\0").as_bytes());
    archive.extend_from_slice(&header);
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}

/// Ends `archive`.
pub(super) fn end(archive: &mut Vec<u8>) {
    archive.resize(archive.len() + 2 * BLOCK, 0);
}

fn put(header: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    for (to, from) in header[at..].iter_mut().zip(bytes) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn tar_lists_what_was_added() {
        let mut archive = Vec::new();
        add(&mut archive, "bin", Kind::Directory, b"");
        add(&mut archive, "own", Kind::Private, b"");
        add(&mut archive, "bin/main", Kind::File, &[1; 513]);
        end(&mut archive);
        let mut tar = Command::new("tar")
            .args(["-tv", "--numeric-owner"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar starts");
        let mut input = tar.stdin.take().expect("a pipe");
        input.write_all(&archive).expect("written");
        drop(input);
        let output = tar.wait_with_output().expect("it ends");
        let listed = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success());
        let lines: Vec<_> = listed
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .map(|words| {
                (
                    words[0].to_owned(),
                    words[1].to_owned(),
                    words[2].to_owned(),
                    words[5].to_owned(),
                )
            })
            .collect();
        let row = |mode: &str, owner: &str, size: &str, name: &str| {
            (
                mode.to_owned(),
                owner.to_owned(),
                size.to_owned(),
                name.to_owned(),
            )
        };
        assert_eq!(
            lines,
            [
                row("drwxr-xr-x", "0/0", "0", "bin"),
                row("drwx------", "65532/65532", "0", "own"),
                row("-rwxr-xr-x", "0/0", "513", "bin/main")
            ]
        );
    }
}
