//! What an image is there to run: its entry point, found as the kernel and the shell would.

use std::collections::VecDeque;

use super::inventory::Elf;
use crate::elf::shebang;

/// What is at a path of the tree, itself and not what a link there leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory.
    Directory,
    /// A symbolic link, and where it points.
    Link(Vec<u8>),
    /// A regular file: its first bytes, 256 suffice (`BINPRM_BUF_SIZE`).
    File(Vec<u8>),
}

/// How an image is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start<'a> {
    /// Entry point and command, one behind the other.
    pub argv: &'a [Vec<u8>],
    /// `PATH` in its environment.
    pub path: Option<&'a [u8]>,
    /// The working directory.
    pub dir: Option<&'a [u8]>,
}

/// An ELF file that is run when an image is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Absolute within the tree, without links.
    pub path: Vec<u8>,
    /// What it is.
    pub elf: Elf,
}

/// Links that are followed for one path: `MAXSYMLINKS` (include/linux/namei.h).
const MAX_LINKS: usize = 40;
/// The longest path that the kernel takes (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// Scripts that run scripts: `bprm->recursion_depth` (fs/exec.c, `exec_binprm`) allows five.
const MAX_SCRIPTS: usize = 5;
/// `PATH` where an image sets none (runc's and Docker's `DefaultPathEnv`).
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Directories of `PATH` that are tried.
const MAX_DIRS: usize = 64;

/// The ELF files that are run when an image is started, the one that it is there for first.
///
/// A script stands for its interpreter, and `env` for what it starts too. Where a further argument
/// leads to a program, the first one does the work: `tini -- /app/server`,
/// `docker-entrypoint.sh postgres`.
pub fn programs(start: &Start<'_>, look: &mut dyn FnMut(&[u8]) -> Option<Place>) -> Vec<Program> {
    let mut words = start.argv.iter();
    let mut found = Vec::new();
    if let Some(first) = words.next() {
        follow(first, start, look, &mut found);
    }
    if !found.is_empty() {
        let mut wanted = Vec::new();
        for word in words.take(MAX_DIRS).filter(|word| !word.starts_with(b"-")) {
            follow(word, start, look, &mut wanted);
            if !wanted.is_empty() {
                break;
            }
        }
        found.splice(0..0, wanted);
    }
    found
}

/// Where `path` leads to, and what is there, when every link is followed inside of the tree.
/// `look` is only asked for paths without links on their way.
pub fn resolve(
    path: &[u8],
    look: &mut dyn FnMut(&[u8]) -> Option<Place>,
) -> Option<(Vec<u8>, Place)> {
    let mut ahead = components(path)?;
    let mut at = Vec::new();
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        match name.as_slice() {
            b"." => continue,
            b".." => {
                let end = at.iter().rposition(|byte| *byte == b'/');
                at.truncate(end.unwrap_or(0));
                continue;
            }
            _ => {}
        }
        let here = at.len();
        at.push(b'/');
        at.extend_from_slice(&name);
        if at.len() >= MAX_PATH {
            return None;
        }
        match look(&at)? {
            Place::Link(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return None;
                }
                at.truncate(if target.starts_with(b"/") { 0 } else { here });
                let mut target = components(&target)?;
                target.append(&mut ahead);
                ahead = target;
            }
            Place::Directory => {}
            file @ Place::File(_) => {
                return ahead.is_empty().then_some((at, file));
            }
        }
    }
    if at.is_empty() {
        at.push(b'/');
    }
    Some((at, Place::Directory))
}

fn components(path: &[u8]) -> Option<VecDeque<Vec<u8>>> {
    let names = path.split(|byte| *byte == b'/');
    (path.len() < MAX_PATH).then(|| {
        names
            .filter(|name| !name.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    })
}

/// Adds what is run when `word` is executed, the last one first.
fn follow(
    word: &[u8],
    start: &Start<'_>,
    look: &mut dyn FnMut(&[u8]) -> Option<Place>,
    found: &mut Vec<Program>,
) {
    let mut word = word.to_vec();
    for _ in 0..MAX_SCRIPTS {
        let Some((path, Place::File(bytes))) = search(&word, start, look) else {
            return;
        };
        if let Some(elf) = Elf::of(&bytes) {
            found.insert(0, Program { path, elf });
            return;
        }
        let Some(interpreter) = shebang(&bytes) else {
            return;
        };
        let by_env = interpreter
            .ends_with(b"/env")
            .then(|| started_by_env(&bytes));
        word = match by_env.flatten() {
            Some(program) => {
                if let Some((path, Place::File(bytes))) = resolve(interpreter, look)
                    && let Some(elf) = Elf::of(&bytes)
                {
                    found.insert(0, Program { path, elf });
                }
                program
            }
            None => interpreter.to_vec(),
        };
    }
}

/// The first word behind `env` in a script's first line that is neither option nor assignment.
fn started_by_env(script: &[u8]) -> Option<Vec<u8>> {
    let line = script.split(|byte| *byte == b'\n').next()?;
    line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | 0))
        .filter(|word| !word.is_empty() && !word.starts_with(b"#!") && !word.ends_with(b"/env"))
        .find(|word| !word.starts_with(b"-") && !word.contains(&b'='))
        .map(<[u8]>::to_vec)
}

