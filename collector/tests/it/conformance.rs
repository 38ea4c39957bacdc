//! What every store has to do, whatever it is made of: functions over the trait.
//!
//! `conforms!` makes tests of all of them for one kind of store.

mod changes;
mod cost;
mod digests;
mod events;
mod expiry;
mod facts;
mod forget;
mod history;
mod lease;
mod nodes;
mod owners;
mod records;
mod selecting;
mod selections;
mod standings;

pub(crate) use changes::{
    changes_are_found_by_version, events_are_found_by_place, names_that_come_late_are_changes,
    what_changes_nothing_is_no_change,
};
pub(crate) use cost::{
    cpu_time_is_counted_once, cpu_time_is_told_by_machine, cpu_time_told_late_is_spread,
    hostile_cpu_time_breaks_nothing, hours_become_days_and_days_go,
    names_of_cpu_time_may_come_late,
};
pub(crate) use digests::{facts_told_twice_count_once, other_digests_are_refused};
pub(crate) use events::{
    earlier_streams_go_on, events_are_stored_once_and_gaps_are_counted, late_batches_fill_gaps,
    ranges_explain_gaps, streams_begin_where_the_agent_can,
    what_comes_although_a_loss_named_it_hides_no_gap, what_is_stored_is_not_explained,
};
pub(crate) use expiry::{
    events_are_deleted_in_time, history_is_deleted_in_time, silent_nodes_keep_nothing,
    what_nobody_needs_goes_along,
};
pub(crate) use facts::{
    a_dropped_fact_counts_from_zero_again, an_epoch_that_comes_back_goes_on,
    counts_are_summed_over_epochs, deltas_apply_to_their_revision_only,
    hostile_numbers_break_nothing, what_a_snapshot_leaves_out_stays_as_history,
};
pub(crate) use forget::{
    a_forgotten_node_comes_back_as_a_new_one, a_forgotten_node_is_none_any_more,
};
pub(crate) use history::any_history_ends_as_it_should;
pub(crate) use lease::who_attached_last_may_change;
pub(crate) use nodes::{
    a_new_epoch_tells_the_gap_once, a_silent_node_is_not_current, heartbeats_are_of_their_epoch,
    nodes_do_not_disturb_each_other,
};
pub(crate) use owners::{
    images_are_stored_once, names_may_come_later, what_the_api_says_of_pods_holds,
};
pub(crate) use records::{
    changes_of_handlers_stand_among_events, every_field_of_a_fact_comes_back,
    every_field_of_a_node_comes_back, every_field_of_an_event_comes_back,
};
pub(crate) use selecting::what_is_selected_is_what_matches;
pub(crate) use selections::{conditions_hold_together, pages_neither_skip_nor_repeat};
pub(crate) use standings::{
    only_so_much_of_the_past_is_told, what_it_was_is_kept_for_a_while, who_notes_first_is_right,
};

use std::time::Duration;

use archtrace_collector::store::{Applied, Beat, Delta, Keep, Lease, Snapshot, Store, StoreError};
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::Fact;
use archtrace_facts::fleet::{NodeEvent, NodeFact, NodeStatus};
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;
use archtrace_facts::report::{Owner, Record, ReportedLoss};
use archtrace_facts::select::{Filter, Selection};
use archtrace_query::read::{EventQuery, FactQuery, Head, NodeQuery};

use super::support::{STREAM, at, hello};

/// Makes a test of every case, on stores that `$open` makes: an async function that returns two handles
/// to the same new store, as two collectors have them, and what is to be kept until the test ends; or
/// nothing, where this kind of store is not there and may be left out.
macro_rules! conforms {
    ($open:path) => {
        $crate::conformance::conforms! { $open;
            one:
                a_dropped_fact_counts_from_zero_again,
                a_forgotten_node_is_none_any_more,
                a_new_epoch_tells_the_gap_once,
                a_silent_node_is_not_current,
                an_epoch_that_comes_back_goes_on,
                changes_of_handlers_stand_among_events,
                conditions_hold_together,
                counts_are_summed_over_epochs,
                cpu_time_is_counted_once,
                cpu_time_is_told_by_machine,
                cpu_time_told_late_is_spread,
                deltas_apply_to_their_revision_only,
                earlier_streams_go_on,
                events_are_deleted_in_time,
                events_are_stored_once_and_gaps_are_counted,
                every_field_of_a_fact_comes_back,
                every_field_of_a_node_comes_back,
                every_field_of_an_event_comes_back,
                facts_told_twice_count_once,
                heartbeats_are_of_their_epoch,
                history_is_deleted_in_time,
                hostile_cpu_time_breaks_nothing,
                hostile_numbers_break_nothing,
                hours_become_days_and_days_go,
                images_are_stored_once,
                late_batches_fill_gaps,
                what_comes_although_a_loss_named_it_hides_no_gap,
                names_may_come_later,
                names_of_cpu_time_may_come_late,
                nodes_do_not_disturb_each_other,
                only_so_much_of_the_past_is_told,
                other_digests_are_refused,
                pages_neither_skip_nor_repeat,
                ranges_explain_gaps,
                silent_nodes_keep_nothing,
                streams_begin_where_the_agent_can,
                what_a_snapshot_leaves_out_stays_as_history,
                what_is_stored_is_not_explained,
                what_it_was_is_kept_for_a_while,
                what_nobody_needs_goes_along;
            two:
                a_forgotten_node_comes_back_as_a_new_one,
                changes_are_found_by_version,
                events_are_found_by_place,
                names_that_come_late_are_changes,
                what_changes_nothing_is_no_change,
                who_attached_last_may_change,
                what_the_api_says_of_pods_holds,
                who_notes_first_is_right;
            property:
                any_history_ends_as_it_should,
                what_is_selected_is_what_matches;
        }
    };
    ($open:path; one: $($one:ident),+; two: $($two:ident),+; property: $($property:ident),+;) => {
        $(
            #[tokio::test]
            async fn $one() {
                let Some(([store, _], _foundation)) = $open().await else {
                    return;
                };
                $crate::conformance::$one(&store).await;
            }
        )+
        $(
            #[tokio::test]
            async fn $two() {
                let Some((stores, _foundation)) = $open().await else {
                    return;
                };
                $crate::conformance::$two(&stores).await;
            }
        )+
        $(
            #[test]
            fn $property() {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                let Some((stores, _foundation)) = runtime.block_on($open()) else {
                    return;
                };
                $crate::conformance::$property(&runtime, &stores);
            }
        )+
    };
}
pub(crate) use conforms;

