//! CPU time of emulation: by hour, by whose it is, once.

use archtrace_collector::store::{Applied, Delta, Lease, Snapshot, Store};
use archtrace_facts::cost::{CostDimension, CostPart, Hour, Span};
use archtrace_facts::fact::{Fact, FactKey, Mode};
use archtrace_facts::fleet::Machine;
use archtrace_facts::report::Owner;
use archtrace_query::read::{CostQuery, NodeId};

use super::super::support::{at, fact, key};
use super::{attach, beat, done, expire, owner, snapshot, tell};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// All of it, by these dimensions.
pub(super) fn all_by(by: &[CostDimension]) -> CostQuery {
    CostQuery {
        by: by.to_vec(),
        span: Span {
            from: Hour(0),
            to: Hour(i64::MAX),
        },
        clusters: Vec::new(),
        nodes: Vec::new(),
        namespaces: Vec::new(),
        workloads: Vec::new(),
        limit: 1000,
    }
}

async fn parts(store: &impl Store, query: CostQuery) -> Vec<CostPart> {
    let parts = store.cost(query).await.expect("works");
    parts.expect("a store keeps it")
}

/// Values and nanoseconds of each sum.
pub(super) async fn sums(store: &impl Store, query: CostQuery) -> Vec<(String, u64)> {
    let parts = parts(store, query).await.into_iter();
    let sums = parts.map(|part| (part.values.join(" "), part.share.cpu_ns));
    sums.collect()
}

/// In the hours that second `from` to second `to` are in.
async fn within(store: &impl Store, from: u64, to: u64) -> u64 {
    let span = Span {
        from: Hour::of(at(from)),
        to: Hour::of(at(to)),
    };
    let told = sums(
        store,
        CostQuery {
            span,
            ..all_by(&[])
        },
    )
    .await;
    told.iter().map(|(_, cpu_ns)| cpu_ns).sum()
}

async fn sum(store: &impl Store) -> u64 {
    let told = sums(store, all_by(&[])).await;
    told.iter().map(|(_, cpu_ns)| cpu_ns).sum()
}

fn delta(base_revision: u64, upserts: Vec<Fact>) -> Delta {
    Delta {
        epoch: 1,
        base_revision,
        revision: base_revision + 1,
        upserts,
        ..Delta::default()
    }
}

fn burning(cgroup: &str, cpu_ns: u64) -> Fact {
    Fact {
        key: FactKey {
            cgroup: cgroup.to_owned(),
            ..key("/a", Mode::Emulated)
        },
        cpu_ns,
        ..fact("", 1)
    }
}

fn workload(cgroup: &str, namespace: &str, workload: &str) -> Owner {
    let mut owner = owner(cgroup, namespace, "pod-1");
    workload.clone_into(&mut owner.identity.workload);
    owner
}

pub(crate) async fn cpu_time_is_counted_once(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    for count in [5, 7, 7] {
        snapshot(store, node, 1, vec![fact("/a", count)]).await;
        assert_eq!(sum(store).await, count * 1000);
    }
    let more = delta(1, vec![fact("/a", 9), fact("/b", 1), fact("/b", 2)]);
    done(store.apply_delta(node, more.clone(), at(3)).await);
    assert_eq!(sum(store).await, 11_000);
    let again = store.apply_delta(node, more, at(4)).await.expect("works");
    assert_eq!(again, Applied::OtherRevision(Some(2)));
    // What is refused burns nothing.
    let wrong = Delta {
        digest: Some(Default::default()),
        ..delta(2, vec![fact("/a", 99)])
    };
    let refused = store.apply_delta(node, wrong, at(4)).await.expect("works");
    assert!(matches!(refused, Applied::OtherDigest(_)));
    assert_eq!(sum(store).await, 11_000);
    // Only emulation is counted, whatever an agent says of others.
    let native = Fact {
        key: key("/n", Mode::Native),
        ..fact("", 50)
    };
    done(store.apply_delta(node, delta(2, vec![native]), at(5)).await);
    // A fact that is dropped counts from zero again.
    let drop = Delta {
        removed: vec![fact("/b", 0).key.id()],
        ..delta(3, Vec::new())
    };
    done(store.apply_delta(node, drop, at(6)).await);
    done(
        store
            .apply_delta(node, delta(4, vec![fact("/b", 1)]), at(7))
            .await,
    );
    assert_eq!(sum(store).await, 12_000);
    // Another agent, and the first one again.
    let node = attach(store, "n", 2).await;
    snapshot(store, node, 2, vec![fact("/a", 3)]).await;
    assert_eq!(sum(store).await, 15_000);
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, vec![fact("/a", 10), fact("/b", 1)]).await;
    assert_eq!(sum(store).await, 16_000);
}