/// The file that `word` leads to: a path, or a name that `PATH` is searched for.
fn search(
    word: &[u8],
    start: &Start<'_>,
    look: &mut dyn FnMut(&[u8]) -> Option<Place>,
) -> Option<(Vec<u8>, Place)> {
    let mut file =
        |path: &[u8]| resolve(path, look).filter(|(_, place)| matches!(place, Place::File(_)));
    if word.is_empty() {
        return None;
    }
    let below = |dir: &[u8]| [dir, b"/", word].concat();
    if word.starts_with(b"/") {
        return file(word);
    }
    if word.contains(&b'/') {
        return file(&below(start.dir.unwrap_or_default()));
    }
    let dirs = start
        .path
        .unwrap_or(DEFAULT_PATH)
        .split(|byte| *byte == b':');
    dirs.take(MAX_DIRS)
        .filter(|dir| dir.starts_with(b"/"))
        .find_map(|dir| file(&below(dir)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const ARM64: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0";
    const AMD64: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0";

    /// A merged `/usr`, with links of every kind.
    fn tree() -> HashMap<&'static str, Place> {
        let file = |bytes: &[u8]| Place::File(bytes.to_vec());
        let link = |target: &str| Place::Link(target.as_bytes().to_vec());
        HashMap::from([
            ("/usr", Place::Directory),
            ("/usr/bin", Place::Directory),
            ("/bin", link("usr/bin")),
            ("/etc", Place::Directory),
            ("/etc/alternatives", Place::Directory),
            ("/etc/alternatives/java", link("../../opt/jdk/bin/java")),
            ("/usr/bin/java", link("/etc/alternatives/java")),
            ("/opt", Place::Directory),
            ("/opt/jdk", link("jdk-17")),
            ("/opt/jdk-17", Place::Directory),
            ("/opt/jdk-17/bin", Place::Directory),
            ("/opt/jdk-17/bin/java", file(AMD64)),
            ("/usr/bin/sh", link("dash")),
            ("/usr/bin/dash", file(ARM64)),
            ("/usr/bin/env", file(ARM64)),
            ("/usr/bin/tini", file(ARM64)),
            ("/usr/bin/a", link("b")),
            ("/usr/bin/b", link("a")),
            ("/usr/bin/out", link("../../../../../../usr/bin/env")),
            ("/app", Place::Directory),
            ("/app/run", file(b"#!/bin/sh\nexec java\n")),
            ("/app/py", file(b"#! /usr/bin/env -S X=1 java -jar\n")),
            ("/app/loop", file(b"#!/app/loop\n")),
            ("/app/text", file(b"echo\n")),
        ])
    }

    fn find(words: &[&str], dir: Option<&str>, path: Option<&str>) -> Vec<(String, Arch)> {
        let tree = tree();
        let argv: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let start = Start {
            argv: &argv,
            path: path.map(str::as_bytes),
            dir: dir.map(str::as_bytes),
        };
        let mut look = |path: &[u8]| tree.get(std::str::from_utf8(path).ok()?).cloned();
        programs(&start, &mut look)
            .into_iter()
            .map(|program| {
                (
                    String::from_utf8_lossy(&program.path).into_owned(),
                    program.elf.arch,
                )
            })
            .collect()
    }

    #[test]
    fn the_entry_point_is_found_as_the_kernel_would() {
        const JAVA: (&str, Arch) = ("/opt/jdk-17/bin/java", Arch::Amd64);
        const SH: (&str, Arch) = ("/usr/bin/dash", Arch::Arm64);
        const ENV: (&str, Arch) = ("/usr/bin/env", Arch::Arm64);
        const TINI: (&str, Arch) = ("/usr/bin/tini", Arch::Arm64);
        for (words, dir, path, expected) in [
            (&["java", "-jar", "x.jar"][..], None, None, &[JAVA][..]),
            (&["/bin/java"], None, None, &[JAVA]),
            (&["./run"], Some("/app"), None, &[SH]),
            (&["/app/py"], None, None, &[JAVA, ENV]),
            (&["run"], None, Some("relative:/none:/app"), &[SH]),
            (&["tini", "--", "java"], None, None, &[JAVA, TINI]),
            (&["/app/run", "java"], None, None, &[JAVA, SH]),
            (&["tini", "-g", "nothing"], None, None, &[TINI]),
            (&["out"], None, None, &[ENV]),
            (&["a"], None, None, &[]),
            (&["/app/loop"], None, None, &[]),
            (&["/app/text"], None, None, &[]),
            (&["/app"], None, None, &[]),
            (&["/usr/bin/env/x"], None, None, &[]),
            (&[""], None, None, &[]),
            (&[], None, None, &[]),
        ] {
            let found = find(words, dir, path);
            let found: Vec<_> = found
                .iter()
                .map(|(path, arch)| (path.as_str(), *arch))
                .collect();
            assert_eq!(found, expected, "{words:?}");
        }
    }

    proptest! {
        #[test]
        fn no_links_make_it_run_for_ever(
            links in prop::collection::vec("(/|\\.\\./|\\./)?([ab]/){0,3}[ab]", 2),
            path in "(/[ab]){1,6}",
        ) {
            let mut look = |path: &[u8]| {
                let target = if path.ends_with(b"a") { &links[0] } else { &links[1] };
                Some(Place::Link(target.as_bytes().to_vec()))
            };
            prop_assert!(resolve(path.as_bytes(), &mut look).is_none());
        }

        #[test]
        fn no_start_makes_it_panic(argv: Vec<Vec<u8>>, path: Vec<u8>, script: Vec<u8>) {
            let script = [b"#!".as_slice(), &script].concat();
            let start = Start { argv: &argv, path: Some(&path), dir: Some(&path) };
            let _ = programs(&start, &mut |_| Some(Place::File(script.clone())));
        }
    }
}