async fn attach(store: &impl Store, node: &str, epoch: u64) -> Lease {
    let attached = store
        .attach(hello(node, epoch), at(epoch * 100))
        .await
        .expect("works");
    assert_eq!(attached.next_sequence, 0, "of stream {STREAM}");
    attached.lease
}

/// As revision 1.
async fn snapshot(store: &impl Store, node: Lease, epoch: u64, facts: Vec<Fact>) {
    let snapshot = Snapshot {
        epoch,
        revision: 1,
        facts,
        ..Snapshot::default()
    };
    done(
        store
            .apply_snapshot(node, snapshot, at(epoch * 100 + 1))
            .await,
    );
}

/// It was applied, and this is the digest.
fn done(applied: Result<Applied, StoreError>) -> Digest {
    match applied.expect("works") {
        Applied::Yes(digest) => digest,
        other => panic!("not applied: {other:?}"),
    }
}

/// Whose a cgroup is.
fn owner(cgroup: &str, namespace: &str, pod: &str) -> Owner {
    Owner {
        cgroup: cgroup.to_owned(),
        identity: Identity {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            ..Identity::default()
        },
    }
}

/// As the revision after `base`, in epoch 1.
async fn tell(store: &impl Store, node: Lease, base: u64, owners: Vec<Owner>, images: Vec<Image>) {
    let delta = Delta {
        epoch: 1,
        base_revision: base,
        revision: base + 1,
        owners,
        images,
        ..Delta::default()
    };
    done(store.apply_delta(node, delta, at(base + 2)).await);
}

/// A sign of life at second `now`.
fn beat(lease: Lease, epoch: u64, revision: u64, now: u64) -> Beat {
    Beat {
        node: lease.node,
        epoch,
        at: at(now),
        revision,
        preflight: None,
        health: None,
    }
}

/// What one filter lets pass.
fn only(filter: Filter) -> Selection {
    Selection {
        allow: vec![filter],
        ..Selection::default()
    }
}

/// Facts that are kept, and history.
fn all() -> FactQuery {
    FactQuery {
        selection: Selection::default(),
        running: false,
        history: true,
        alive_since: at(0),
        after: None,
        limit: 1000,
    }
}

fn any() -> EventQuery {
    EventQuery {
        selection: Selection::default(),
        kinds: Vec::new(),
        ascending: false,
        after: None,
        limit: 1000,
    }
}

async fn facts(store: &impl Store, query: FactQuery) -> Vec<NodeFact> {
    let facts = store.facts(query).await.expect("works");
    facts.into_iter().map(|(_, fact)| fact).collect()
}

async fn events(store: &impl Store, query: EventQuery) -> Vec<NodeEvent> {
    let events = store.events(query).await.expect("works");
    events.into_iter().map(|(_, event)| event).collect()
}

/// Binary, count and processes of all facts, newest first.
async fn counts(store: &impl Store) -> Vec<(String, u64, u64)> {
    let known = facts(store, all()).await;
    known
        .into_iter()
        .map(|f| (f.fact.key.binary, f.fact.count, f.fact.processes))
        .collect()
}

async fn running(store: &impl Store) -> Vec<String> {
    let known = facts(
        store,
        FactQuery {
            running: true,
            ..all()
        },
    )
    .await;
    known.into_iter().map(|fact| fact.fact.key.binary).collect()
}

fn binaries_of(facts: &[NodeFact]) -> Vec<&str> {
    facts
        .iter()
        .map(|fact| fact.fact.key.binary.as_str())
        .collect()
}

async fn losses(store: &impl Store) -> Vec<ReportedLoss> {
    let known = events(store, any()).await;
    let loss = |event: NodeEvent| match event.record {
        Record::Loss(loss) => Some(loss),
        Record::Event(_) | Record::Handler(_) => None,
    };
    known.into_iter().filter_map(loss).collect()
}

/// The node's changes so far.
async fn head(store: &impl Store, node: &str) -> Head {
    let heads = store.heads().await.expect("works");
    let head = heads.into_iter().find(|head| head.name == node);
    head.expect("it reported")
}

async fn gap(store: &impl Store) -> u64 {
    store.totals(at(0)).await.expect("works").unexplained_gap
}

/// Every node.
async fn nodes(store: &impl Store) -> Vec<NodeStatus> {
    let query = NodeQuery {
        names: Vec::new(),
        alive_since: at(0),
        after: None,
        limit: 100,
    };
    let nodes = store.nodes(query).await.expect("works");
    nodes.into_iter().map(|(_, node)| node).collect()
}

/// Deletes all that was kept for so many seconds at second `now`.
async fn expire(store: &impl Store, events: u64, history: u64, now: u64) {
    let keep = Keep {
        events: Duration::from_secs(events),
        history: Duration::from_secs(history),
    };
    while store.expire(keep, at(now)).await.expect("works") > 0 {}
}
