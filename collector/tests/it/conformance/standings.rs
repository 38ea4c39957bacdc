//! How it is with mandated agents, and since when; and what two collectors make of it that find the same.

use Status::{Emulated, Failing, Missing, Native};
use archtrace_collector::store::Store;
use archtrace_facts::coverage::{Change, Past, Place, Standing, Status};

use super::super::support::at;
use super::expire;

fn place(agent: &str, node: &str) -> Place {
    Place {
        agent: agent.to_owned(),
        cluster: "c".to_owned(),
        node: node.to_owned(),
    }
}

fn change(node: &str, was: Option<Status>, is: Option<Status>, secs: u64) -> Change {
    Change {
        place: place("falcon", node),
        was,
        is,
        at: at(secs),
    }
}

async fn note(store: &impl Store, changes: Vec<Change>, refused: u64) {
    assert_eq!(store.note_standings(changes).await.expect("works"), refused);
}

/// How it is with the agent on this node, and since which second.
async fn is(store: &impl Store, node: &str, expected: Option<(Status, u64)>) {
    let expected = expected.map(|(status, since)| Standing {
        status,
        since: at(since),
    });
    let places = vec![place("other", node), place("falcon", node)];
    let told = store.standings(places).await.expect("works");
    assert_eq!(told, [None, expected], "{node}");
}

async fn was(store: &impl Store, node: &str, expected: &[(Status, u64, u64)]) {
    let past = expected.iter().map(|(status, since, until)| Past {
        status: *status,
        since: at(*since),
        until: at(*until),
    });
    let places = vec![place("falcon", node), place("other", node)];
    let told = store.past_standings(places).await.expect("works");
    assert_eq!(told, [past.collect(), Vec::new()], "{node}");
}

pub(crate) async fn what_it_was_is_kept_for_a_while(store: &impl Store) {
    note(store, Vec::new(), 0).await;
    is(store, "n", None).await;
    let both = vec![
        change("n", None, Some(Native), 10),
        change("m", None, Some(Missing), 11),
    ];
    note(store, both, 0).await;
    is(store, "n", Some((Native, 10))).await;
    note(
        store,
        vec![change("n", Some(Native), Some(Emulated), 20)],
        0,
    )
    .await;
    note(
        store,
        vec![change("n", Some(Emulated), Some(Failing), 30)],
        0,
    )
    .await;
    is(store, "n", Some((Failing, 30))).await;
    is(store, "m", Some((Missing, 11))).await;
    was(store, "n", &[(Emulated, 20, 30), (Native, 10, 20)]).await;
    was(store, "m", &[]).await;
    let mut all = store.all_standings().await.expect("works");
    all.sort();
    assert_eq!(
        all,
        [
            (place("falcon", "m"), Missing),
            (place("falcon", "n"), Failing)
        ]
    );
    // It has not to run there any more.
    note(store, vec![change("m", Some(Missing), None, 40)], 0).await;
    is(store, "m", None).await;
    was(store, "m", &[(Missing, 11, 40)]).await;
    note(store, vec![change("m", None, Some(Native), 50)], 0).await;
    is(store, "m", Some((Native, 50))).await;
    // What was over at second 30 is old then.
    expire(store, 5, 100, 131).await;
    was(store, "n", &[]).await;
    was(store, "m", &[(Missing, 11, 40)]).await;
    is(store, "n", Some((Failing, 30))).await;
}

pub(crate) async fn only_so_much_of_the_past_is_told(store: &impl Store) {
    let mut before = None;
    for i in 0..30 {
        let now = Some(if i % 2 == 0 { Native } else { Missing });
        note(store, vec![change("n", before, now, i)], 0).await;
        before = now;
    }
    let past = store.past_standings(vec![place("falcon", "n")]).await;
    let past = past.expect("works");
    assert_eq!(past[0].len(), Past::MOST);
    assert_eq!((past[0][0].status, past[0][0].until), (Native, at(29)));
}

pub(crate) async fn who_notes_first_is_right([a, b]: &[impl Store; 2]) {
    let found = |secs| vec![change("n", None, Some(Native), secs)];
    note(a, found(10), 0).await;
    // The other found the same, a moment later.
    note(b, found(11), 0).await;
    is(b, "n", Some((Native, 10))).await;
    note(b, vec![change("n", Some(Native), Some(Emulated), 20)], 0).await;
    note(a, vec![change("n", Some(Native), Some(Emulated), 19)], 0).await;
    is(a, "n", Some((Emulated, 20))).await;
    // And something else: what it knew is not what is noted.
    let wrong = vec![
        change("n", Some(Native), Some(Failing), 25),
        change("m", None, Some(Native), 25),
        change("n", None, Some(Failing), 25),
        change("x", Some(Native), None, 25),
        change("x", Some(Native), Some(Failing), 25),
    ];
    note(a, wrong, 3).await;
    is(b, "n", Some((Emulated, 20))).await;
    is(b, "m", Some((Native, 25))).await;
    is(b, "x", None).await;
    // Its clock is behind: what comes later was later.
    note(a, vec![change("n", Some(Emulated), Some(Failing), 15)], 0).await;
    let told = b
        .standings(vec![place("falcon", "n")])
        .await
        .expect("works");
    let since = told[0].expect("noted").since;
    assert!(since > at(20) && since < at(21), "{since:?}");
    let past = a.past_standings(vec![place("falcon", "n")]).await;
    let past: Vec<_> = past.expect("works")[0]
        .iter()
        .map(|past| past.status)
        .collect();
    assert_eq!(past, [Emulated, Native]);
}
