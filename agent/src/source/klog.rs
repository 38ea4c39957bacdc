//! The programs' own diagnostics, off unless asked for.

use std::os::fd::OwnedFd;

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::unix::AsyncFd;

use crate::readable;

/// What reads them.
pub(crate) struct KernelLog {
    logger: EbpfLogger<&'static dyn log::Log>,
    readable: AsyncFd<OwnedFd>,
}

/// Starts to read them; `None`, with a line in the log, where that is not possible.
pub(crate) fn start(ebpf: &mut Ebpf) -> Option<KernelLog> {
    let logger = EbpfLogger::init(ebpf).map_err(|error| error.to_string());
    let logger = logger.and_then(|logger| {
        let readable = readable::watch(&logger).map_err(|error| error.to_string())?;
        Ok(KernelLog { logger, readable })
    });
    logger
        .inspect_err(|error| tracing::warn!(error, "no log from the kernel side"))
        .ok()
}

/// Passes them on for ever.
pub(crate) async fn forward(log: Option<KernelLog>) {
    let Some(KernelLog {
        mut logger,
        readable,
    }) = log
    else {
        return std::future::pending().await;
    };
    while let Ok(mut ready) = readable.readable().await {
        logger.flush();
        ready.clear_ready();
    }
}
