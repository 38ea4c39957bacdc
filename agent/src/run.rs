//! The wiring: source -> enrich -> aggregate -> sink, until a signal.

use archtrace_facts::arch::Arch;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Endpoint;

use crate::AgentError;
use crate::config::Config;
use crate::enrich::names;
use crate::sink::client::{self, Identity};
use crate::sink::outbox::Outbox;
use crate::source::sensor::Sensor;
use crate::source::{compat, mounts, node, registry};
use crate::watch::{self, Watch};

/// Watches and reports until SIGINT or SIGTERM. Must be called before any thread is started.
///
/// # Errors
/// What keeps it from starting, or what it cannot go on without.
pub fn run(config: Config) -> Result<(), AgentError> {
    let Config {
        collector,
        node_name,
        cluster,
        log: _,
        best_tier,
        proc,
        cri_socket,
        log_dir,
        image_audit,
        kernel_log,
    } = config;
    let endpoint = Endpoint::from_shared(collector.clone()).map_err(|error| {
        AgentError::Usage(format!(
            "--collector {collector}: {error}; a URL such as http://127.0.0.1:50061"
        ))
    })?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    mounts::prepare();
    let arch = Arch::of_this_build();
    // Before anything is watched: it executes a program of its own.
    let runs_32bit = compat::try_out(arch, registry::read().rules());
    tracing::debug!(runs_32bit, "32-bit programs were tried");
    let mut sensor = Sensor::start(arch, best_tier, kernel_log)?;
    say(&sensor);
    let identity = Identity {
        cluster,
        node: node::read(&proc, &node_name, runs_32bit),
        epoch: client::random(),
        // 0 is the collector's own stream.
        stream_id: client::random().max(1),
        attached_at: sensor.attached_at,
    };
    let outbox = Outbox::new(sensor.preflight.clone());
    // One thread: the agent is a guest, and all its work is short.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| AgentError::Failed(format!("no event loop: {error}")))?;
    runtime.block_on(async {
        let failed = |what: &'static str| {
            move |error: std::io::Error| AgentError::Failed(format!("{what}: {error}"))
        };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed("SIGINT"))?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed("SIGTERM"))?;
        let kernel_log = if kernel_log {
            crate::source::klog::start(&mut sensor.ebpf)
        } else {
            None
        };
        let Ok(socket) = cri_socket.parse();
        let config = watch::Config {
            proc,
            names: names::Config {
                socket,
                logs: log_dir,
                pace: names::Pace::default(),
            },
            image_audit,
        };
        let watch = Watch::new(sensor, outbox.clone(), &identity.node, config);
        tokio::select! {
            // Without the watching side the agent would be alive and blind: its end is ours.
            ended = watch.run() => ended.map_err(failed("watching the kernel")),
            never = client::run(endpoint, identity, outbox) => match never {},
            () = crate::source::klog::forward(kernel_log) => Ok(()),
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        }
    })
}

fn say(sensor: &Sensor) {
    for hook in &sensor.preflight.hooks {
        tracing::info!(
            hook = hook.name,
            by = hook.mechanism,
            tier = hook.tier,
            proven = hook.proven,
            "attached"
        );
        for reason in &hook.reasons {
            tracing::debug!(hook = hook.name, reason, "not used");
        }
    }
    for missing in &sensor.preflight.missing {
        tracing::warn!("{missing}");
    }
}
