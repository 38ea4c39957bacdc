//! PostgreSQL for tests on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::apt;

/// Names the directory of PostgreSQL's programs to tests; `tests/postgres` has the same name.
pub(crate) const VARIABLE: &str = "ARCHTRACE_POSTGRES";

/// Where Debian's package has them.
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";

/// What keeps Debian's packages from making and starting a cluster of the whole machine:
/// `man pg_createcluster`, `/etc/postgresql-common/createcluster.conf`.
const CONFIGURATION: &str = "/etc/postgresql-common/createcluster.conf";
const NO_CLUSTER: &str = "# Written before postgresql-15 was installed for tests, which make clusters of \
                          their own.\ncreate_main_cluster = false\n";

/// The directory of PostgreSQL's programs, which are installed if they are missing. Nothing of them runs
/// afterwards: tests make clusters of their own.
///
/// # Errors
/// If they are missing and cannot be installed; says what to do.
pub(crate) fn programs() -> Result<PathBuf> {
    if let Some(set) = std::env::var_os(VARIABLE).filter(|set| !set.is_empty()) {
        let set = PathBuf::from(set);
        if !is_there(&set) {
            bail!(
                "{VARIABLE} is {}, where there is no initdb and postgres",
                set.display()
            );
        }
        return Ok(set);
    }
    let debian = Path::new(DEBIAN);
    if is_there(debian) {
        return Ok(debian.to_owned());
    }
    eprintln!("setup: postgresql-15 is missing (stores facts in tests; {DEBIAN})");
    if !apt::is_here() {
        bail!("install PostgreSQL 15 and set {VARIABLE} to the directory of initdb and postgres");
    }
    let configuration = Path::new(CONFIGURATION);
    if nix::unistd::geteuid().is_root() && !configuration.exists() {
        let write = || {
            fs::create_dir_all(configuration.parent().unwrap_or(configuration))?;
            fs::write(configuration, NO_CLUSTER)
        };
        write().with_context(|| format!("write {CONFIGURATION}"))?;
    }
    apt::install(&["postgresql-15"])?;
    Ok(debian.to_owned())
}

fn is_there(dir: &Path) -> bool {
    ["initdb", "postgres", "psql"]
        .iter()
        .all(|name| dir.join(name).is_file())
}
