//! Conditions and pages.

use archtrace_collector::store::Store;
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Mode;
use archtrace_facts::select::Filter;
use archtrace_query::read::{EventQuery, FactQuery};

use super::super::support::{at, batch, event, fact, key, loss};
use super::{all, any, attach, binaries_of, events, facts, only, owner, snapshot, tell};

pub(crate) async fn conditions_hold_together(store: &impl Store) {
    let n = attach(store, "n", 1).await;
    let m = attach(store, "m", 1).await;
    let with = |binary: &str, mode, count, pod: &str| {
        let mut fact = fact(binary, count);
        fact.key = key(binary, mode);
        fact.key.cgroup = format!("/{pod}");
        fact
    };
    let all_modes = vec![
        with("/emulated", Mode::Emulated, 10, "p"),
        with("/failed", Mode::Failed, 20, "p"),
        with("/native", Mode::Native, 30, "q"),
    ];
    snapshot(store, n, 1, all_modes).await;
    snapshot(store, m, 1, vec![with("/other", Mode::Emulated, 40, "q")]).await;
    for node in [n, m] {
        let owners = ["p", "q"].map(|pod| owner(&format!("/{pod}"), &format!("ns-{pod}"), pod));
        tell(store, node, 1, owners.to_vec(), Vec::new()).await;
    }
    let filter = Filter::default;
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    for (filter, binaries) in [
        (filter(), &["/other", "/native", "/failed", "/emulated"][..]),
        (
            Filter {
                nodes: words(&["n"]),
                ..filter()
            },
            &["/native", "/failed", "/emulated"],
        ),
        (
            Filter {
                nodes: words(&["n", "m", "x"]),
                pods: words(&["q"]),
                ..filter()
            },
            &["/other", "/native"],
        ),
        (
            Filter {
                namespaces: words(&["ns-p"]),
                ..filter()
            },
            &["/failed", "/emulated"],
        ),
        (
            Filter {
                modes: vec![Mode::Emulated],
                ..filter()
            },
            &["/other", "/emulated"],
        ),
        (
            Filter {
                modes: vec![Mode::Native, Mode::Failed],
                ..filter()
            },
            &["/native", "/failed"],
        ),
        (
            Filter {
                archs: vec![Arch::Amd64],
                ..filter()
            },
            &["/native"],
        ),
        (
            Filter {
                since: Some(at(30)),
                ..filter()
            },
            &["/other", "/native"],
        ),
        (
            Filter {
                nodes: words(&["' OR 1=1 --"]),
                ..filter()
            },
            &[],
        ),
    ] {
        let known = facts(
            store,
            FactQuery {
                selection: only(filter.clone()),
                ..all()
            },
        )
        .await;
        assert_eq!(binaries_of(&known), binaries, "{filter:?}");
    }
    let records = vec![event("/a", 1), loss("ring_buffer", 1), event("/b", 3)];
    store
        .append_events(n.node, batch(0, records), at(1))
        .await
        .expect("works");
    for (filter, kinds, sequences) in [
        (filter(), words(&[]), &[2, 1, 0][..]),
        (filter(), words(&["loss"]), &[1]),
        (filter(), words(&["emulated_exec", "failed_exec"]), &[2, 0]),
        (
            Filter {
                modes: vec![Mode::Emulated],
                ..filter()
            },
            words(&[]),
            &[2, 0],
        ),
        (
            Filter {
                since: Some(at(2)),
                ..filter()
            },
            words(&[]),
            &[2, 1],
        ),
        (
            Filter {
                nodes: words(&["m"]),
                ..filter()
            },
            words(&[]),
            &[],
        ),
    ] {
        let known = events(
            store,
            EventQuery {
                selection: only(filter),
                kinds,
                ..any()
            },
        )
        .await;
        let told: Vec<_> = known.iter().map(|event| event.sequence).collect();
        assert_eq!(told, sequences);
    }
}

pub(crate) async fn pages_neither_skip_nor_repeat(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let many = |count| {
        (0..10)
            .map(|i| fact(&format!("/{i}"), count))
            .collect::<Vec<_>>()
    };
    snapshot(store, node, 1, many(1)).await;
    let (mut seen, mut after) = (Vec::new(), None);
    for round in 2.. {
        let query = FactQuery {
            after,
            limit: 3,
            ..all()
        };
        let page = store.facts(query).await.expect("works");
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        seen.extend(page.iter().map(|(_, fact)| fact.fact.key.binary.clone()));
        // All of them change between two pages, and new ones come.
        let mut facts = many(round);
        facts.push(fact(&format!("/new{round}"), 1));
        snapshot(store, node, 1, facts).await;
    }
    assert_eq!(
        seen,
        ["/9", "/8", "/7", "/6", "/5", "/4", "/3", "/2", "/1", "/0"]
    );

    // Five at the same time, in pages of two.
    let records = (0..5).map(|i| event(&format!("/{i}"), 7)).collect();
    store
        .append_events(node.node, batch(0, records), at(1))
        .await
        .expect("works");
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .events(EventQuery {
                after,
                limit: 2,
                ..any()
            })
            .await
            .expect("works");
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        seen.extend(page.iter().map(|(_, event)| event.sequence));
        let first_sequence = 5 + seen.len() as u64;
        let newer = batch(first_sequence, vec![event("/newer", 8)]);
        store
            .append_events(node.node, newer, at(1))
            .await
            .expect("works");
    }
    assert_eq!(seen, [4, 3, 2, 1, 0]);
}