pub(crate) async fn cpu_time_told_late_is_spread(store: &impl Store) {
    // 800 s of an hour have passed at second 0.
    assert_eq!(Hour::of(at(2799)).0 + 1, Hour::of(at(2800)).0);
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, Vec::new()).await;
    let now = 2800 + HOUR;
    done(
        store
            .apply_delta(
                node,
                delta(1, vec![burning("/a.slice", now - 101)]),
                at(now),
            )
            .await,
    );
    assert_eq!(within(store, 0, 2800).await, 2800 - 101);
    assert_eq!(within(store, 2800, now).await, HOUR);
    assert_eq!(within(store, now, now + HOUR).await, 0);
    // A sign of life says that there was no more to tell until then.
    let told = vec![beat(node, 1, 2, now + HOUR)];
    store.heartbeats(told).await.expect("works");
    let more = delta(2, vec![burning("/a.slice", now - 101 + 60)]);
    done(store.apply_delta(node, more, at(now + HOUR + 60)).await);
    assert_eq!(within(store, now, now + HOUR).await, 0);
    assert_eq!(within(store, now + HOUR, now + 2 * HOUR).await, 60);
    // A binary that was first seen later did nothing before.
    let late = Fact {
        first_seen: at(now + 5 * HOUR),
        ..burning("/b.slice", 600)
    };
    done(
        store
            .apply_delta(node, delta(3, vec![late]), at(now + 5 * HOUR + 600))
            .await,
    );
    assert_eq!(within(store, now + 5 * HOUR, now + 6 * HOUR).await, 600);
    assert_eq!(sum(store).await, now - 101 + 60 + 600);
}

pub(crate) async fn names_of_cpu_time_may_come_late(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let told = vec![burning("/p", 5), burning("/q", 7), burning("/u.slice", 9)];
    snapshot(store, node, 1, told).await;
    let by = [CostDimension::Namespace, CostDimension::Workload];
    let named = |told: &[(&str, u64)]| -> Vec<(String, u64)> {
        let told = told.iter();
        told.map(|(names, cpu_ns)| ((*names).to_owned(), *cpu_ns))
            .collect()
    };
    assert_eq!(
        sums(store, all_by(&by)).await,
        named(&[(" ", 12), (" u.slice", 9)])
    );
    let owners = vec![
        workload("/p", "pay", "Deployment/api"),
        owner("/q", "pay", "x"),
    ];
    tell(store, node, 1, owners, Vec::new()).await;
    let later = named(&[(" u.slice", 9), ("pay Pod/x", 7), ("pay Deployment/api", 5)]);
    assert_eq!(sums(store, all_by(&by)).await, later);
    // From the third day on a workload's pods are one, under the name that was known then.
    let owners = vec![workload("/q", "pay", "Deployment/api")];
    tell(store, node, 2, owners, Vec::new()).await;
    expire(store, 90 * DAY, 90 * DAY, 4 * DAY).await;
    let folded = named(&[("pay Deployment/api", 12), (" u.slice", 9)]);
    assert_eq!(sums(store, all_by(&by)).await, folded);
    tell(
        store,
        node,
        3,
        vec![workload("/p", "pay", "Deployment/other")],
        Vec::new(),
    )
    .await;
    assert_eq!(sums(store, all_by(&by)).await, folded);
}

