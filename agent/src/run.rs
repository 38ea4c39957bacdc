//! The wiring: source -> enrich -> aggregate -> sink, until a signal.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use archtrace_facts::arch::Arch;
use archtrace_sink::spool::{self, Owner};
use archtrace_sink::{Collector, Files, Identity, Outbox, Queue, client};
use tokio::signal::unix::{SignalKind, signal};

use crate::AgentError;
use crate::config::{Bytes, Config, Span};
use crate::enrich::names;
use crate::local;
use crate::metrics;
use crate::source::sensor::Sensor;
use crate::source::{compat, mounts, node, registry};
use crate::watch::{self, Watch};

/// Watches and reports until SIGINT or SIGTERM. Must be called before any thread is started.
///
/// # Errors
/// What keeps it from starting, or what it cannot go on without.
pub fn run(config: Config) -> Result<(), AgentError> {
    let state_dir = config.spool_dir().map(Path::to_path_buf);
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
        state_dir: _,
        spool_max_bytes: Bytes(max_bytes),
        spool_max_age: Span(max_age),
        tls_ca,
        tls_cert,
        tls_key,
        tls_server_name,
        token_file,
        socket: local,
        metrics_listen,
        metrics_max_series,
        kernel_log,
    } = config;
    let files = Files {
        ca: tls_ca,
        cert: tls_cert,
        key: tls_key,
        token: token_file,
        server_name: tls_server_name,
    };
    let url = collector;
    let collector =
        Collector::new(&url, files).map_err(|error| AgentError::Usage(error.to_string()))?;
    if collector.is_exposed() {
        tracing::warn!(
            url,
            "whoever is on the way can read and change what is reported; use https://"
        );
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    mounts::prepare();
    let arch = Arch::of_this_build();
    // Before anything is watched: it executes a program of its own.
    let runs_32bit = compat::try_out(arch, registry::read().rules());
    tracing::debug!(runs_32bit, "32-bit programs were tried");
    let mut sensor = Sensor::start(arch, best_tier, kernel_log)?;
    sensor.give_up_privileges();
    say(&sensor);
    let owner = Owner {
        cluster: cluster.clone(),
        node: node_name.clone(),
        collector: url,
    };
    let identity = Identity {
        cluster,
        node: node::read(&proc, &node_name, runs_32bit),
        epoch: client::random(),
        attached_at: sensor.attached_at,
    };
    let collectors = [collector];
    // 0 is the collector's own stream.
    let stream_id = client::random().max(1);
    let events = match state_dir {
        None => Queue::new(stream_id),
        Some(state_dir) => {
            let config = spool::Config {
                state_dir,
                max_bytes,
                max_age,
                owner,
            };
            Queue::with_spool(stream_id, config)
        }
    };
    tracing::info!(kept = events.kept(), "events until the collector has them");
    let outbox = Outbox::new(sensor.preflight.clone(), events);
    // One thread: the agent is a guest, and all its work is short.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| AgentError::Failed(format!("no event loop: {error}")))?;
    runtime.block_on(async {
        let failed = |what: &'static str| {
            move |error: io::Error| AgentError::Failed(format!("{what}: {error}"))
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
        let metrics = metrics_listen.map(|listen| metrics::Config {
            listen,
            max_series: usize::try_from(metrics_max_series).unwrap_or(usize::MAX),
        });
        // Ends with this block.
        let _metrics = match metrics {
            None => None,
            Some(config) => {
                let started = metrics::start(config, &identity, &outbox).await;
                Some(started.map_err(|error| cannot_listen(config.listen, &error))?)
            }
        };
        let watch = Watch::new(sensor, outbox.clone(), &identity.node, config);
        // Ends with this block.
        let _local = (local != Path::new("off"))
            .then(|| local::start(&local, local::About::of(&identity), &outbox));
        tokio::select! {
            // Without the watching side the agent would be alive and blind: its end is ours.
            ended = watch.run() => ended.map_err(failed("watching the kernel")),
            never = client::run(&collectors, &identity, &outbox) => match never {},
            () = crate::source::klog::forward(kernel_log) => Ok(()),
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        }
    })
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> AgentError {
    AgentError::Failed(format!(
        "cannot listen on {address}: {error}; choose another with --metrics-listen ADDR"
    ))
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
