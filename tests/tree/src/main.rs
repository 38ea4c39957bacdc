//! Looks at a root file system of Debian's files of two architectures: what is found must be exactly
//! what was planted there, and it must be fast.
//!
//! The files of both are linked into one tree, so that nothing is copied; what both have is of the
//! native one, as in a multiarch system.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use archtrace_audit::{Launch, Options, Progress, tree_at};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::Audit;
use clap::{Parser, Subcommand};

mod contest;
mod merge;
mod planted;

/// What the tree is for; the other one's files are there too.
const EXPECTED: Arch = Arch::Arm64;
/// A tree with fewer files would be none of those that the claims are about.
const MIN_FILES: u64 = 60_000;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Compares what is found with what was planted
    Check(Roots),
    /// The same, and measures how long it takes
    Bench {
        #[command(flatten)]
        roots: Roots,
        /// scanelf of pax-utils
        #[arg(long)]
        scanelf: PathBuf,
        /// archtrace, to measure `archtrace scan` too
        #[arg(long)]
        archtrace: Option<PathBuf>,
        /// How often each looks
        #[arg(long, default_value_t = 9)]
        rounds: usize,
    },
    /// Looks at a tree, and prints how much memory that took: what is measured
    Walk {
        /// Its root
        root: PathBuf,
        /// Threads that look
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// As an agent on a node would, but without its pauses
        #[arg(long)]
        guest: bool,
    },
}

#[derive(clap::Args)]
struct Roots {
    /// A root file system of arm64
    #[arg(long)]
    native: PathBuf,
    /// One of amd64
    #[arg(long)]
    foreign: PathBuf,
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Check(roots) => {
            let tree = tree(&roots)?;
            check(tree.path())
        }
        Task::Bench {
            roots,
            scanelf,
            archtrace,
            rounds,
        } => {
            ensure!(rounds > 0, "--rounds is 0");
            let tree = tree(&roots)?;
            check(tree.path())?;
            contest::run(tree.path(), &scanelf, archtrace.as_deref(), rounds)
        }
        Task::Walk {
            root,
            threads,
            guest,
        } => walk(&root, threads, guest),
    }
}

/// One tree of both, beside them, with what is planted there.
fn tree(roots: &Roots) -> Result<tempfile::TempDir> {
    let Roots { native, foreign } = roots;
    let beside = native.parent().context("the native root has no parent")?;
    let tree = tempfile::Builder::new()
        .prefix(".tree")
        .tempdir_in(beside)
        .with_context(|| format!("create a directory in {}", beside.display()))?;
    merge::link(native, tree.path())?;
    merge::link(foreign, tree.path())?;
    planted::plant(tree.path())?;
    Ok(tree)
}

fn check(root: &Path) -> Result<()> {
    let audit = look(root, &options(2))?;
    let Audit {
        files,
        elf,
        foreign,
        more_foreign,
        skipped,
        main,
        ..
    } = &audit;
    let elf: Vec<_> = elf
        .iter()
        .map(|(arch, count)| format!("{count} {arch}"))
        .collect();
    println!("{files} files, of which ELF: {}", elf.join(", "));
    ensure!(
        *files >= MIN_FILES,
        "{files} files are fewer than {MIN_FILES}"
    );
    ensure!(
        skipped.is_empty(),
        "not everything was looked at: {skipped:?}"
    );
    let expected = planted::expected();
    let found: Vec<_> = foreign
        .iter()
        .map(|file| (file.path.as_str(), file.arch, file.role))
        .collect();
    let missed: Vec<_> = expected
        .iter()
        .filter(|file| !found.contains(file))
        .collect();
    let surplus: Vec<_> = found
        .iter()
        .filter(|file| !expected.contains(file))
        .collect();
    ensure!(
        missed.is_empty() && surplus.is_empty() && *more_foreign == 0,
        "planted and not found: {missed:#?}\nfound and not planted: {surplus:#?}, and {more_foreign} more"
    );
    ensure!(
        main.as_ref().map(|(path, _)| path.as_str()) == Some(planted::MAIN),
        "the image runs {main:?}"
    );
    for threads in [1, 4] {
        let other = look(root, &options(threads))?;
        ensure!(
            other == audit,
            "{threads} threads find something else: {other:#?}"
        );
    }
    println!(
        "all {} planted files were found, and nothing else",
        expected.len()
    );
    Ok(())
}

fn walk(root: &Path, threads: usize, guest: bool) -> Result<()> {
    let mut options = options(threads);
    if guest {
        options = Options {
            pace: None,
            ..Options::guest(EXPECTED)
        };
    }
    let audit = look(root, &options)?;
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let memory = status.lines().find(|line| line.starts_with("VmHWM:"));
    println!("{} files, {} findings", audit.files, audit.foreign.len());
    println!("{}", memory.unwrap_or_default());
    Ok(())
}

fn look(root: &Path, options: &Options) -> Result<Audit> {
    tree_at(root, options, &Progress::default()).context("look at the tree")
}

fn options(threads: usize) -> Options {
    Options {
        launch: Launch {
            argv: vec![b"hsm-agent".to_vec()],
            ..Launch::default()
        },
        ..Options::scan(EXPECTED, threads)
    }
}
