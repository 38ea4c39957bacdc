//! Options that say whether registries are asked, and how.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::duration;
use crate::registry::Options;

/// Whether registries are asked.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Registries")]
pub struct RegistryArgs {
    /// Ask registries for which platforms they have the tags that pods ask for: each once in this time, 10 %
    /// more or less, and 6h if none is named. archtrace registry tells what lacks one. Without this option
    /// no registry is asked
    #[arg(
        long,
        env = "ARCHTRACE_REGISTRY_CHECK",
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "6h",
        value_parser = every
    )]
    pub registry_check: Option<Duration>,

    /// File with names and passwords of registries: a config.json of Docker's, or what is in a Secret of type
    /// kubernetes.io/dockerconfigjson. Its auths are used; credHelpers and credsStore are not run. Read again
    /// when it changes
    #[arg(
        long,
        env = "ARCHTRACE_REGISTRY_CONFIG",
        value_name = "FILE",
        requires = "registry_check"
    )]
    pub registry_config: Option<PathBuf>,

    /// CA of registries' certificates, PEM, besides those that the system trusts
    #[arg(
        long,
        env = "ARCHTRACE_REGISTRY_CA",
        value_name = "FILE",
        requires = "registry_check"
    )]
    pub registry_ca: Option<PathBuf>,

    /// Registry that may be asked without TLS if it has none, as HOST or HOST:PORT; loopback may, where it is asked. Can be
    /// repeated
    #[arg(
        long,
        env = "ARCHTRACE_REGISTRY_PLAINTEXT",
        value_name = "HOST",
        value_delimiter = ',',
        requires = "registry_check"
    )]
    pub registry_plaintext: Vec<String>,

    /// Ask only this registry, as HOST or HOST:PORT: else whoever may start a pod chooses whom the collector asks.
    /// Loopback, which is a registry of each node's own, and what else is on the collector's machine or network link
    /// is asked only if it is named so. Can be repeated
    #[arg(
        long,
        env = "ARCHTRACE_REGISTRY_ONLY",
        value_name = "HOST",
        value_delimiter = ',',
        requires = "registry_check"
    )]
    pub registry_only: Vec<String>,
}

impl RegistryArgs {
    /// What they say; nothing if no registry is to be asked.
    pub(super) fn options(&self) -> Option<Options> {
        let Self {
            registry_check,
            registry_config,
            registry_ca,
            registry_plaintext,
            registry_only,
        } = self.clone();
        Some(Options {
            every: registry_check?,
            config: registry_config,
            ca: registry_ca,
            plaintext: registry_plaintext,
            only: registry_only,
        })
    }
}

/// From five minutes, since registries count, to thirty days.
fn every(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        duration if (300..=30 * 86_400).contains(&duration.as_secs()) => Ok(duration),
        _ => Err("it has to be between 5m and 30d".to_owned()),
    }
}
