//! Options that say where events are passed on to.

use std::path::PathBuf;

use archtrace_export::ocsf::Limits;
use archtrace_export::otlp;
use clap::Args;

use crate::exports;

/// Where events are passed on to.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Exports")]
pub struct ExportArgs {
    /// Pass events on to this OpenTelemetry collector, as logs (OTLP over gRPC), such as
    /// http://otel-collector:4317. Where it is away, they wait in the store
    #[arg(
        long,
        env = "ARCHTRACE_EXPORT_OTLP",
        value_name = "URL",
        requires = "export_state"
    )]
    pub export_otlp: Option<String>,

    /// Certificates to know it by, as PEM, if its URL is an https one; else the system's
    #[arg(
        long,
        env = "ARCHTRACE_EXPORT_OTLP_CA",
        value_name = "FILE",
        requires = "export_otlp"
    )]
    pub export_otlp_ca: Option<PathBuf>,

    /// Append events to this file as findings of OCSF 1.5, one JSON object a line
    #[arg(
        long,
        env = "ARCHTRACE_EXPORT_OCSF",
        value_name = "FILE",
        requires = "export_state"
    )]
    pub export_ocsf: Option<PathBuf>,

    /// Megabytes of that file, beyond which it becomes FILE.1 and a new one begins
    #[arg(
        long,
        env = "ARCHTRACE_EXPORT_OCSF_MEGABYTES",
        value_name = "COUNT",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=65_536)
    )]
    pub export_ocsf_megabytes: u32,

    /// How many earlier ones are kept: FILE.1, FILE.2 and so on
    #[arg(
        long,
        env = "ARCHTRACE_EXPORT_OCSF_EARLIER",
        value_name = "COUNT",
        default_value_t = 7,
        value_parser = clap::value_parser!(u32).range(..=1000)
    )]
    pub export_ocsf_earlier: u32,

    /// Directory in which is noted how far each export is: it goes on there after a restart. The first
    /// time it begins with what happens from then on. Of several collectors over one database, one exports
    #[arg(long, env = "ARCHTRACE_EXPORT_STATE", value_name = "DIR")]
    pub export_state: Option<PathBuf>,
}

impl ExportArgs {
    /// What they say.
    pub(super) fn options(&self) -> exports::Options {
        let otlp = self.export_otlp.clone().map(|url| otlp::Options {
            url,
            ca: self.export_otlp_ca.clone(),
        });
        let limits = Limits {
            bytes: u64::from(self.export_ocsf_megabytes) * 1_000_000,
            earlier: self.export_ocsf_earlier,
        };
        exports::Options {
            otlp,
            ocsf: self.export_ocsf.clone().map(|path| (path, limits)),
            state: self.export_state.clone().unwrap_or_default(),
        }
    }
}
