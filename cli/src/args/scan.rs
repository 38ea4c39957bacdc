//! `archtrace scan`.

use std::path::PathBuf;

use archtrace_facts::arch::Arch;
use archtrace_images::Platform;
const AFTER_HELP: &str = "\
Examples:
  archtrace scan app.tar                 are there an amd64 and an arm64 image, and are they that?
  archtrace scan app.tar --strict -o sarif > scan.sarif
  docker save app | archtrace scan - --arch arm64
  archtrace scan ./rootfs                which files of a directory would not run on arm64?
  archtrace scan target/app.jar *.whl    what do a jar and some wheels have for amd64 only?

  An image for both, without a registry:
  docker buildx build --platform linux/amd64,linux/arm64 -o type=oci,dest=app.tar .

What a PATH may be:
  - a directory, read as a root file system; file systems mounted below it are left out
  - an OCI layout, as a directory or a tar; a tar that 'docker save' or 'podman save' wrote
  - a tar of a root file system, as 'docker export' writes it
  - an ELF file, jar, wheel or zip
  - '-' for a tar on the standard input
  Tars may be compressed with gzip or zstd. Each platform of an image is checked against what the
  image claims for it, and blobs against their digests.

What is found:
  docs/findings.md explains each finding. A file of another architecture is none where the right
  one is beside it: in the same jar, in prebuilds/linux-arm64 next to prebuilds/linux-x64. Up to
  10,000 files are told of, the worst first; what was not looked at is always counted.

Exit codes:
  0    clean
  1    something could not be scanned, or not all of it (--strict), or a bad option
  2    findings
  130  interrupted";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ScanArgs {
    /// What to scan
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// What it should be for. Directories and files are checked for arm64 by default, on whatever
    /// machine, so that a gate in CI says the same everywhere; an image needs this platform only
    #[arg(long, value_name = "ARCH", conflicts_with = "platforms")]
    pub(crate) arch: Option<Arch>,
    /// The platforms that an image must have
    #[arg(
        long,
        value_name = "OS/ARCH",
        value_delimiter = ',',
        default_value = "linux/amd64,linux/arm64"
    )]
    pub(crate) platforms: Vec<Platform>,
    /// Fail (exit code 1) if not all could be looked at
    #[arg(long)]
    pub(crate) strict: bool,
    /// How many threads look [default: one for each CPU, 8 at most]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) threads: Option<u8>,
}