pub(crate) async fn hours_become_days_and_days_go(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, Vec::new()).await;
    for hour in 1..=48 {
        let told = delta(hour, vec![burning("/a.slice", hour * 100)]);
        let told = store.apply_delta(node, told, at(hour * HOUR)).await;
        done(told);
    }
    let by_day = || all_by(&[CostDimension::Day]);
    let mut before = sums(store, by_day()).await;
    before.sort_unstable();
    // 22:13:20 it was at second 0.
    let days: Vec<_> = before.iter().map(|(day, _)| day.as_str()).collect();
    assert_eq!(days, ["2023-11-14", "2023-11-15", "2023-11-16"]);
    assert_eq!(sum(store).await, 4800);
    for now in [49 * HOUR, 3 * DAY, 10 * DAY] {
        expire(store, 90 * DAY, 90 * DAY, now).await;
        let mut after = sums(store, by_day()).await;
        after.sort_unstable();
        assert_eq!(after, before, "{now}");
    }
    // What is told of a day that is over comes on top.
    let late = delta(49, vec![burning("/a.slice", 4900)]);
    done(store.apply_delta(node, late, at(10 * DAY)).await);
    expire(store, 90 * DAY, 90 * DAY, 10 * DAY).await;
    assert_eq!(sum(store).await, 4900);
    expire(store, 90 * DAY, 9 * DAY, 10 * DAY).await;
    assert!(sum(store).await < 4900, "the first day is gone");
    let mut left = sums(store, by_day()).await;
    left.sort_unstable();
    assert_eq!(left[0].0, "2023-11-15");
    // Nobody needs its owner any more, either.
    let gone = Snapshot {
        epoch: 1,
        revision: 51,
        ..Snapshot::default()
    };
    done(store.apply_snapshot(node, gone, at(10 * DAY)).await);
    expire(store, HOUR, HOUR, 100 * DAY).await;
    assert_eq!(sums(store, by_day()).await, []);
}

pub(crate) async fn cpu_time_is_told_by_machine(store: &impl Store) {
    let nodes = [attach(store, "n1", 1).await, attach(store, "n2", 1).await];
    for (node, cpu_ns) in nodes.into_iter().zip([5, 7]) {
        snapshot(store, node, 1, vec![burning("/a.slice", cpu_ns)]).await;
    }
    let machine = |lease: Lease, instance_type: &str| {
        let machine = Machine {
            instance_type: instance_type.to_owned(),
            zone: "z".to_owned(),
        };
        (lease.node, machine)
    };
    let shares = async |by: &[CostDimension]| {
        let parts = parts(store, all_by(by)).await.into_iter();
        let shares = parts.map(|CostPart { values, share }| {
            (
                values.join(" "),
                share.instance_type,
                share.cpu_ns,
                share.nodes,
            )
        });
        shares.collect::<Vec<_>>()
    };
    let told = |values: &str, kind: &str, cpu_ns, nodes| {
        (values.to_owned(), kind.to_owned(), cpu_ns, nodes)
    };
    assert_eq!(shares(&[]).await, [told("", "", 12, 2)]);
    let mut machines = vec![machine(nodes[0], "m7g.large")];
    // A node that never reported is none.
    machines.push((NodeId(1 << 40), machines[0].1.clone()));
    store.note_machines(machines).await.expect("works");
    assert_eq!(
        shares(&[CostDimension::Node, CostDimension::Zone]).await,
        [told("n2 ", "", 7, 1), told("n1 z", "m7g.large", 5, 1)]
    );
    let machines = vec![
        machine(nodes[0], "c7g.large"),
        machine(nodes[1], "c7g.large"),
    ];
    for _ in 0..2 {
        let noted = store.note_machines(machines.clone()).await;
        noted.expect("works");
        assert_eq!(shares(&[]).await, [told("", "c7g.large", 12, 2)]);
    }
    let only = |nodes: &[&str], limit| CostQuery {
        nodes: nodes.iter().map(|name| (*name).to_owned()).collect(),
        limit,
        ..all_by(&[CostDimension::Node])
    };
    let told = |node: &str, cpu_ns| (node.to_owned(), cpu_ns);
    assert_eq!(sums(store, only(&["n1"], 9)).await, [told("n1", 5)]);
    assert_eq!(sums(store, only(&["n*"], 1)).await, [told("n2", 7)]);
    let none = CostQuery {
        clusters: vec!["other".to_owned()],
        ..only(&["n*"], 9)
    };
    assert_eq!(sums(store, none).await, []);
}

pub(crate) async fn hostile_cpu_time_breaks_nothing(store: &impl Store) {
    let huge = || vec![burning("/a.slice", u64::MAX), burning("/b.slice", u64::MAX)];
    for epoch in [1, 2] {
        let node = attach(store, "n", epoch).await;
        snapshot(store, node, epoch, huge()).await;
    }
    let highest = i64::MAX.unsigned_abs();
    assert_eq!(sum(store).await, 2 * highest);
    // Taken back and told again.
    let node = attach(store, "n", 2).await;
    snapshot(
        store,
        node,
        2,
        vec![burning("/a.slice", 0), burning("/b.slice", 1)],
    )
    .await;
    snapshot(store, node, 2, huge()).await;
    assert!(sum(store).await <= 2 * highest);
    expire(store, 90 * DAY, 90 * DAY, 4 * DAY).await;
    assert!(sum(store).await <= 2 * highest);
}
