//! What an agent sends to a collector. Whatever is accepted is the same after another round.
#![no_main]

use archtrace_facts::report::{EventBatch, Hello, StateUpdate};
use archtrace_facts::text::is_printable;
use archtrace_proto::convert::{decode_handler, decode_instruction, decode_node, decode_preflight};
use archtrace_proto::v1;
use archtrace_proto::v1::sync_request::Message;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

macro_rules! check {
    ($type:ident, $message:expr) => {
        match $type::try_from($message) {
            Ok(taken) => {
                let again = $type::try_from(v1::$type::from(&taken)).expect("was taken before");
                assert_eq!(taken, again);
            }
            // Logs and terminals of the other side show it.
            Err(error) => assert!(error.to_string().chars().all(is_printable)),
        }
    };
}

fuzz_target!(|bytes: &[u8]| {
    match v1::SyncRequest::decode(bytes).map(|request| request.message) {
        Ok(Some(Message::Hello(hello))) => check!(Hello, hello),
        Ok(Some(Message::State(state))) => check!(StateUpdate, state),
        Ok(Some(Message::Events(events))) => check!(EventBatch, events),
        _ => {}
    }
    // What a collector keeps in its store.
    let _ = (decode_node(bytes), decode_preflight(bytes));
    let _ = (decode_handler(bytes), decode_instruction(bytes));
});
