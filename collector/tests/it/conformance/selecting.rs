//! What is selected by a store is what [`Selection`] says, whatever is asked for.

use std::time::SystemTime;

use archtrace_collector::store::{Delta, Snapshot, Store};
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{HandlerChangeKind, Mode};
use archtrace_facts::fleet::{NodeEvent, NodeFact};
use archtrace_facts::identity::Identity;
use archtrace_facts::report::{Owner, Record};
use archtrace_facts::select::{
    Expr, Field, Filter, NumberField, Op, Selection, TextField, TimeField, Value,
};
use archtrace_query::read::{EventQuery, FactQuery};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use super::super::support::{at, batch, change, event, fact, handler, hello, illegal, key, loss};
use super::{all, any, done, events, facts};

/// Texts that mean something in one language of patterns or another.
const WORDS: [&str; 14] = [
    "", "a", "A", "ab", "aab", "a%b", "a_b", "a?b", "[ab]", "a!b", r"a\b", "a'b", "aжb", "/x/ab",
];

const ARCHS: [Arch; 4] = [Arch::Amd64, Arch::Arm64, Arch::I386, Arch::S390x];

pub(crate) fn what_is_selected_is_what_matches(runtime: &Runtime, stores: &[impl Store; 2]) {
    let store = &stores[0];
    runtime.block_on(fill(store));
    let known = runtime.block_on(facts(store, all()));
    let happened = runtime.block_on(events(store, any()));
    assert!(
        known.len() > 50 && happened.len() > 50,
        "{} {}",
        known.len(),
        happened.len()
    );
    let config = Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let tested = TestRunner::new(config).run(&selections(), |selection| {
        runtime.block_on(check(store, &selection, &known, &happened));
        Ok(())
    });
    tested.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn check(
    store: &impl Store,
    selection: &Selection,
    known: &[NodeFact],
    happened: &[NodeEvent],
) {
    let query = FactQuery {
        selection: selection.clone(),
        ..all()
    };
    let expected = known.iter().filter(|fact| selection.matches_fact(fact));
    assert_eq!(
        facts(store, query).await,
        expected.cloned().collect::<Vec<_>>()
    );
    let query = EventQuery {
        selection: selection.clone(),
        ..any()
    };
    let expected = happened
        .iter()
        .filter(|event| selection.matches_event(event));
    assert_eq!(
        events(store, query).await,
        expected.cloned().collect::<Vec<_>>()
    );
}

/// Three nodes, one of which is silent, with facts and events that differ in everything.
async fn fill(store: &impl Store) {
    for (number, arch) in [Arch::Amd64, Arch::Arm64, Arch::I386]
        .into_iter()
        .enumerate()
    {
        let word = |more: usize| WORDS[(number * 5 + more) % WORDS.len()].to_owned();
        let mut hello = hello(&word(3), 1);
        (hello.cluster, hello.node.arch) = (word(0), arch);
        let lease = store.attach(hello, at(1)).await.expect("works").lease;
        let told = (0..20).map(|at| {
            let mode = Mode::ALL[at % Mode::ALL.len()];
            let mut fact = fact("", 1 + at as u64 % 4);
            fact.key = key(&word(at), mode);
            fact.key.cgroup = format!("/{}", word(at / 2));
            if let Some(emulator) = &mut fact.key.emulator {
                *emulator = format!("/{}", word(at / 3));
            }
            fact.processes = at as u64 % 2;
            fact
        });
        let told: Vec<_> = told.collect();
        let records = told.iter().enumerate().map(|(at, fact)| match at % 5 {
            0 => loss(&word(at), at as u64),
            1 => change(
                HandlerChangeKind::Added,
                handler("h", (at % 2 == 0).then_some(arch)),
                7,
            ),
            2 => illegal(&word(at), at as u64, None),
            _ => {
                let mut record = event(&word(at), at as u64);
                if let Record::Event(event) = &mut record {
                    event.key = fact.key.clone();
                    (event.comm, event.errno) = (word(at + 1), at as i32 - 9);
                }
                record
            }
        });
        let records: Vec<_> = records.collect();
        // Those that are told twice in one snapshot are one fact.
        let owners = (0..WORDS.len()).step_by(2).map(|at| Owner {
            cgroup: format!("/{}", WORDS[at]),
            identity: Identity {
                namespace: word(at),
                pod: word(at + 1),
                container: word(at + 2),
                workload: format!("Deployment/{}", word(at + 3)),
                image: word(at + 4),
                image_id: word(at + 5),
                unit: word(at + 6),
                ..Identity::default()
            },
        });
        let last = told.last().map(|fact| fact.key.id());
        let snapshot = Snapshot {
            epoch: 1,
            revision: 1,
            facts: told,
            owners: owners.collect(),
            ..Snapshot::default()
        };
        done(store.apply_snapshot(lease, snapshot, at(2)).await);
        let delta = Delta {
            epoch: 1,
            base_revision: 1,
            revision: 2,
            removed: last.into_iter().collect(),
            ..Delta::default()
        };
        done(store.apply_delta(lease, delta, at(3)).await);
        store
            .append_events(lease.node, batch(0, records), at(3))
            .await
            .expect("works");
    }
}

fn selections() -> impl Strategy<Value = Selection> {
    let filters = || prop::collection::vec(filter(), 0..3);
    (filters(), filters(), prop::option::of(expression())).prop_map(|(allow, deny, expression)| {
        Selection {
            allow,
            deny,
            expression,
        }
    })
}

/// A pattern, most of the time one that something is like.
fn pattern() -> impl Strategy<Value = String> {
    let word = || select(&WORDS[..]).prop_map(str::to_owned);
    prop_oneof![
        4 => word(),
        1 => Just("*".to_owned()),
        2 => word().prop_map(|word| format!("*{word}")),
        2 => word().prop_map(|word| format!("{word}*")),
        1 => (word(), word()).prop_map(|(start, end)| format!("{start}*{end}")),
        1 => "[ab*%_?!\\[\\]\\\\]{0,4}",
    ]
}

fn time() -> impl Strategy<Value = SystemTime> {
    (0..8_u64).prop_map(at)
}

fn filter() -> impl Strategy<Value = Filter> {
    let patterns = || prop::collection::vec(pattern(), 0..3);
    let rarely = || prop_oneof![2 => Just(Vec::new()), 1 => patterns()];
    let archs = || prop::collection::vec(select(&ARCHS[..]), 0..3);
    let modes = prop::collection::vec(select(Mode::ALL), 0..3);
    let names = [
        rarely(),
        rarely(),
        rarely(),
        rarely(),
        rarely(),
        rarely(),
        rarely(),
        rarely(),
    ];
    let since = prop::option::of(time());
    (names, archs(), archs(), modes, since).prop_map(|(names, node_archs, archs, modes, since)| {
        let [
            clusters,
            nodes,
            namespaces,
            pods,
            containers,
            workloads,
            images,
            binaries,
        ] = names;
        Filter {
            clusters,
            nodes,
            node_archs,
            namespaces,
            pods,
            containers,
            workloads,
            images,
            binaries,
            archs,
            modes,
            since,
        }
    })
}

fn expression() -> impl Strategy<Value = Expr> {
    let text = prop_oneof![
        3 => pattern(),
        1 => select(Mode::ALL).prop_map(|mode| mode.to_string()),
        1 => select(&ARCHS[..]).prop_map(|arch| arch.to_string()),
        1 => select(vec!["loss", "handler_added", "binfmt_misc", "foreign_elf", "/usr/bin/qemu-aarch64"])
            .prop_map(str::to_owned),
    ];
    let compare = prop_oneof![
        4 => (select(TextField::ALL), select(&Op::ALL[..]), text)
            .prop_map(|(field, op, text)| Expr::Compare(Field::Text(field), op, Value::Text(text))),
        2 => (select(NumberField::ALL), select(&Op::ALL[..]), -10..45_i64)
            .prop_map(|(field, op, number)| {
                Expr::Compare(Field::Number(field), op, Value::Number(number))
            }),
        1 => (select(TimeField::ALL), select(&Op::ALL[..]), time())
            .prop_map(|(field, op, time)| Expr::Compare(Field::Time(field), op, Value::Time(time))),
    ];
    compare.prop_recursive(3, 12, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            parts().prop_map(Expr::And),
            parts().prop_map(Expr::Or),
            inner.clone().prop_map(|part| Expr::Not(Box::new(part))),
        ]
    })
}
