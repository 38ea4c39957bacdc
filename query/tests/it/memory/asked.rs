//! A service over a store in memory, and facts to put into it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Fact, FactKey, Mode, Via};
use archtrace_facts::fleet::ExpectedNodes;
use archtrace_query::{Expected, Mandates, Open, Query, Settings};
use tokio_util::sync::CancellationToken;

use super::Memory;

/// A list that is what it is.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) Arc<ExpectedNodes>);

impl Expected for Fixed {
    fn nodes(&self) -> Arc<ExpectedNodes> {
        Arc::clone(&self.0)
    }
}

/// A service over the store; nodes are stale after three seconds.
pub(crate) fn query(store: &Arc<Memory>, idle: Option<Duration>) -> Query<Memory> {
    let nobody = Mandates::Nobody("nobody is asked for");
    query_of(store, idle, ExpectedNodes::seen(), nobody)
}

/// The same, where these nodes should report and these agents should run.
pub(crate) fn query_of(
    store: &Arc<Memory>,
    idle: Option<Duration>,
    expected: ExpectedNodes,
    mandates: Mandates,
) -> Query<Memory> {
    let settings = Settings {
        store_name: "memory".to_owned(),
        heartbeat_interval: Duration::from_secs(1),
        server: Arc::new(Open),
        expected: Arc::new(Fixed(Arc::new(expected))),
        mandates,
        idle,
        shutdown: CancellationToken::new(),
    };
    Query::new(Arc::clone(store), settings)
}

pub(crate) fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + secs)
}

pub(crate) fn fact(binary: &str, mode: Mode, count: u64) -> Fact {
    let is_emulated = mode == Mode::Emulated;
    Fact {
        key: FactKey {
            cgroup: "/a".to_owned(),
            binary: binary.to_owned(),
            path_resolved: true,
            arch: Arch::Arm64,
            mode,
            emulator: is_emulated.then(|| "/qemu".to_owned()),
            via: is_emulated.then_some(Via::BinfmtMisc),
            cause: None,
        },
        count,
        processes: u64::from(is_emulated),
        cpu_ns: count,
        first_seen: at(0),
        last_seen: at(count),
    }
}
