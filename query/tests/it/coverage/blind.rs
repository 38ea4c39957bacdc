//! Nodes whose agents do not see everything.

use std::sync::Arc;

use super::super::memory::Memory;
use super::super::told::without;
use super::{add_node, agent, namespace, native, pod, until, with};

#[tokio::test]
async fn what_may_be_emulated_unseen_is_not_native() {
    let store = Arc::new(Memory::default());
    let (one, two) = (add_node(&store, "n1"), add_node(&store, "n2"));
    store.put(one, vec![(native(), pod())]);
    store.put(two, vec![(native(), pod())]);
    store.sees(two, without("header"));
    let (query, _) = with(&store, &[], vec![agent("falcon", namespace("falcon"))]);
    until(&query, &["falcon n1 NATIVE", "falcon n2 UNKNOWN"]).await;
}
