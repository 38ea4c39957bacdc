//! A layer: the same files make the same bytes, wherever, whenever and by whomever they are packed.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::sha256;

/// What is at a path.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    /// A file's content; a directory has none.
    pub(super) content: Option<&'a [u8]>,
    pub(super) mode: u32,
    /// User and group.
    pub(super) owner: u32,
}

/// What is packed, by path without a leading `/`. Sorted, so that a directory comes before what is in it.
pub(super) type Tree<'a> = BTreeMap<String, Entry<'a>>;

/// A layer as an image has it.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// A tar, compressed by gzip: what every registry, runtime and scanner reads.
    pub(super) packed: Vec<u8>,
    /// SHA-256 of the tar, in hexadecimal digits; the configuration names it.
    pub(super) diff_id: String,
    /// The tar's size in bytes.
    pub(super) unpacked: u64,
}

/// Adds a directory, and those above it where they are missing.
pub(super) fn add_directory(tree: &mut Tree<'_>, path: &str, mode: u32, owner: u32) {
    for (at, _) in path.match_indices('/') {
        let above = path.get(..at).unwrap_or_default().to_owned();
        tree.entry(above).or_insert(Entry {
            content: None,
            mode: 0o755,
            owner: 0,
        });
    }
    let entry = Entry {
        content: None,
        mode,
        owner,
    };
    tree.insert(path.to_owned(), entry);
}

/// Adds a file of root's, and the directories above it where they are missing.
pub(super) fn add_file<'a>(tree: &mut Tree<'a>, path: &str, content: &'a [u8], mode: u32) {
    if let Some((above, _)) = path.rsplit_once('/')
        && !tree.contains_key(above)
    {
        add_directory(tree, above, 0o755, 0);
    }
    let entry = Entry {
        content: Some(content),
        mode,
        owner: 0,
    };
    tree.insert(path.to_owned(), entry);
}

/// Packs `tree`, of which all was changed last at `time` (in seconds since 1970).
///
/// # Errors
/// If a path is longer than a tar's header holds.
pub(super) fn pack(tree: &Tree<'_>, time: i64) -> Result<Layer> {
    let mut builder = Builder::new(Vec::new());
    for (path, entry) in tree {
        let content = entry.content.unwrap_or_default();
        // Names of users are left empty: numbers are what counts in a container.
        let mut header = Header::new_ustar();
        match entry.content {
            Some(_) => header.set_path(path),
            None => header.set_path(format!("{path}/")),
        }
        .with_context(|| format!("pack {path}"))?;
        header.set_entry_type(match entry.content {
            Some(_) => EntryType::Regular,
            None => EntryType::Directory,
        });
        header.set_size(content.len() as u64);
        header.set_mode(entry.mode);
        header.set_uid(entry.owner.into());
        header.set_gid(entry.owner.into());
        header.set_mtime(time.try_into().context("the commit is of before 1970")?);
        header.set_cksum();
        builder.append(&header, content)?;
    }
    let tar = builder.into_inner()?;
    // flate2 writes no name and no time into gzip's header.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&tar)?;
    Ok(Layer {
        packed: encoder.finish()?,
        diff_id: sha256(&tar),
        unpacked: tar.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_layer_holds_what_was_added() {
        let mut tree = Tree::new();
        add_file(&mut tree, "usr/bin/program", b"abc", 0o755);
        add_directory(&mut tree, "var/lib/data", 0o700, 65_532);
        let layer = pack(&tree, 1_700_000_000).expect("packs");
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&*layer.packed));
        let mut rows = Vec::new();
        for entry in archive.entries().expect("a tar") {
            let mut entry = entry.expect("an entry");
            let mut content = String::new();
            entry.read_to_string(&mut content).expect("reads");
            let header = entry.header();
            assert_eq!(header.mtime().ok(), Some(1_700_000_000));
            rows.push((
                String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
                header.mode().expect("a mode"),
                header.uid().expect("a user"),
                content,
            ));
        }
        let rows: Vec<_> = rows
            .iter()
            .map(|(path, mode, user, content)| (&**path, *mode, *user, &**content))
            .collect();
        assert_eq!(
            rows,
            [
                ("usr/", 0o755, 0, ""),
                ("usr/bin/", 0o755, 0, ""),
                ("usr/bin/program", 0o755, 0, "abc"),
                ("var/", 0o755, 0, ""),
                ("var/lib/", 0o755, 0, ""),
                ("var/lib/data/", 0o700, 65_532, ""),
            ]
        );
    }
}
