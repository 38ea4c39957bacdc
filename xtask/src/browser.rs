//! A browser for the tests of the page.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::apt;

/// Names the driver to tests; `web/tests` has the same name.
pub(crate) const VARIABLE: &str = "ARCHTRACE_CHROMEDRIVER";

/// Where Debian's packages have the browser and its driver.
const BROWSER: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

/// The driver of Chromium, both of which are installed if they are missing. Neither runs afterwards.
///
/// # Errors
/// If they are missing and cannot be installed; says what to do.
pub(crate) fn driver() -> Result<PathBuf> {
    let is_there = [BROWSER, DRIVER]
        .iter()
        .all(|path| Path::new(path).is_file());
    if !is_there {
        eprintln!(
            "setup: chromium or its driver is missing (looks at the page in tests; {DRIVER})"
        );
        if !apt::is_here() {
            bail!("install Chromium and ChromeDriver as {BROWSER} and {DRIVER}");
        }
        apt::install(&["chromium", "chromium-driver"])?;
    }
    Ok(DRIVER.into())
}
