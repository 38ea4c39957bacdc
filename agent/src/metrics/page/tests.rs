//! A page over an outbox without an agent around it.

use archtrace_facts::aggregate::Reading;
use archtrace_facts::fact::{FactKey, Loss, Via};
use archtrace_facts::identity::Identity as Owner;
use archtrace_facts::node::{Handler, HookReport, NodeInfo, Uncovered};
use archtrace_metrics::read::samples;
use archtrace_sink::Queue;

use super::*;

fn node(outbox: &Outbox<u32>, max_series: usize) -> Node<u32> {
    let identity = Identity {
        cluster: "test".to_owned(),
        node: NodeInfo {
            kernel_release: "6.12.0".to_owned(),
            page_size: 4096,
            agent_version: "0.1.0".to_owned(),
            ..NodeInfo::named("n1".to_owned(), Arch::Arm64)
        },
        epoch: 1,
        attached_at: at(0),
    };
    Node::new(&identity, outbox.clone(), max_series)
}

fn preflight() -> Preflight {
    let hook = |name: &str, mechanism: &str, tier, proven| HookReport {
        name: name.to_owned(),
        mechanism: mechanism.to_owned(),
        tier,
        proven,
        reasons: Vec::new(),
    };
    let handler = |enabled| Handler {
        name: "qemu-x86_64".to_owned(),
        enabled,
        interpreter: "/usr/bin/qemu-x86_64-static".to_owned(),
        flags: "F".to_owned(),
        arch: Some(Arch::Amd64),
        since: None,
    };
    Preflight {
        hooks: vec![
            hook("header", "fentry", 1, true),
            hook("fork", "", 0, false),
        ],
        missing: vec!["something".to_owned()],
        handlers: vec![handler(true), handler(false)],
        uncovered: vec![Uncovered {
            cgroup: "/x".to_owned(),
            runtime: "gvisor".to_owned(),
        }],
        ..Preflight::default()
    }
}

fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + secs)
}

/// A counter that shows this; `workload` is that of its cgroup.
fn count(outbox: &Outbox<u32>, counter: u32, mode: Mode, [count, cpu_ns, processes]: [u64; 3]) {
    let is_emulated = mode == Mode::Emulated;
    let key = FactKey {
        cgroup: format!("/{counter}"),
        binary: "/app".to_owned(),
        path_resolved: true,
        arch: if is_emulated {
            Arch::Amd64
        } else {
            Arch::Arm64
        },
        mode,
        emulator: is_emulated.then(|| "/qemu".to_owned()),
        via: is_emulated.then_some(Via::BinfmtMisc),
        cause: None,
    };
    let reading = Reading {
        count,
        cpu_ns,
        processes,
        last: at(count),
    };
    let mut contents = outbox.lock();
    contents.table.name(counter, key, at(0)).expect("room");
    contents.table.read(counter, reading);
}

fn own(outbox: &Outbox<u32>, counter: u32, workload: &str) {
    let owner = Owner {
        namespace: "shop".to_owned(),
        workload: workload.to_owned(),
        ..Owner::default()
    };
    let mut contents = outbox.lock();
    let set = contents.owners.set(&format!("/{counter}"), owner);
    set.expect("room");
}

/// The sum over all series of this name that have this label.
fn sum(page: &str, name: &str, label: &str, word: &str) -> f64 {
    let found = samples(page).filter(|(known, labels, _)| {
        known == name && (label.is_empty() || labels.get(label).is_some_and(|it| it == word))
    });
    found.map(|(_, _, number)| number).sum()
}

fn check(page: &str, expected: &[(&str, &str, &str, f64)]) {
    for (name, label, word, number) in expected {
        let name = format!("archtrace_agent_{name}");
        assert_eq!(
            sum(page, &name, label, word),
            *number,
            "{name} {word}\n{page}"
        );
    }
}

