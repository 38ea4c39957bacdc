//! The licences of what is in an image, as most of them ask for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::packages::Linked;

/// What files with a licence's text are called, in capital letters.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// Licences are short; what is longer is something else.
const MAX_TEXT: u64 = 256 << 10;

const HEAD: &str = "\
What is in this image beside archtrace's own code, and under which terms. Each text stands here once,
below the packages that it came with.

The C library is the GNU C Library, under the LGPL-2.1-or-later, linked statically. archtrace's source, from
which the same program can be linked with another version of it, is what the label
org.opencontainers.image.revision names. Rust's standard library is under MIT or Apache-2.0, GCC's
runtime under the GPL-3.0-or-later with the GCC Runtime Library Exception.
";

/// The texts of the licences of `linked`, but for the workspace's own.
///
/// # Errors
/// If a package's directory cannot be read.
pub(super) fn texts(linked: &Linked) -> Result<String> {
    // By text, since hundreds of packages have the same few.
    let mut packages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut out = HEAD.to_owned();
    out.push_str("\nPackages:\n");
    for (id, package) in &linked.packages {
        if package.own {
            continue;
        }
        let name = format!("{} {}", id.name, id.version);
        let licence = package.licence.as_deref().unwrap_or("see its text");
        writeln!(out, "  {name}: {licence}")?;
        for text in of_directory(&package.dir)? {
            packages.entry(text).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<_> = packages
        .into_iter()
        .map(|(text, names)| (names, text))
        .collect();
    texts.sort();
    for (names, text) in texts {
        write!(
            out,
            "\n{}\n{}\n\n{text}\n",
            "-".repeat(80),
            names.join(", ")
        )?;
    }
    Ok(out)
}

fn of_directory(dir: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    let entries = fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        let metadata = fs::metadata(entry.path())?;
        let is_text = NAMES.iter().any(|wanted| name.starts_with(wanted));
        if is_text && metadata.is_file() && metadata.len() <= MAX_TEXT {
            let text = fs::read(entry.path())?;
            texts.push(
                String::from_utf8_lossy(&text)
                    .replace('\r', "")
                    .trim()
                    .to_owned(),
            );
        }
    }
    // Directories have no order.
    texts.sort();
    texts.dedup();
    Ok(texts)
}