#[tokio::test]
async fn a_page_tells_what_the_outbox_holds() {
    let outbox = Outbox::new(preflight(), Queue::new(7));
    let node = node(&outbox, 1000);
    count(&outbox, 1, Mode::Emulated, [3, 2_500_000_000, 2]);
    count(&outbox, 2, Mode::Native, [10, 0, 0]);
    own(&outbox, 1, "Deployment/api");
    outbox.lock().push_loss(Loss {
        stage: Stage::RingBuffer,
        count: 7,
        since: at(0),
        until: at(1),
    });
    let page = node.metrics().await;
    check(
        &page,
        &[
            ("facts", "workload", "Deployment/api", 1.0),
            ("facts", "workload", "(none)", 1.0),
            ("processes", "namespace", "shop", 2.0),
            ("execs_total", "mode", "emulated", 3.0),
            ("execs_total", "mode", "native", 10.0),
            ("emulated_cpu_seconds_total", "arch", "amd64", 2.5),
            ("emulators", "arch", "amd64", 1.0),
            ("uncovered_sandboxes", "runtime", "gvisor", 1.0),
            ("hook_tier", "mechanism", "fentry", 1.0),
            ("hook_tier", "hook", "fork", 0.0),
            ("hook_proven", "hook", "header", 1.0),
            ("missing", "", "", 1.0),
            ("losses_total", "stage", "ring_buffer", 7.0),
            ("losses_total", "", "", 7.0),
            ("queued_records", "", "", 1.0),
            ("spool_on_disk", "", "", 0.0),
            ("connected", "", "", 0.0),
            ("start_time_seconds", "", "", 1_700_000_000.0),
        ],
    );
    archtrace_metrics::read::compare(&page, "agent");
    // The container is gone, and so are its fact and its processes; what it did stays done.
    outbox.lock().table.forget(1);
    let page = node.metrics().await;
    check(
        &page,
        &[
            ("facts", "", "", 1.0),
            ("processes", "", "", 0.0),
            ("execs_total", "mode", "emulated", 3.0),
            ("emulated_cpu_seconds_total", "arch", "amd64", 2.5),
        ],
    );
}

#[tokio::test]
async fn names_that_come_late_change_no_counter() {
    let outbox = Outbox::new(Preflight::default(), Queue::new(7));
    let node = node(&outbox, 1000);
    count(&outbox, 1, Mode::Emulated, [3, 0, 1]);
    let before = node.metrics().await;
    own(&outbox, 1, "Deployment/api");
    let after = node.metrics().await;
    for page in [before, after] {
        check(
            &page,
            &[("execs_total", "", "", 3.0), ("facts", "", "", 1.0)],
        );
    }
}

#[tokio::test]
async fn a_node_of_many_workloads_has_a_short_page() {
    let outbox = Outbox::new(Preflight::default(), Queue::new(7));
    let node = node(&outbox, 100);
    for i in 0..2000 {
        count(&outbox, i, Mode::Native, [1, 0, 0]);
        own(&outbox, i, &format!("Deployment/{i}"));
    }
    let page = node.metrics().await;
    let series = samples(&page).filter(|(name, _, _)| name == "archtrace_agent_facts");
    // 100 series are 50 combinations, half of them for native ones; and the others.
    assert_eq!(series.count(), 26);
    check(
        &page,
        &[
            ("facts", "", "", 2000.0),
            ("facts", "workload", "other", 1975.0),
            ("workload_overflow_total", "", "", 1975.0),
        ],
    );
}

#[tokio::test]
async fn ready_is_who_watches_whether_or_not_there_is_a_collector() {
    let outbox = Outbox::new(Preflight::default(), Queue::new(7));
    let node = node(&outbox, 100);
    assert!(node.ready().is_err_and(|why| why.contains("yet to come")));
    outbox.lock().looked = Some(Instant::now());
    assert_eq!(node.ready(), Ok(()));
    outbox.lock().looked = Instant::now().checked_sub(2 * LOOKED_WITHIN);
    assert!(node.ready().is_err_and(|why| why.contains("60 s")));
}
